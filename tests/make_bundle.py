"""A tiny, real bundle on disk, for the tests of every part.

    folder = make_bundle(tmp_path / "tiny.bundle")

The network is Conv 3x3 -> ReLU -> global average -> Gemm, small enough to run in microseconds.
Golden outputs come from ONNX's own reference evaluator, not from the runtime under test.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SAMPLES = 8


def make_bundle(
    folder: Path,
    *,
    name: str = "tiny",
    channels: int = 1,
    size: int = 8,
    classes: int = 10,
    width: int = 4,
    batch: int | str = 1,
    seed: int = 0,
    **manifest: Any,
) -> Path:
    """Write a bundle of one stage to `folder` and return it.

    `channels` x `size` x `size` images, `classes` logits, `width` hidden channels (more of them
    make it slower), `batch` a number or "N". Further keywords replace keys of the manifest.
    """
    model = make_model(channels, size, classes, width, batch, seed)
    pixels = np.random.default_rng(seed).integers(
        0, 256, (SAMPLES, channels, size, size), dtype=np.uint8
    )
    inputs = ((pixels * np.float32(1 / 255)) - np.float32(0.5)) / np.float32(0.25)
    outputs = _reference(model, inputs)
    folder.mkdir(parents=True)
    (folder / "main.onnx").write_bytes(model.SerializeToString())
    np.savez(folder / "golden.npz", **{"input/input": inputs, "output/logits": outputs})
    document = {
        "schema": "edgesynth.bundle/1",
        "name": name,
        "task": "classification",
        "target": "onnxruntime",
        "stages": [
            {
                "id": "main",
                "onnx": "main.onnx",
                "sha256": sha256(folder / "main.onnx"),
                "inputs": [_tensor("input", [batch, channels, size, size])],
                "outputs": [_tensor("logits", [batch, classes])],
            }
        ],
        "policy": None,
        "operators": [],
        "golden": {
            "file": "golden.npz",
            "sha256": sha256(folder / "golden.npz"),
            "samples": SAMPLES,
            "atol": 1e-4,
            "rtol": 1e-3,
        },
        "preprocessing": {
            "layout": "NCHW",
            "dtype": "uint8",
            "scale": 1 / 255,
            "mean": [0.5] * channels,
            "std": [0.25] * channels,
        },
        "labels": [str(index) for index in range(classes)],
        "accuracy": {},
        "cost": {
            "params": channels * width * 9 + width + width * classes + classes,
            "macs": channels * width * 9 * size * size + width * classes,
            "size_bytes": 4 * (channels * width * 9 + width + width * classes + classes),
        },
        "provenance": {
            "parent": None,
            "command": "tests/make_bundle.py",
            "seed": seed,
            "versions": {"onnx": onnx.__version__},
        },
    }
    write_manifest(folder, {**document, **manifest})
    return folder


def make_model(
    channels: int = 1,
    size: int = 8,
    classes: int = 10,
    width: int = 4,
    batch: int | str = 1,
    seed: int = 0,
) -> onnx.ModelProto:
    """The network of `make_bundle`, opset 13, IR 7."""
    draw = np.random.default_rng(seed)
    weights = {
        "conv.weight": draw.standard_normal((width, channels, 3, 3)).astype(np.float32),
        "conv.bias": draw.standard_normal(width).astype(np.float32),
        "fc.weight": draw.standard_normal((classes, width)).astype(np.float32),
        "fc.bias": draw.standard_normal(classes).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input", "conv.weight", "conv.bias"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", float32, [batch, channels, size, size])],
        [helper.make_tensor_value_info("logits", float32, [batch, classes])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    return model


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the bundle in `folder`."""
    document: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return document


def write_manifest(folder: Path, document: dict[str, Any]) -> None:
    """Replace the manifest of the bundle in `folder`."""
    (folder / "manifest.json").write_text(json.dumps(document, indent=2))


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tensor(name: str, shape: list[int | str]) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": shape}


def _reference(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    """Logits of every sample, one at a time."""
    evaluator = ReferenceEvaluator(model)
    return np.concatenate(
        [evaluator.run(None, {"input": inputs[i : i + 1]})[0] for i in range(len(inputs))]
    )
