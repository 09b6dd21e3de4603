"""Convolution and activation in the body of an ONNX function, for several operators."""

from __future__ import annotations

import numpy as np

from edgesynth.operators.function_body import Body

END = np.iinfo(np.int32).max
"""Of a Slice that goes to the end."""
_ONES = (1, 1)


def span(body: Body, start: int, end: int) -> tuple[str, str]:
    """Bounds of a Slice along one axis."""
    return body.constant([start], np.int64), body.constant([end], np.int64)


def convolved(
    body: Body, x: str, weights: str, bias: str | None = None, *, grouped: bool = True
) -> str:
    """A Conv with literal strides and dilations; others are made of slices and of zeros."""
    strides, dilations = body.common.get("strides"), body.common.get("dilations")
    if dilations is None:
        weights = _spread(body, weights)
    inputs = [x, weights, *([bias] if bias else [])]
    made = body.op("Conv", inputs, strides=strides or _ONES, dilations=dilations or _ONES)
    body.pass_on("pads")
    if grouped:
        body.pass_on("group")
    if strides is not None:
        return made
    starts, ends = body.constant([0, 0], np.int64), body.constant([END, END], np.int64)
    return body.op(
        "Slice", [made, starts, ends, body.constant([2, 3], np.int64), body.given("strides")]
    )


def activated(body: Body, sums: str) -> str:
    """What the attribute `activation` says."""
    activation = body.common.get("activation")
    if activation == 0:
        return sums
    if activation == 1:
        return body.op("Relu", [sums])
    bound = body.op("Gather", [body.constant([-np.inf, 0.0]), body.given("activation")], axis=0)
    return body.op("Max", [sums, bound])


def _spread(body: Body, weights: str) -> str:
    """Weights with dilation - 1 zeros between the rows and the columns of the window."""
    shape, dilations = body.given("weight_shape"), body.given("dilations")
    one = body.constant([1], np.int64)
    for axis in (0, 1):
        dilation = body.op("Slice", [dilations, *span(body, axis, axis + 1)])
        zeros = body.op("ConstantOfShape", [body.op("Sub", [dilation, one])])
        comb = body.op("Concat", [body.constant([1.0]), zeros], axis=0)
        comb = body.op("Reshape", [comb, body.constant(([-1, 1], [-1])[axis], np.int64)])
        unit = body.op("Unsqueeze", [weights, body.constant([3 + axis], np.int64)])
        combed = body.op("Mul", [unit, comb])  # (M, C, h, dilation, w), then (M, C, h, w, dilation)
        merged = body.constant([0, 0, -1] if axis == 0 else [0, 0, 0, -1], np.int64)
        if axis == 0:
            width = body.op("Slice", [shape, *span(body, 3, 4)])
            merged = body.op("Concat", [merged, width], axis=0)
        weights = body.op("Reshape", [combed, merged])
    window = body.op("Slice", [shape, *span(body, 2, 4)])
    extent = body.op("Add", [body.op("Mul", [dilations, body.op("Sub", [window, one])]), one])
    starts, axes = body.constant([0, 0], np.int64), body.constant([2, 3], np.int64)
    return body.op("Slice", [weights, starts, extent, axes])
