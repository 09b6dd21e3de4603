"""The runtime as one file, run by the boards' own Python where it is here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesynth.device.zipapp import NAME, runtime_bytes, write_runtime
from make_bundle import make_bundle, sha256

ROOT = Path(__file__).parents[1]
PLACES_OF_36 = (  # the first is made by .ci/python36
    ROOT / ".venv36" / "bin" / "python",
    Path.home() / ".pyenv" / "versions" / "3.6.15" / "bin" / "python3.6",
)


def python36() -> str | None:
    """A CPython 3.6 with numpy, None where there is none."""
    for place in (*map(str, PLACES_OF_36), shutil.which("python3.6")):
        if place and Path(place).exists():
            done = subprocess.run([place, "-c", "import numpy"], check=False, capture_output=True)
            if done.returncode == 0:
                return place
    return None


PYTHON36 = python36()
PYTHONS = [
    pytest.param(sys.executable, id="host"),
    pytest.param(
        PYTHON36,
        id="3.6",
        marks=pytest.mark.skipif(PYTHON36 is None, reason="no Python 3.6 with numpy is here"),
    ),
]


def call(python: str, pyz: Path, *arguments: object) -> tuple[int, Any, str]:
    """Exit code, document and talk of the zipapp, far from the source tree."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, str(pyz), *map(str, arguments)],
        env=environment,
        cwd=pyz.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / NAME, tmp_path / "second.pyz"
    assert write_runtime(first) == write_runtime(second) == sha256(first)
    assert first.read_bytes() == second.read_bytes() == runtime_bytes()
    assert first.stat().st_size < 1_000_000
    os.utime(ROOT / "deploy" / "edgesynth_rt" / "errors.py")  # times do not matter
    assert runtime_bytes() == first.read_bytes()


@pytest.mark.parametrize("python", PYTHONS)
def test_commands_that_need_no_gpu(tmp_path: Path, python: str) -> None:
    pyz, bundle = tmp_path / NAME, make_bundle(tmp_path / "tiny.bundle")
    write_runtime(pyz)
    code, document, _ = call(python, pyz, "probe")
    assert code == 0 and document["device"]["module"] == "host"
    assert "numpy" in document["software"]
    code, document, _ = call(python, pyz, "verify", bundle, "--backend", "none")
    assert code == 0 and document["bundle"]["id"] == sha256(bundle / "manifest.json")
    code, document, talk = call(python, pyz, "build", bundle)
    assert code == 4 and "comes with JetPack" in document["error"]
    assert talk == f"edgesynth_rt: {document['error']}\n"
    code, document, _ = call(python, pyz, "build", tmp_path / "gone")
    assert code == 2 and "there is no bundle at" in document["error"]


@pytest.mark.parametrize("python", PYTHONS)
def test_its_helper_processes_start_from_inside_the_file(tmp_path: Path, python: str) -> None:
    """The power sampler is a process of its own, and there is no folder that it could load."""
    pyz = tmp_path / NAME
    write_runtime(pyz)
    tools = str(ROOT / "tests" / "bin")
    script = (
        "import os, sys, runpy; os.environ['PATH'] = sys.argv.pop(1) + ':' + os.environ['PATH'];"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [
            python,
            "-c",
            script,
            tools,
            str(pyz),
            "power",
            "--power",
            "tegrastats",
            "--duration",
            "1",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["board"]["rails"] == ["VDD_IN"]


def test_the_host_runs_a_bundle_through_it(tmp_path: Path) -> None:
    """With onnxruntime in place of TensorRT, which it falls back to."""
    pyz, bundle = tmp_path / NAME, make_bundle(tmp_path / "tiny.bundle")
    write_runtime(pyz)
    code, document, _ = call(sys.executable, pyz, "verify", bundle)
    assert code == 0 and document["backend"].startswith("onnxruntime")
    assert document["golden"][0]["error"] <= document["golden"][0]["tolerance"]
