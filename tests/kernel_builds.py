"""Builds of kernels/ for tests: brought up to date, and shared between test processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "kernels"
BUILDS = ROOT / "build" / "kernels"
TOOLS = ROOT / "build" / "kernel-tools"
_OPTIONS = {
    "host": ["-DES_EMULATION=ON", "-DES_BENCHMARKS=ON", "-DES_PLUGINS=ON"],
    "asan": ["-DES_EMULATION=ON", "-DES_BENCHMARKS=ON", "-DES_PLUGINS=ON", "-DES_SANITIZE=ON"],
}

OPERATORS = sorted(path.parent.name for path in KERNELS.glob("*/resources.toml"))


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time builds `name`."""
    BUILDS.mkdir(parents=True, exist_ok=True)
    with (BUILDS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*words: str | os.PathLike[str]) -> str:
    """What a program prints; the test fails with all of it when the program does."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


def build(name: str, source: Path = KERNELS, folder: Path | None = None) -> Path:
    """The folder of the build "host" (for Python) or "asan" (tests under sanitizers)."""
    missing = [tool for tool in ("cmake", "g++", "make") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {missing[0]} on this machine; sudo apt-get install cmake g++ make")
    folder = folder or BUILDS / name
    tools()  # whose headers the plugins are compiled against
    with locked(name):
        run("cmake", "-S", source, "-B", folder, *_OPTIONS[name])
        run("cmake", "--build", folder)
    return folder


def tools() -> Path:
    """The folder with NVRTC, ptxas, nvcc and headers; see kernels/tools.txt."""
    with locked("tools"):
        done = subprocess.run(
            [sys.executable, KERNELS / "fetch_tools.py", TOOLS],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["unknown"])[-1]
        pytest.skip(f"NVIDIA's compilers cannot be fetched here: {reason}")
    return TOOLS
