"""What the operators that multiply weights share: attributes, shapes and their arithmetic."""

from __future__ import annotations

import math

from edgesynth.core.errors import UserError
from edgesynth.operators.spec import Attribute, Attributes, Dtype, Shape, Tensor

_FLOATS: tuple[Dtype, ...] = ("float32", "float16")

LINEAR_INPUT = Tensor("x", ("N", "K"), _FLOATS, "activations")
LINEAR_OUTPUT = Tensor("y", ("N", "M"), _FLOATS, "act(x . weights + bias [+ residual])")
LINEAR_RESIDUAL = Tensor("residual", ("N", "M"), _FLOATS, "is added before the activation")
CONV_INPUT = Tensor("x", ("N", "C", "H", "W"), _FLOATS, "activations")
CONV_OUTPUT = Tensor("y", ("N", "M", "P", "Q"), _FLOATS, "act(conv(x) + bias [+ residual])")
CONV_RESIDUAL = Tensor("residual", ("N", "M", "P", "Q"), _FLOATS, "is added before the activation")

BIAS = Attribute("bias", "FLOAT TENSOR", "M numbers, one per output channel")
ACTIVATION = Attribute("activation", "INT", "0 none, 1 ReLU", default=0, among=(0, 1))

LINEAR_WEIGHT_SHAPE = Attribute(
    "weight_shape", "INTS", "M, K: output and input features", length=2, lowest=1
)
CONV_WEIGHT_SHAPE = Attribute(
    "weight_shape",
    "INTS",
    "M, C / group, kernel height, kernel width, as of an ONNX Conv",
    length=4,
    lowest=1,
)
CONV_GEOMETRY = (
    Attribute("strides", "INTS", "down, right", default=(1, 1), length=2, lowest=1),
    Attribute("pads", "INTS", "top, left, bottom, right", default=(0, 0, 0, 0), length=4, lowest=0),
    Attribute("dilations", "INTS", "down, right", default=(1, 1), length=2, lowest=1),
    Attribute("group", "INT", "groups of channels; divides C and M", default=1, lowest=1),
)


def columns(attributes: Attributes) -> int:
    """Weights of one output channel, K or C / group times the window."""
    return math.prod(attributes["weight_shape"][1:])


def linear_shapes(attributes: Attributes, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """(N, M) from x (N, K) and perhaps a residual (N, M)."""
    filters, features = attributes["weight_shape"]
    source = inputs[0]
    if len(source) != 2 or source[1] != features:
        raise UserError(f"x has shape {list(source)}, the weights take (N, {features})")
    return _with_residual((source[0], filters), inputs)


def conv_shapes(attributes: Attributes, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """(N, M, P, Q) from x (N, C, H, W) and perhaps a residual of the output's shape."""
    filters, per_group, *window = attributes["weight_shape"]
    source, channels = inputs[0], per_group * attributes["group"]
    if len(source) != 4 or source[1] != channels:
        raise UserError(f"x has shape {list(source)}, the weights take (N, {channels}, H, W)")
    sides = [
        output_side(
            source[2 + axis],
            window[axis],
            attributes["strides"][axis],
            (attributes["pads"][axis], attributes["pads"][2 + axis]),
            attributes["dilations"][axis],
        )
        for axis in (0, 1)
    ]
    if min(sides) < 1:
        raise UserError(f"x of {source[2]} x {source[3]} is smaller than the window of the weights")
    return _with_residual((source[0], filters, *sides), inputs)


def output_side(side: int, window: int, stride: int, pads: tuple[int, int], dilation: int) -> int:
    """Extent of a convolution's output along one axis; 0 or less where the window does not fit."""
    return (side + sum(pads) - (dilation * (window - 1) + 1)) // stride + 1


def check_rows(attributes: Attributes) -> None:
    """One bias per output channel, and groups that divide them."""
    filters, group = attributes["weight_shape"][0], attributes.get("group", 1)
    if attributes["bias"].size != filters:
        raise UserError(f"bias has {attributes['bias'].size} elements for {filters} outputs")
    if filters % group:
        raise UserError(f"group {group} does not divide {filters} filters")


def _with_residual(made: Shape, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
    if len(inputs) > 1 and inputs[1] != made:
        raise UserError(f"the residual has shape {list(inputs[1])}, the output {list(made)}")
    return (made,)
