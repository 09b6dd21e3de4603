"""The ONNX function in ONNX Runtime."""

from __future__ import annotations

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper

from edgesynth.operators.function_body import OPSET
from edgesynth.operators.nodes import FUNCTION_IR, add_functions, make_node
from edgesynth.operators.spec import Attributes
from edgesynth.operators.specs import operator_named

_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT, "int32": TensorProto.INT32}


def run(
    name: str, inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, ...]:
    """In float32: a model-local function of opset 13 has constants of one type."""
    arrays = [(each if each.dtype == torch.int32 else each.float()).numpy() for each in inputs]
    model = single_node_model(name, [array.shape for array in arrays], attributes)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {value.name: array for value, array in zip(session.get_inputs(), arrays, strict=True)}
    return tuple(torch.from_numpy(each) for each in session.run(None, feed))


def single_node_model(
    name: str, shapes: list[tuple[int, ...]], attributes: Attributes
) -> onnx.ModelProto:
    """A model whose inputs, of `shapes`, and outputs are those of one operator."""
    operator = operator_named(name)
    sides = operator.shapes(attributes, tuple(shapes))
    inputs = [
        helper.make_tensor_value_info(f"in.{each.name}", _TYPES[each.dtypes[0]], shape)
        for each, shape in zip(operator.inputs_of(name), shapes, strict=True)
    ]
    outputs = [
        helper.make_tensor_value_info(f"out.{each.name}", _TYPES[each.dtypes[0]], shape)
        for each, shape in zip(operator.outputs, sides, strict=True)
    ]
    node = make_node(
        name, [each.name for each in inputs], [each.name for each in outputs], attributes, name
    )
    model: onnx.ModelProto = helper.make_model(
        helper.make_graph([node], name, inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=FUNCTION_IR,
    )
    add_functions(model)
    return model
