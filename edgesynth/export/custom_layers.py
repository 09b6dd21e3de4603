"""Puts operators in place of the layers of an ONNX graph, with what follows them folded in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgesynth.export.integers import IntegerWeight, find_integers
from edgesynth.export.layer_choice import Candidate, Choice, Mode, choose
from edgesynth.export.products import Graph, Product, fold_normalization
from edgesynth.export.tidy import Shapes, drop_unused, known_shapes
from edgesynth.hardware.kernel_roofline import Layer
from edgesynth.hardware.target import Target
from edgesynth.networks.network import Network
from edgesynth.operators.nodes import add_functions, make_node
from edgesynth.operators.packing import pack


@dataclass(frozen=True)
class Chosen:
    """What became of the layers of one file."""

    layers: tuple[dict[str, Any], ...] = ()
    """For the manifest: node, operator, figures and estimate, an entry per operator."""
    packed: frozenset[str] = frozenset()
    """Layers of the network whose integer codes are in the file as packed words."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if not self.layers:
            return ()
        counts = Counter(str(each["type"]) for each in self.layers)
        named = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        return (
            f"custom operators: {named}; a board needs edgesynth's plugin library for them "
            "(--operators none writes the plain graph)",
        )


def choose_operators(
    model: onnx.ModelProto, network: Network | None, target: Target, mode: Mode
) -> Chosen:
    """Replace layers of `model` in place; `network` says which weights are integers.

    With `auto`, nothing for a target that is not TensorRT, where the functions would run, which
    are dense; and low-bit layers stay where 8-bit hardware multiplies them.
    """
    if mode == "none" or (mode == "auto" and not target.is_tensorrt):
        return Chosen()
    fold_normalization(model.graph)
    integers = _integers(model, network, target, mode)
    graph, shapes = Graph(model.graph), known_shapes(model)
    layers, packed = [], set()
    for node in list(model.graph.node):
        product = graph.product(node)
        if product is None:
            continue
        integer = integers.get(node.output[0])
        layer = _candidate(product, integer, shapes)
        choice = choose(layer, mode)
        if choice is None:
            continue
        if integer is not None and choice.form == "Packed":
            packed.add(integer.layer)
        written = _write(graph, product, _weights(product, choice, integer), choice, shapes)
        layers.append(_entry(written, layer, choice))
    if layers:
        graph.commit()
        drop_unused(model.graph)
        add_functions(model)
    return Chosen(tuple(layers), frozenset(packed))


def _integers(
    model: onnx.ModelProto, network: Network | None, target: Target, mode: Mode
) -> dict[str, IntegerWeight]:
    """Integer weights by the output of their node, but for those that 8-bit hardware multiplies."""
    if network is None or not network.scales:
        return {}
    if mode == "auto" and target.quantization.allowed and network.description.precision.activations:
        return {}
    return {each.node.output[0]: each for each in find_integers(model.graph, network)}


def _candidate(product: Product, integer: IntegerWeight | None, shapes: Shapes) -> Candidate:
    weights = product.weights
    return Candidate(
        weights=weights.size,
        nonzero=int(np.count_nonzero(weights)),
        shape=_shape(product, shapes.get(product.node.input[0])),
        bits=None if integer is None else integer.bits,
    )


def _shape(product: Product, source: list[int | str | None] | None) -> Layer | None:
    """Of a product that reads a tensor of shape `source`; None where its size is not known."""
    name, filters = product.node.name, product.weights.shape[0]
    if product.kind == "Linear":
        features = product.weights.shape[1]
        return Layer(name, features, 1, 1, filters, 1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    if source is None or len(source) != 4:
        return None
    height, width = source[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    group, kernel = product.geometry["group"], product.weights.shape[2:]
    channels = group * product.weights.shape[1]
    strides, pads, dilations = (
        tuple(product.geometry[key]) for key in ("strides", "pads", "dilations")
    )
    return Layer(
        name, channels, height, width, filters, group, kernel, strides, pads, dilations, True
    )


def _weights(product: Product, choice: Choice, integer: IntegerWeight | None) -> dict[str, Any]:
    """The attributes that hold the weights."""
    shape = product.weights.shape
    if choice.form == "Packed" and integer is not None:
        words = pack(integer.codes.reshape(shape[0], -1), integer.bits)
        return {
            "weight_shape": shape,
            "words": words.ravel(),
            "scales": integer.scales,
            "bits": integer.bits,
        }
    flat = product.weights.ravel()
    positions = np.flatnonzero(flat) if flat.any() else np.zeros(1, np.int64)
    return {
        "weight_shape": shape,
        "positions": positions.astype(np.int32),
        "values": flat[positions],
    }


def _write(
    graph: Graph, product: Product, weights: Mapping[str, Any], choice: Choice, shapes: Shapes
) -> onnx.NodeProto:
    """Put the operator where the last of the nodes stands that it replaces."""
    tail = graph.tail(product.node, shapes)
    variant = f"Es{choice.form}{product.kind}{'Add' if tail.residual else ''}"
    inputs = [product.node.input[0], *([tail.residual] if tail.residual else [])]
    attributes = {
        **weights,
        **product.geometry,
        "bias": product.bias,
        "activation": int(tail.activates),
    }
    name = product.node.name or product.node.output[0]
    node = make_node(variant, inputs, [tail.last.output[0]], attributes, name)
    graph.replace((product.node, *tail.nodes), node)
    return node


def _entry(node: onnx.NodeProto, layer: Candidate, choice: Choice) -> dict[str, Any]:
    return {
        "node": node.name,
        "type": node.op_type,
        "weights": layer.weights,
        "nonzero": layer.nonzero,
        "bits": layer.bits if choice.form == "Packed" else None,
        "estimate": choice.estimate,
        "reason": choice.reason,
    }
