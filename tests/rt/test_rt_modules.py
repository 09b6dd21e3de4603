"""The runtime as a whole: every module loads with the standard library and numpy alone."""

import json
import os
import subprocess
import sys

import pytest

import edgesynth_rt

FOLDER = os.path.dirname(edgesynth_rt.__file__)
MODULES = sorted(name[:-3] for name in os.listdir(FOLDER) if name.endswith(".py"))

# runs in a fresh interpreter: names what else was loaded besides Python's own and numpy
SCRIPT = """
import sys, os, importlib
before = set(sys.modules)
sys.path.insert(0, %r)
importlib.import_module("edgesynth_rt.%s")
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(" ".join(sorted(loaded & {"torch", "onnx", "onnxruntime", "msgspec", "click", "edgesynth"})))
"""


@pytest.mark.parametrize("name", MODULES)
def test_it_loads_without_anything_else(name):
    script = SCRIPT % (os.path.dirname(FOLDER), name)
    loaded = subprocess.check_output([sys.executable, "-c", script])
    assert loaded.decode().split() == []


HELPERS = ("sampler_process", "clock_guardian", "board_agent")
WITHOUT_NUMPY = """
import sys
sys.path.insert(0, %r)
sys.modules["numpy"] = None
from edgesynth_rt.%s import main
"""


@pytest.mark.parametrize("name", HELPERS)
def test_helper_processes_need_no_numpy(name):
    """They run with -I, which hides what `pip install --user` brought."""
    script = WITHOUT_NUMPY % (os.path.dirname(FOLDER), name)
    subprocess.check_call([sys.executable, "-I", "-c", script])


@pytest.mark.parametrize(
    ("numpy", "words"),
    [
        (None, "has no numpy; on a Jetson: sudo apt-get install python3-numpy"),
        ("raise ImportError('libopenblas.so.0: not found')", "does not load: libopenblas.so.0"),
    ],
)
def test_a_board_without_numpy_is_told_in_one_line(tmp_path, numpy, words):
    if numpy is not None:
        (tmp_path / "numpy.py").write_text(numpy)
    script = (
        "import sys; sys.path[:0] = [%r, %r]; sys.modules.update(%s)\n"
        "from edgesynth_rt.__main__ import main; sys.exit(main(['probe']))"
        % (os.path.dirname(FOLDER), str(tmp_path), "{}" if numpy else "{'numpy': None}")
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate()
    document = json.loads(out.decode())
    assert process.returncode == document["exit_code"] == 4
    assert words in document["error"] and err.decode().count("\n") == 1


def test_onnxruntime_missing_says_how_to_get_it(monkeypatch):
    from edgesynth_rt.errors import MissingError
    from edgesynth_rt.onnxruntime_runner import import_onnxruntime

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match="python3 -m pip install onnxruntime"):
        import_onnxruntime()
