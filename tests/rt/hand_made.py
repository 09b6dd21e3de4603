"""Bundles written by hand, without onnx: for tests that also run on the boards' Python 3.6."""

import hashlib
import io
import json
import os

import numpy as np
import pytest

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import UserError

EMPTY_GRAPH = b"\x08\x07\x3a\x00"  # ir_version 7, a graph of no bytes: whole, and runs nowhere
SAMPLES = 3


def write_bundle(folder, change=None, onnx=EMPTY_GRAPH, golden=None):
    """Write a bundle of 2 x 3 x 3 images and 4 classes; `change(manifest)` edits the manifest."""
    folder = str(folder)
    os.makedirs(folder)
    golden = golden_bytes() if golden is None else golden
    for name, data in (("main.onnx", onnx), ("golden.npz", golden)):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data)
    manifest = make_manifest(sha256(onnx), sha256(golden))
    if change is not None:
        change(manifest)
    write_manifest(folder, manifest)
    return folder


def make_manifest(onnx_sha256, golden_sha256):
    """A manifest with every key."""
    return {
        "schema": "edgesynth.bundle/1",
        "name": "hand-made",
        "task": "classification",
        "target": "jetpack-4.6",
        "stages": [
            {
                "id": "main",
                "onnx": "main.onnx",
                "sha256": onnx_sha256,
                "inputs": [{"name": "input", "dtype": "float32", "shape": [1, 2, 3, 3]}],
                "outputs": [{"name": "logits", "dtype": "float32", "shape": [1, 4]}],
            }
        ],
        "policy": None,
        "operators": [],
        "golden": {
            "file": "golden.npz",
            "sha256": golden_sha256,
            "samples": SAMPLES,
            "atol": 1e-4,
            "rtol": 1e-3,
        },
        "preprocessing": {
            "layout": "NCHW",
            "dtype": "uint8",
            "scale": 0.5,
            "mean": [1.0, 2.0],
            "std": [2.0, 4.0],
        },
        "labels": ["a", "b", "c", "d"],
        "accuracy": {"validation": 0.9, "test": 0.89, "data": "digits"},
        "cost": {"params": 10, "macs": 20, "size_bytes": 40},
        "provenance": {"parent": None, "command": "", "seed": 0, "versions": {"numpy": "1.19.5"}},
    }


def golden_arrays():
    """The arrays of the golden file."""
    inputs = np.arange(SAMPLES * 18, dtype=np.float32).reshape(SAMPLES, 2, 3, 3)
    outputs = np.arange(SAMPLES * 4, dtype=np.float32).reshape(SAMPLES, 4)
    return {"input/input": inputs, "output/logits": outputs}


def golden_bytes(**replaced):
    """The golden file; keywords `input` and `logits` replace an array, None leaves it out."""
    arrays = golden_arrays()
    for name, array in replaced.items():
        key = "input/input" if name == "input" else "output/" + name
        arrays.pop(key)
        if array is not None:
            arrays[key] = array
    return npz_bytes(arrays)


def npz_bytes(arrays):
    """The bytes of an `.npz` file with `arrays`, a dict."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def write_manifest(folder, manifest):
    """Write manifest.json; `manifest` may also be its bytes."""
    data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode("utf-8")
    with open(os.path.join(str(folder), "manifest.json"), "wb") as stream:
        stream.write(data)


def sha256(data):
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def refused(path):
    """The one line with which the bundle is refused."""
    with pytest.raises(UserError) as caught:
        open_bundle(str(path))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600 and message.isprintable()
    return message


class LinearRunner(object):
    """A runner of a linear classifier in numpy: sums each quarter of the input."""

    name = "numpy"
    precision = None

    def __init__(self, batch=None):
        self.batch = batch
        self.seen = []

    def run(self, inputs):
        values = inputs["input"]
        self.seen.append(len(values))
        if self.batch is not None:
            assert len(values) == self.batch
        flat = values.reshape(len(values), -1)[:, :16].reshape(len(values), 4, 4)
        return {"logits": flat.sum(axis=2)}
