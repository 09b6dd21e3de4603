"""Convolutions and linear layers of an ONNX graph, and what can be folded into them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgesynth.export.tidy import Shapes, reads, replace_nodes

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Product:
    """A Conv or Gemm with constant float32 weights that an operator can replace."""

    node: NodeProto
    weights: Floats
    """As operators order them: (M, C / group, height, width) or (M, K)."""
    bias: Floats
    geometry: dict[str, Any]
    """Attributes of a convolution."""

    @property
    def kind(self) -> str:
        """The end of the operator's name."""
        return "Conv" if self.weights.ndim == 4 else "Linear"


@dataclass(frozen=True)
class Tail:
    """Nodes behind a product that its operator does too."""

    nodes: tuple[NodeProto, ...]
    last: NodeProto
    """The last of them, or the product itself."""
    residual: str | None
    """The other operand of the addition."""
    activates: bool
    """Whether a ReLU ends it."""


class Graph:
    """A graph under change: who reads what, and where nodes stand."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in set(reads(node)):
                self.readers[name].append(node)
        self.replaced: set[str] = set()
        self.placed: dict[str, NodeProto] = {}

    def product(self, node: NodeProto) -> Product | None:
        """`node` as a product, None where no operator can replace it."""
        if node.domain or len(node.input) < 2 or node.op_type not in ("Conv", "Gemm"):
            return None
        weights, bias = self._floats(node.input[1]), self._bias(node)
        given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if weights is None or bias is None or not weights.size:
            return None
        if node.op_type == "Conv":
            geometry = _geometry(given, weights)
            return None if geometry is None else Product(node, weights, bias, geometry)
        plain = given.get("alpha", 1.0) == 1 == given.get("beta", 1.0) and not given.get("transA")
        if not plain or weights.ndim != 2:
            return None
        rows = weights if given.get("transB") else np.ascontiguousarray(weights.T)
        if bias.size not in (1, len(rows)):
            return None
        return Product(node, rows, np.resize(bias, len(rows)), {})

    def tail(self, node: NodeProto, shapes: Shapes) -> Tail:
        """One addition of a tensor of the same shape and one ReLU behind `node`, as far as nothing
        else needs what stands between."""
        nodes: list[NodeProto] = []
        last, residual = node, None
        follower = self._sole_reader(last)
        if follower is not None and follower.op_type == "Add":
            residual = self._other(follower, last.output[0], shapes)
            if residual is not None:
                nodes.append(follower)
                last, follower = follower, self._sole_reader(follower)
        activates = follower is not None and follower.op_type == "Relu"
        if follower is not None and activates:
            nodes.append(follower)
            last = follower
        return Tail(tuple(nodes), last, residual, activates)

    def replace(self, old: tuple[NodeProto, ...], new: NodeProto) -> None:
        """Let `new` stand where the last of `old` stood; `commit` writes it."""
        gone = {each.output[0] for each in old}
        self.replaced |= gone
        self.placed[new.output[0]] = new
        for readers in self.readers.values():
            stays = [each for each in readers if each.output[0] not in gone]
            if len(stays) < len(readers):
                readers[:] = [*stays, new]

    def commit(self) -> None:
        """Write all replacements into the graph."""
        nodes: list[NodeProto] = []
        for node in self.graph.node:
            if node.output[0] in self.placed:
                nodes.append(self.placed[node.output[0]])
            elif node.output[0] not in self.replaced:
                nodes.append(node)
        replace_nodes(self.graph, nodes)

    def _sole_reader(self, node: NodeProto) -> NodeProto | None:
        (output, *_) = node.output
        readers = self.readers[output]
        if len(readers) != 1 or output in self.outputs or readers[0].domain:
            return None
        return readers[0]

    def _other(self, add: NodeProto, mine: str, shapes: Shapes) -> str | None:
        """The other operand, where both are activations of one known shape."""
        others = [name for name in add.input if name != mine]
        if len(others) != 1 or others[0] in self.weights:
            return None
        shape = shapes.get(mine)
        same = shape is not None and None not in shape and shapes.get(others[0]) == shape
        return others[0] if same else None

    def _floats(self, name: str) -> Floats | None:
        tensor = self.weights.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or tensor.external_data:
            return None
        values: Floats = numpy_helper.to_array(tensor)
        return values if np.isfinite(values).all() else None

    def _bias(self, node: NodeProto) -> Floats | None:
        """The bias as a flat array; zeros where there is none, None where it is computed."""
        if len(node.input) < 3 or not node.input[2]:
            weight = self.weights.get(node.input[1])
            turned = node.op_type == "Gemm" and not _attribute(node, "transB")
            return None if weight is None else np.zeros(weight.dims[int(turned)], np.float32)
        values = self._floats(node.input[2])
        one_row = values is not None and values.size == max(values.shape[-1:], default=1)
        return values.ravel() if values is not None and one_row else None


def fold_normalization(graph: onnx.GraphProto) -> None:
    """Fold every BatchNormalization into the Conv that only it reads.

    torch's exporter has done so already where it can; files of other origin may not have it.
    """
    view = Graph(graph)
    for node in list(graph.node):
        product = view.product(node) if node.op_type == "Conv" else None
        follower = view._sole_reader(node) if product is not None else None
        if product is None or follower is None or follower.op_type != "BatchNormalization":
            continue
        constants = [view._floats(name) for name in follower.input[1:5]]
        if len(follower.output) > 1 or any(each is None for each in constants):
            continue
        gamma, beta, mean, variance = (np.asarray(each, np.float64) for each in constants)
        epsilon = _attribute(follower, "epsilon")
        factor = gamma / np.sqrt(variance + (1e-5 if epsilon is None else epsilon))
        weights = product.weights * factor.reshape(-1, 1, 1, 1)
        bias = (product.bias - mean) * factor + beta
        output = follower.output[0]
        names = [f"{output}_weights", f"{output}_bias"]
        for name, values in zip(names, (weights, bias), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
            view.weights[name] = graph.initializer[-1]
        folded = NodeProto()
        folded.CopyFrom(node)
        folded.input[1:] = names
        folded.output[0] = output
        view.replace((node, follower), folded)
    view.commit()


def _geometry(given: dict[str, Any], weights: Floats) -> dict[str, Any] | None:
    """Attributes of the operator; None for one-dimensional or automatically padded convolutions."""
    if weights.ndim != 4 or given.get("auto_pad", b"NOTSET") != b"NOTSET":
        return None
    defaults = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1}
    return {name: given.get(name, default) for name, default in defaults.items()}


def _attribute(node: NodeProto, name: str) -> Any:
    """Value of an attribute, None where the node does not have it."""
    for each in node.attribute:
        if each.name == name:
            return helper.get_attribute_value(each)
    return None
