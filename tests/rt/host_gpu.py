"""A machine with TensorRT and a GPU, made of the recorded interface and of host memory.

The bundle is the one of `hand_made`, whose classifier sums quarters of its input.
"""

import ctypes
import os
import subprocess
import sys

import hand_made
import numpy as np
import pytest
import recorded_tensorrt

from edgesynth_rt import cudart

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "host_cudart.c")
IO = [("input", True, "float32", (1, 2, 3, 3)), ("logits", False, "float32", (1, 4))]


def classify(onnx, inputs):
    """What the golden arrays of `golden()` hold: sums of four values each."""
    return hand_made.LinearRunner().run({"input": inputs["input"]})


def golden():
    """A golden file that `classify` agrees with."""
    inputs = np.random.RandomState(0).uniform(-1, 1, (3, 2, 3, 3)).astype(np.float32)
    return hand_made.golden_bytes(input=inputs, logits=classify(None, {"input": inputs})["logits"])


def write_bundle(folder, **keywords):
    """The hand-made bundle with golden arrays that belong to its classifier."""
    return hand_made.write_bundle(folder, golden=golden(), **keywords)


def compile_cudart(folder):
    """Compile the stand-in for libcudart into `folder`; returns its path."""
    path = os.path.join(str(folder), "libcudart.so")
    compiler = os.environ.get("CC", "gcc")
    try:
        subprocess.check_call(
            [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", path, SOURCE]
        )
    except OSError:
        pytest.skip("no C compiler (%s) to make the stand-in for libcudart with" % compiler)
    return path


def install(monkeypatch, library, version="8.2.1", **world):
    """Make `import tensorrt` and the search for libcudart find stand-ins; returns the `World`."""
    made = recorded_tensorrt.World(
        world.pop("tensors", lambda onnx: IO), world.pop("compute", classify), **world
    )
    module = recorded_tensorrt.make_module(version, made)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(cudart, "SONAMES", (library,))
    return made


def control(library):
    """The stand-in's own functions: es_live, es_flags, es_devices, es_runtime, es_fail_next."""
    return ctypes.CDLL(library)
