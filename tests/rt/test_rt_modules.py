"""The runtime as a whole: every module loads with the standard library and numpy alone."""

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


def test_onnxruntime_missing_says_how_to_get_it(monkeypatch):
    from edgesynth_rt.errors import MissingError
    from edgesynth_rt.onnxruntime_runner import import_onnxruntime

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match="python3 -m pip install onnxruntime"):
        import_onnxruntime()
