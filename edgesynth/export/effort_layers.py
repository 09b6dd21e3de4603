"""Puts EsEffortConv in place of the convolutions of an ONNX graph that have knobs set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgesynth.core.errors import CheckError
from edgesynth.export.products import Graph, Product, fold_normalization
from edgesynth.export.tidy import drop_unused, known_shapes
from edgesynth.operators.nodes import add_functions, make_node

LEVEL = "effort_level_{}"
"""Name of the input that an operator reads its level from, a constant of the file: change it, or
make it an input of the graph, to choose the effort while the engine runs."""


@dataclass(frozen=True)
class EffortLayer:
    """One convolution with knobs."""

    name: str
    attributes: Mapping[str, Any]
    """Of its EsEffortConv, complete."""
    level: int
    knobs: tuple[str, ...]
    """Names of those that are on, for people."""


def put_effort(model: onnx.ModelProto, layers: Sequence[EffortLayer]) -> list[dict[str, Any]]:
    """Replace convolutions of `model` in place and return an entry for the manifest for each.

    A convolution is known by its weights, as exporters rename what they fold.

    Raises CheckError for a layer that the file does not hold.
    """
    fold_normalization(model.graph)
    graph, shapes = Graph(model.graph), known_shapes(model)
    products = [found for node in model.graph.node if (found := graph.product(node)) is not None]
    entries: list[dict[str, Any]] = []
    for layer in layers:
        product = next((each for each in products if _is(each, layer)), None)
        if product is None:
            raise CheckError(
                f"the exported file holds no convolution with the weights of {layer.name}"
            )
        products.remove(product)
        level = LEVEL.format(len(entries))
        model.graph.initializer.append(
            numpy_helper.from_array(np.array([layer.level], np.int32), level)
        )
        tail = graph.tail(product.node, shapes)
        gone = (product.node, *(tail.nodes if layer.attributes["activation"] else ()))
        name = product.node.name or product.node.output[0]
        inputs, output = [product.node.input[0], level], gone[-1].output[0]
        graph.replace(gone, make_node("EsEffortConv", inputs, [output], layer.attributes, name))
        entries.append(_entry(name, product, layer))
    graph.commit()
    drop_unused(model.graph)
    add_functions(model)
    return entries


def _is(product: Product, layer: EffortLayer) -> bool:
    weights = layer.attributes["weights"].reshape(layer.attributes["weight_shape"])
    return product.weights.shape == weights.shape and np.allclose(
        product.weights, weights, rtol=1e-3, atol=1e-6 + 1e-4 * float(np.abs(weights).max())
    )


def _entry(name: str, product: Product, layer: EffortLayer) -> dict[str, Any]:
    return {
        "node": name,
        "type": "EsEffortConv",
        "weights": product.weights.size,
        "nonzero": int(np.count_nonzero(product.weights)),
        "bits": None,
        "estimate": "dense",
        "reason": f"{', '.join(layer.knobs)}; what an input saves is known when it is measured",
    }
