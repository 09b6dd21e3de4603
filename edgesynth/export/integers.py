"""Integer weights in an ONNX file: codes and scales instead of the float values they stand for.

The file then has, in front of a layer, `DequantizeLinear` on an INT8 constant with one scale per
output channel. The numbers are those of the float file to the last bits; normalization that was
folded into a weight goes into its scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from edgesynth.networks.grid import codes_of, format_of, from_rows
from edgesynth.networks.network import Network

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose second input is a weight."""
_TOLERANCE = 1e-6
"""Of the greatest weight of a channel: float32 products in another order."""

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class _Place:
    """Codes of a layer in the shape of the file, which of its axes is the output channel."""

    codes: Codes
    axis: int


@dataclass(frozen=True)
class IntegerWeight:
    """A weight of a file whose values are the integer codes of a layer times scales."""

    node: onnx.NodeProto
    layer: str
    """Of the network."""
    codes: Codes
    """int8, in the shape of the weight in the file."""
    scales: Floats
    """float32, positive, one per output channel."""
    axis: int
    """Of the output channels."""
    bits: int
    """Of one code."""

    @property
    def weight(self) -> str:
        """Name of the tensor."""
        name: str = self.node.input[1]
        return name


def find_integers(graph: onnx.GraphProto, network: Network) -> list[IntegerWeight]:
    """The weights of `graph`, the file of `network`, that are on the grid of an integer format.

    A layer whose weights the exporter has changed by more than a factor per channel is left out.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    reads: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            reads.setdefault(name, []).append(node)
    free = [
        node
        for node in graph.node
        if node.op_type in WEIGHTED and node.input[1] in weights and len(reads[node.input[1]]) == 1
    ]
    found = []
    for parameter in network.scales:
        place = _find_layer(network, parameter.removesuffix(".weight"), free, weights)
        if place is not None:
            free.remove(place.node)
            found.append(place)
    return found


def write_integers(model: onnx.ModelProto, network: Network, *, constants: bool) -> set[str]:
    """Replace weights of `model`, the file of `network`, by codes and scales, in place.

    `constants`: the reader takes INT8 constants; otherwise float weights on the grid go through
    `QuantizeLinear` first. Returns the layers that were found and replaced; a layer whose weights
    the exporter has changed by more than a factor per channel keeps its float values.
    """
    found = find_integers(model.graph, network)
    for each in found:
        _replace(model.graph, each, constants)
    return {each.layer for each in found}


def _find_layer(
    network: Network,
    name: str,
    free: list[onnx.NodeProto],
    weights: Mapping[str, onnx.TensorProto],
) -> IntegerWeight | None:
    module = network.module.get_submodule(name)
    codes: Codes = from_rows(codes_of(network, name), module).cpu().numpy()
    for node in free:
        place = _place(node, module, codes)
        values = numpy_helper.to_array(weights[node.input[1]])
        if place is None or place.codes.shape != values.shape:
            continue
        fitted = _fit(values, place)
        if fitted is not None:
            return IntegerWeight(node, name, *fitted, place.axis, format_of(network, name).bits)
    return None


def _place(node: onnx.NodeProto, module: nn.Module, codes: Codes) -> _Place | None:
    if isinstance(module, _ConvTransposeNd):
        known = node.op_type == "ConvTranspose" and module.groups == 1
        return _Place(codes, 1) if known else None
    if isinstance(module, nn.Linear):
        if node.op_type == "MatMul":
            return _Place(codes.T, 1)
        turned = any(each.name == "transB" and each.i == 1 for each in node.attribute)
        return _Place(codes, 0) if node.op_type == "Gemm" and turned else None
    return _Place(codes, 0) if node.op_type == "Conv" else None


def _fit(values: Floats, place: _Place) -> tuple[Codes, Floats] | None:
    """Codes and positive scales whose products are `values`; None where there are none.

    A negative factor, which folding BatchNorm may bring, turns the codes of its channel around.
    """
    shape = [-1 if axis == place.axis else 1 for axis in range(values.ndim)]
    others = tuple(axis for axis in range(values.ndim) if axis != place.axis)
    wide, codes = values.astype(np.float64), place.codes.astype(np.float64)
    squares = (codes * codes).sum(axis=others)
    factors = (wide * codes).sum(axis=others) / np.maximum(squares, 1)
    codes *= np.where(factors < 0, -1, 1).reshape(shape)
    scales = np.abs(factors).astype(np.float32)
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    error = np.abs(codes * scales.reshape(shape) - wide).max(axis=others, initial=0)
    if (error > _TOLERANCE * np.abs(wide).max(axis=others, initial=0)).any():
        return None
    return codes.astype(np.int8), scales


def _replace(graph: onnx.GraphProto, found: IntegerWeight, constants: bool) -> None:
    """Nodes that make the tensor that was the weight from what takes its place."""
    name, codes, axis = found.weight, found.codes, found.axis
    weight = next(tensor for tensor in graph.initializer if tensor.name == name)
    stored, scale, zero = f"{name}_codes", f"{name}_scale", f"{name}_zero"
    nodes = [
        helper.make_node(
            "DequantizeLinear", [stored, scale, zero], [name], f"{name}_dequantize", axis=axis
        )
    ]
    if constants:
        weight.CopyFrom(numpy_helper.from_array(codes, stored))
    else:
        shape = [-1 if each == axis else 1 for each in range(codes.ndim)]
        values = codes.astype(np.float32) * found.scales.reshape(shape)
        weight.CopyFrom(numpy_helper.from_array(values, f"{name}_values"))
        inputs = [weight.name, scale, zero]
        quantize = helper.make_node(
            "QuantizeLinear", inputs, [stored], f"{name}_quantize", axis=axis
        )
        nodes.insert(0, quantize)
    graph.initializer.append(numpy_helper.from_array(found.scales, scale))
    graph.initializer.append(numpy_helper.from_array(np.zeros(len(found.scales), np.int8), zero))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
