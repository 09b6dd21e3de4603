"""Takes an ONNX model down to an older opset.

onnx's own converter cannot: it has no way back for operators whose newer version merely takes more
types, such as Relu and Add of opset 14, so it refuses every ordinary network. Here a node may stay
as it is where the older definition has all attributes and inputs that it uses; some newer operators
are written out. The caller proves with numbers that nothing changed (`opset.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import NodeProto, defs, helper, numpy_helper

from edgesynth.export.graph_view import DEFAULT_DOMAINS
from edgesynth.export.onnx_file import opset_of
from edgesynth.export.tidy import nested_graphs

_Constants = dict[str, onnx.TensorProto]


def lower_opset(model: onnx.ModelProto, wanted: int) -> onnx.ModelProto:
    """A copy of `model` at the opset `wanted`, below its own.

    Raises ValueError naming the node that cannot be written there.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    _lower_graph(lowered.graph, opset_of(model), wanted, {})
    for entry in lowered.opset_import:
        if entry.domain in DEFAULT_DOMAINS:
            entry.domain, entry.version = "", wanted
    return lowered


def _lower_graph(graph: onnx.GraphProto, opset: int, wanted: int, outer: _Constants) -> None:
    constants = {**outer, **{tensor.name: tensor for tensor in graph.initializer}}
    lowered: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            constants[node.output[0]] = node.attribute[0].t
        for each in _written_out(node, wanted):
            for inner in nested_graphs(each):
                _lower_graph(inner, opset, wanted, constants)
            _lower_node(each, opset, wanted, constants)
            lowered.append(each)
    del graph.node[:]
    graph.node.extend(lowered)


def _lower_node(node: NodeProto, opset: int, wanted: int, constants: _Constants) -> None:
    if node.domain not in DEFAULT_DOMAINS:
        return
    newer, older = _schema(node, opset), _schema(node, wanted)
    if newer is None or older is None:
        raise ValueError(f"{_place(node)}: opset {wanted} has no {node.op_type}")
    if newer.since_version == older.since_version:
        return
    if node.op_type.startswith("Reduce") and len(node.input) > older.max_input:
        _axes_to_attribute(node, constants)
    _lower_attributes(node, newer, older)
    while node.input and not node.input[-1]:
        del node.input[-1]
    if not older.min_input <= len(node.input) <= older.max_input:
        raise ValueError(f"{_place(node)}: it uses an input that opset {wanted} does not have")


def _lower_attributes(node: NodeProto, newer: defs.OpSchema, older: defs.OpSchema) -> None:
    """Drop attributes at their default that are new, write out defaults that changed."""
    for attribute in list(node.attribute):
        if attribute.name in older.attributes:
            continue
        default = newer.attributes[attribute.name].default_value
        split_evenly = (node.op_type, attribute.name) == ("Split", "num_outputs")
        same = helper.get_attribute_value(attribute) == helper.get_attribute_value(default)
        if not split_evenly and not (default.type and same):
            raise ValueError(f"{_place(node)}: its {attribute.name} is newer")
        node.attribute.remove(attribute)
    given = {attribute.name for attribute in node.attribute}
    for name in set(newer.attributes) & set(older.attributes) - given:
        default = newer.attributes[name].default_value
        if default.type and default != older.attributes[name].default_value:
            node.attribute.append(default)


def _axes_to_attribute(node: NodeProto, constants: _Constants) -> None:
    """Axes of reductions are an input since opset 18 (ReduceSum: 13)."""
    name = node.input[1]
    if name and name not in constants:
        raise ValueError(f"{_place(node)}: its axes are computed")
    if name:
        axes = numpy_helper.to_array(constants[name]).tolist()
        node.attribute.append(helper.make_attribute("axes", axes))
    del node.input[1:]


def _schema(node: NodeProto, opset: int) -> defs.OpSchema | None:
    try:
        return defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return None


def _place(node: NodeProto) -> str:
    return f'node "{node.name}" ({node.op_type})'


