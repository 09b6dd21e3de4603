"""Ends a stage with the operator that decides on the device who leaves there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgesynth.operators.nodes import add_functions, make_node
from edgesynth_rt.policy import KINDS, Gate

OPERATOR = "EsExitGate"
OUTPUTS = ("exit", "label", "confidence", "survivors", "count")


@dataclass(frozen=True)
class GateTensors:
    """Names of what the operator of one stage takes and gives."""

    threshold: str
    exit: str
    confidence: str

    def document(self) -> dict[str, str]:
        """As a manifest names them."""
        return {"threshold": self.threshold, "exit": self.exit, "confidence": self.confidence}


def add_gate(
    model: onnx.ModelProto, stage: str, logits: str, gate: Gate, classes: int
) -> GateTensors:
    """Put the operator behind `logits` of `model`, in place.

    The threshold becomes an input of the model, so that it changes without a new engine; the kind
    of the gate and its weights are attributes.
    """
    node = gate_node(stage, logits, f"{stage}_threshold", gate, classes)
    model.graph.node.append(node)
    batch = next(each for each in model.graph.output if each.name == logits)
    first = batch.type.tensor_type.shape.dim[0]
    extent = first.dim_value if first.HasField("dim_value") else first.dim_param
    tensors = GateTensors(f"{stage}_threshold", f"{stage}_exit", f"{stage}_confidence")
    model.graph.input.append(
        helper.make_tensor_value_info(tensors.threshold, TensorProto.FLOAT, [1])
    )
    model.graph.output.extend(
        [
            helper.make_tensor_value_info(tensors.exit, TensorProto.INT32, [extent]),
            helper.make_tensor_value_info(tensors.confidence, TensorProto.FLOAT, [extent]),
        ]
    )
    add_functions(model)
    return tensors


def gate_node(stage: str, logits: str, threshold: str, gate: Gate, classes: int) -> onnx.NodeProto:
    """The operator on the tensors `logits` and `threshold`; its outputs are `STAGE_exit`, ..."""
    weights = np.zeros(classes, np.float32) if gate.weights is None else gate.weights
    return make_node(
        OPERATOR,
        [logits, threshold],
        [f"{stage}_{name}" for name in OUTPUTS],
        {
            "classes": classes,
            "policy": KINDS.index(gate.kind),
            "gate_weights": np.asarray(weights, np.float32),
            "gate_bias": float(gate.bias),
        },
        f"{stage}/gate",
    )
