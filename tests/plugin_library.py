"""The plugin library over emulated launchers, built by the repository's own CMake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_builds import locked

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "kernels" / "host"
LIBRARY = "edgesynth_plugins_host"
LIBRARY_V2 = "edgesynth_plugins_v2_host"
"""The same in the form of TensorRT 8."""


def build(*targets: str, folder: Path = BUILD, options: tuple[str, ...] = ()) -> Path:
    """Build targets of kernels/CMakeLists.txt for the host; returns the build folder.

    Skips the test where there is no CMake or no C++ compiler.
    """
    for tool in ("cmake", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} to build the plugins with (sudo apt-get install cmake g++)")
    with locked(folder.name):
        _run([sys.executable, str(ROOT / "kernels" / "fetch_tools.py")])
        source = ["-S", str(ROOT / "kernels"), "-B", str(folder)]
        _run(["cmake", *source, "-DES_EMULATION=ON", "-DES_PLUGINS=ON", *options])
        for target in targets:
            _run(["cmake", "--build", str(folder), "--target", target])
    return folder


def library(name: str = LIBRARY) -> Path:
    """The built library `name`."""
    return build(name) / "plugins" / f"lib{name}.so"


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}"