def _written_out(node: NodeProto, wanted: int) -> list[NodeProto]:
    """`node`, or the older operators that mean the same where `wanted` does not have it."""
    recipe = _RECIPES.get(node.op_type) if node.domain in DEFAULT_DOMAINS else None
    if recipe is None or _schema(node, wanted) is not None:
        return [node]
    nodes = list(recipe(node))
    for index, each in enumerate(nodes):
        each.name = f"{node.name}/{index}"
    return nodes


def _hard_swish(node: NodeProto) -> Iterator[NodeProto]:
    (x,), (y,) = node.input, node.output
    yield helper.make_node("HardSigmoid", [x], [f"{y}/gate"], alpha=1 / 6, beta=0.5)
    yield helper.make_node("Mul", [x, f"{y}/gate"], [y])


def _mish(node: NodeProto) -> Iterator[NodeProto]:
    (x,), (y,) = node.input, node.output
    yield helper.make_node("Softplus", [x], [f"{y}/plus"])
    yield helper.make_node("Tanh", [f"{y}/plus"], [f"{y}/gate"])
    yield helper.make_node("Mul", [x, f"{y}/gate"], [y])


def _gelu(node: NodeProto) -> Iterator[NodeProto]:
    (x,), (y,) = node.input, node.output
    if any(attribute.s == b"tanh" for attribute in node.attribute):
        raise ValueError(f"{_place(node)}: the approximation by tanh is not written out")
    yield _scalar(f"{y}/half", 0.5)
    yield _scalar(f"{y}/one", 1.0)
    yield _scalar(f"{y}/root", 2**0.5)
    yield helper.make_node("Div", [x, f"{y}/root"], [f"{y}/scaled"])
    yield helper.make_node("Erf", [f"{y}/scaled"], [f"{y}/erf"])
    yield helper.make_node("Add", [f"{y}/erf", f"{y}/one"], [f"{y}/sum"])
    yield helper.make_node("Mul", [x, f"{y}/sum"], [f"{y}/product"])
    yield helper.make_node("Mul", [f"{y}/product", f"{y}/half"], [y])


def _layer_normalization(node: NodeProto) -> Iterator[NodeProto]:
    given = {attribute.name: attribute for attribute in node.attribute}
    axis = given["axis"].i if "axis" in given else -1
    if axis >= 0 or len(node.output) > 1:
        raise ValueError(f"{_place(node)}: only a negative axis and one output are written out")
    x, y, axes = node.input[0], node.output[0], list(range(axis, 0))
    yield _scalar(f"{y}/epsilon", given["epsilon"].f if "epsilon" in given else 1e-5)
    yield helper.make_node("ReduceMean", [x], [f"{y}/mean"], axes=axes)
    yield helper.make_node("Sub", [x, f"{y}/mean"], [f"{y}/centred"])
    yield helper.make_node("Mul", [f"{y}/centred", f"{y}/centred"], [f"{y}/square"])
    yield helper.make_node("ReduceMean", [f"{y}/square"], [f"{y}/variance"], axes=axes)
    yield helper.make_node("Add", [f"{y}/variance", f"{y}/epsilon"], [f"{y}/safe"])
    yield helper.make_node("Sqrt", [f"{y}/safe"], [f"{y}/deviation"])
    bias = node.input[2] if len(node.input) > 2 else ""
    yield helper.make_node("Div", [f"{y}/centred", f"{y}/deviation"], [f"{y}/normal"])
    scaled = f"{y}/scaled" if bias else y
    yield helper.make_node("Mul", [f"{y}/normal", node.input[1]], [scaled])
    if bias:
        yield helper.make_node("Add", [scaled, bias], [y])


def _scalar(name: str, value: float) -> NodeProto:
    tensor = numpy_helper.from_array(np.array(value, np.float32))
    return helper.make_node("Constant", [], [name], value=tensor)


_RECIPES: dict[str, Callable[[NodeProto], Iterator[NodeProto]]] = {
    "Gelu": _gelu,
    "HardSwish": _hard_swish,
    "LayerNormalization": _layer_normalization,
    "Mish": _mish,
}
