"""Puts operators in place of the layers of an ONNX graph, with what follows them folded in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgesynth.export.integers import IntegerWeight, find_integers
from edgesynth.export.layer_choice import Choice, Layer, Mode, choose, times_used
from edgesynth.export.products import Graph, Product, fold_normalization
from edgesynth.export.tidy import Shapes, drop_unused, known_shapes
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
        layer = _layer(product, integer, shapes)
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


def _layer(product: Product, integer: IntegerWeight | None, shapes: Shapes) -> Layer:
    weights = product.weights
    return Layer(
        weights=weights.size,
        nonzero=int(np.count_nonzero(weights)),
        window=int(np.prod(weights.shape[2:])),
        outputs=times_used(shapes.get(product.node.output[0])),
        bits=None if integer is None else integer.bits,
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


def _entry(node: onnx.NodeProto, layer: Layer, choice: Choice) -> dict[str, Any]:
    return {
        "node": node.name,
        "type": node.op_type,
        "weights": layer.weights,
        "nonzero": layer.nonzero,
        "bits": layer.bits if choice.form == "Packed" else None,
        "estimate": choice.estimate,
        "reason": choice.reason,
    }
