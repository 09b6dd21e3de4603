"""An ONNX file: tensors, operator sets, operators, parameters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError
from edgesynth.hardware.onnx_graph import parameters

_STORED = ("values", "weights", "bias", "gate_weights")
"""Attributes of operators whose every element is a parameter."""

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto


def read_onnx(path: Path) -> dict[str, Any]:
    """What the ONNX file at `path` holds; weights in other files are not opened.

    Raises UserError when it cannot be read or is cut short.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"ONNX file {path} cannot be read: {error.strerror}") from None
    return {"size_bytes": len(data), **describe(data, f"ONNX file {path}")}


def describe(data: bytes, what: str) -> dict[str, Any]:
    """The same for the bytes of an ONNX file; `what` names it in error messages."""
    model = _parse(data, what)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    nodes = list(_nodes(model))
    return {
        "ir_version": model.ir_version,
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "inputs": [_tensor(value) for value in graph.input if value.name not in stored],
        "outputs": [_tensor(value) for value in graph.output],
        "operators": dict(Counter(_operator(node) for node in nodes).most_common()),
        "functions": [f"{each.domain}:{each.name}" for each in model.functions],
        "params": parameters(graph) + _in_operators(nodes),
    }


def _parse(data: bytes, what: str) -> ModelProto:
    import onnx

    try:
        model = onnx.load_from_string(data)
    except Exception:  # the class of protobuf's decoding error depends on its implementation
        raise UserError(f"{what} is cut short or not ONNX; export it again") from None
    if not model.graph.node or not model.opset_import:
        raise UserError(f"{what} holds no graph or is cut short; export it again")
    return model


def _tensor(value: ValueInfoProto) -> dict[str, Any]:
    """Name, dtype and shape; a free dimension is its name, or "?" without one."""
    from onnx import helper

    kind = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "unknown"
    shape = [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in kind.shape.dim
    ]
    return {"name": value.name, "dtype": dtype, "shape": shape}


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node of the graph and of the graphs inside its nodes; not of functions."""
    yield from _inside(model.graph.node)


def _inside(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _inside(graph.node)


def _in_operators(nodes: Iterable[NodeProto]) -> int:
    """Weights and biases that our operators hold as attributes: of sparse ones what is stored."""
    from edgesynth.operators.nodes import attributes_of, is_operator

    count = 0
    for node in nodes:
        if not is_operator(node):
            continue
        given = attributes_of(node)
        codes = math.prod(given["weight_shape"]) if "words" in given else 0
        stored = (given[name].size for name in _STORED if name in given)
        count += codes + sum(stored)
    return count


def _operator(node: NodeProto) -> str:
    return f"{node.domain}:{node.op_type}" if node.domain else str(node.op_type)
