"""Small ONNX models and modules that targets, parsers or exporters stumble over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgesynth.export.onnx_file import serialize

FLOAT = TensorProto.FLOAT


def model_of(
    nodes: Sequence[onnx.NodeProto],
    *,
    weights: dict[str, np.ndarray] | None = None,
    inputs: Sequence[tuple[str, int, Sequence[int | str]]] = (("input", FLOAT, (1, 3, 8, 8)),),
    outputs: Sequence[tuple[str, int, Sequence[int | str] | None]] = (
        ("out", FLOAT, (1, 3, 8, 8)),
    ),
    opset: int = 13,
    ir_version: int = 7,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model from its parts; the weights become initializers."""
    graph = helper.make_graph(
        list(nodes),
        "main",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(each, 1) for each in domains)]
    return helper.make_model(
        graph, opset_imports=imports, ir_version=ir_version, functions=list(functions)
    )


def classifier(opset: int = 13, ir_version: int = 7, batch: int | str = 1) -> onnx.ModelProto:
    """Conv, ReLU, global average, flatten, Gemm: fits every target at its opset."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["input", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "v"], ["logits"], "head", transB=1),
    ]
    weights = {
        "w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "b": rng.standard_normal(4).astype(np.float32),
        "v": rng.standard_normal((5, 4)).astype(np.float32),
    }
    return model_of(
        nodes,
        weights=weights,
        inputs=[("input", FLOAT, (batch, 3, 8, 8))],
        outputs=[("logits", FLOAT, (batch, 5))],
        opset=opset,
        ir_version=ir_version,
    )


def write_model(model: onnx.ModelProto, path: Path) -> Path:
    """Save `model` and return its path."""
    path.write_bytes(serialize(model))
    return path


class TwoHeads(nn.Module):
    """A dictionary of outputs whose ranges are far apart, as detectors return."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.trunk(x)
        return {"boxes": 600 * features, "scores": torch.sigmoid(features).mean((2, 3))}


class Branching(nn.Module):
    """Takes a Python branch on the data, which tracing freezes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        return flat * 2 if x.mean() > 0 else flat - 1


class FrozenBatch(nn.Module):
    """Bakes the batch of the example into the file."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(int(x.shape[0]), -1)[:, :5]
