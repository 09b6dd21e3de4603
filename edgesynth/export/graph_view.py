"""A read-only view of an ONNX model for the rules: every node, with what is known around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper

from edgesynth.export.tidy import Shapes, known_shapes, nested_graphs, without_weights

DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Scope:
    """What the nodes of one graph can see."""

    constants: Mapping[str, TensorProto | None]
    """Tensors that are constant; None where the value is the result of other constants."""
    types: Mapping[str, str]
    """Type by tensor, numpy's name; only as far as inference reaches."""
    shapes: Shapes

    def rank(self, tensor: str) -> int | None:
        """Number of axes of `tensor`, None where it is not known."""
        shape = self.shapes.get(tensor)
        return None if shape is None else len(shape)


@dataclass(frozen=True)
class View:
    """One node where it stands."""

    node: NodeProto
    scope: Scope
    place: str
    """`node "/head/Mod" (Mod)`, as messages name it."""

    @property
    def is_standard(self) -> bool:
        """True for an operator of ONNX's default domain."""
        return self.node.domain in DEFAULT_DOMAINS

    def attribute(self, name: str) -> object:
        """Value of an attribute, None where the node has none of that name; text as `str`."""
        for attribute in self.node.attribute:
            if attribute.name == name and not attribute.ref_attr_name:
                value = helper.get_attribute_value(attribute)
                return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return None

    def given(self, position: int) -> str | None:
        """Name of the input at `position`, None where it is left out."""
        inputs = self.node.input
        return inputs[position] if position < len(inputs) and inputs[position] else None


def views(model: onnx.ModelProto, *, functions: bool = True) -> Iterator[View]:
    """Every node of `model`: of its graph, of graphs inside of nodes, and of its `functions`."""
    scope = Scope({}, _types(model), known_shapes(model))
    yield from _of_graph(model.graph, scope, "")
    for function in model.functions if functions else ():
        empty = Scope({}, {}, {})
        yield from _of_nodes(list(function.node), empty, f"function {function.name}, ")


def numpy_name(element_type: int) -> str:
    """numpy's name of an ONNX element type, else ONNX's own in lower case (`bfloat16`)."""
    if element_type not in TensorProto.DataType.values():
        return f"type {element_type}"
    name: str = TensorProto.DataType.Name(element_type).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _types(model: onnx.ModelProto) -> dict[str, str]:
    inferred = onnx.shape_inference.infer_shapes(without_weights(model)).graph
    types = {tensor.name: numpy_name(tensor.data_type) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if value.type.HasField("tensor_type"):
            types[value.name] = numpy_name(value.type.tensor_type.elem_type)
    return types


def _of_graph(graph: onnx.GraphProto, outer: Scope, prefix: str) -> Iterator[View]:
    constants = {**outer.constants, **{tensor.name: tensor for tensor in graph.initializer}}
    yield from _of_nodes(list(graph.node), Scope(constants, outer.types, outer.shapes), prefix)


def _of_nodes(nodes: list[NodeProto], scope: Scope, prefix: str) -> Iterator[View]:
    constants = dict(scope.constants)
    inner = Scope(constants, scope.types, scope.shapes)
    for index, node in enumerate(nodes):
        name = f'"{node.name}"' if node.name else f"number {index}"
        place = f"{prefix}node {name} ({node.op_type})"
        yield View(node, inner, place)
        for graph in nested_graphs(node):
            yield from _of_graph(graph, inner, f"{place}, ")
        _note_constants(node, constants)


def _note_constants(node: NodeProto, constants: dict[str, TensorProto | None]) -> None:
    """A Constant is one, and so is what is computed from constants only."""
    if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
        constants[node.output[0]] = node.attribute[0].t
    elif node.op_type == "Constant" or (node.input and all(n in constants for n in node.input)):
        constants.update(dict.fromkeys(node.output))
