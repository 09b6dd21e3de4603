"""The body of EsEffortConv in standard operators: it computes everything and leaves out afterwards.

Where all nodes of a file have a shortcut switched off, the body does not mention it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from onnx import TensorProto

from edgesynth.operators.convolution_function import END, activated, convolved, span
from edgesynth.operators.effort_spec import PREDICTED
from edgesynth.operators.function_body import Body


def write_effort(body: Body) -> None:
    """Write all of it."""
    x = _significant(body)
    rank, channels = _order(body)
    weights = body.op("Reshape", [body.given("weights"), body.given("weight_shape")])
    multiply: Callable[[str], str]
    if body.common.get("similarity", 0.0) < 0:
        multiply = partial(_convolved, body, x)
    else:
        multiply = partial(_multiplied, body, _windows(body, x))
    y = activated(body, multiply(_first(body, weights, rank, channels)))
    if body.common.get("saturation", PREDICTED) == PREDICTED:
        prefix = body.given_as("prefix_channels", TensorProto.FLOAT)
        y = _predicted(body, y, multiply(_first(body, weights, rank, prefix)), prefix, channels)
    if body.common.get("sample_period") != 1:
        y = _sampled(body, y)
    body.returns("y", y)


def _significant(body: Body) -> str:
    """x, with 0 for what is too small to count."""
    x = body.inner("x")
    if body.common.get("input_threshold") == 0:
        return x
    small = body.op("Less", [body.op("Abs", [x]), body.given("input_threshold")])
    return body.op("Where", [small, body.constant(0.0), x])


def _order(body: Body) -> tuple[str, str]:
    """The rank of every channel, and how many are added up at the level of effort, as floats."""
    levels = body.given("level_channels")
    top = body.op("Sub", [body.op("Shape", [levels]), body.constant([1], np.int64)])
    level = body.op("Cast", [body.inner("effort")], to=TensorProto.INT64)
    level = body.op("Max", [body.op("Min", [level, top]), body.constant([0], np.int64)])
    channels = body.op("Cast", [body.op("Gather", [levels, level], axis=0)], to=TensorProto.FLOAT)
    order = body.given("channel_order")
    rank = _count_up(body, body.op("Shape", [order]))
    return body.op("ScatterElements", [rank, order, rank], axis=0), channels


def _count_up(body: Body, size: str) -> str:
    """0, 1, 2 ... as floats, as many as the one number in `size`."""
    ones = body.op("Add", [body.op("ConstantOfShape", [size]), body.constant(1.0)])
    return body.op("CumSum", [ones, body.constant(0, np.int64)], exclusive=1)


def _first(body: Body, weights: str, rank: str, count: str) -> str:
    """Weights in which the channels from rank `count` on are 0."""
    kept = body.op("Cast", [body.op("Less", [rank, count])], to=TensorProto.FLOAT)
    shape = body.constant([1, -1, 1, 1], np.int64)
    return body.op("Mul", [weights, body.op("Reshape", [kept, shape])])


def _convolved(body: Body, x: str, weights: str) -> str:
    return convolved(body, x, weights, body.given("bias"))


def _windows(body: Body, x: str) -> str:
    """(N, C * window, P, Q): every window of x, or its mean so many times where it is similar.

    One-hot filters cut the windows out of single channels.
    """
    shape = body.given("weight_shape")
    window = body.op("Slice", [shape, *span(body, 2, 4)])
    size = body.op("ReduceProd", [window], keepdims=1)
    one = body.constant([1], np.int64)
    place = _count_up(body, size)
    across, along = (
        body.op("Reshape", [place, body.constant(shape, np.int64)]) for shape in ([-1, 1], [1, -1])
    )
    unit = body.op("Cast", [body.op("Equal", [across, along])], to=TensorProto.FLOAT)
    cutter = body.op("Reshape", [unit, body.op("Concat", [size, one, window], axis=0)])
    sides = body.op("Slice", [body.op("Shape", [x]), *span(body, 2, 4)])
    apart = body.op("Concat", [body.constant([-1, 1], np.int64), sides], axis=0)
    maps = body.op("Reshape", [x, apart])
    cut = convolved(body, maps, cutter, grouped=False)  # (N * C, window, P, Q)
    most = body.op("ReduceMax", [cut], axes=[1], keepdims=1)
    least = body.op("ReduceMin", [cut], axes=[1], keepdims=1)
    differ = body.op("Greater", [body.op("Sub", [most, least]), body.given("similarity")])
    mean = body.op("ReduceMean", [cut], axes=[1], keepdims=1)
    chosen = body.op("Where", [differ, cut, mean])
    batch = body.op("Slice", [body.op("Shape", [x]), *span(body, 0, 1)])
    outputs = body.op("Slice", [body.op("Shape", [cut]), *span(body, 2, 4)])
    back = body.op("Concat", [batch, body.constant([-1], np.int64), outputs], axis=0)
    return body.op("Reshape", [chosen, back])


def _multiplied(body: Body, windows: str, weights: str) -> str:
    """Weights times windows: a convolution of 1 x 1."""
    filters = body.op("Slice", [body.given("weight_shape"), *span(body, 0, 1)])
    flat = body.op("Concat", [filters, body.constant([-1, 1, 1], np.int64)], axis=0)
    made = body.op("Conv", [windows, body.op("Reshape", [weights, flat]), body.given("bias")])
    body.pass_on("group")
    return made


def _predicted(body: Body, y: str, sums: str, prefix: str, channels: str) -> str:
    """0 where the sum of the prefix lies below its threshold and more channels would follow."""
    limits = body.op(
        "Reshape", [body.given("prefix_thresholds"), body.constant([-1, 1, 1], np.int64)]
    )
    below = body.op("Less", [sums, limits])
    below = body.op("And", [below, body.op("Less", [prefix, channels])])
    if body.common.get("saturation") is None:
        wanted = body.given_as("saturation", TensorProto.FLOAT)
        predicts = body.op("Greater", [wanted, body.constant(PREDICTED - 0.5)])
        below = body.op("And", [below, predicts])
    return body.op("Where", [below, body.constant(0.0), y])


def _sampled(body: Body, y: str) -> str:
    """Outputs that the samples around them agree on, interpolated.

    A sample and its right and lower neighbours are spread over the period x period outputs between
    them, in six axes: (N, M, P / period, period, Q / period, period).
    """
    period = body.op("Reshape", [body.given("sample_period"), body.constant([1], np.int64)])
    starts, ends = body.constant([0, 0], np.int64), body.constant([END, END], np.int64)
    axes = body.constant([2, 3], np.int64)
    steps = body.op("Concat", [period, period], axis=0)
    samples = body.op("Slice", [y, starts, ends, axes, steps])
    below = _shifted(body, samples, 2)
    corners = [samples, _shifted(body, samples, 3), below, _shifted(body, below, 3)]
    most, least = body.op("Max", corners), body.op("Min", corners)
    low = body.op("Less", [most, body.given("sample_below")])
    close = body.op("Less", [body.op("Sub", [most, least]), body.given("sample_within")])
    agree = body.op("Cast", [body.op("And", [low, close])], to=TensorProto.FLOAT)

    shape = body.op("Shape", [samples])
    one = body.constant([1], np.int64)
    head, down = (body.op("Slice", [shape, *span(body, *at)]) for at in ((0, 2), (2, 3)))
    right = body.op("Slice", [shape, *span(body, 3, 4)])
    six = body.op("Concat", [head, down, one, right, one], axis=0)
    spread = [body.op("Reshape", [each, six]) for each in (*corners, agree)]
    over, under = _ramp(body, period, [1, -1]), _ramp(body, period, [-1, 1, 1])
    first, second = (_between(body, spread[i], spread[i + 1], over) for i in (0, 2))
    value = _between(body, first, second, under)
    sums = body.op("Add", [over, under])
    agree = body.op("Mul", [spread[4], body.op("Sign", [sums])])  # never at a sample itself

    sides = [body.op("Mul", [each, period]) for each in (down, right)]
    four = body.op("Concat", [head, *sides], axis=0)
    size = body.op("Slice", [body.op("Shape", [y]), *span(body, 2, 4)])
    value, agree = (
        body.op("Slice", [body.op("Reshape", [each, four]), starts, size, axes])
        for each in (value, agree)
    )
    return body.op("Where", [body.op("Greater", [agree, body.constant(0.5)]), value, y])


def _shifted(body: Body, samples: str, axis: int) -> str:
    """The next sample along `axis`; the last one again at the end."""
    at = body.constant([axis], np.int64)
    rest = body.op("Slice", [samples, *span(body, 1, END), at])
    last = body.op("Slice", [samples, *span(body, -1, END), at])
    return body.op("Concat", [rest, last], axis=axis)


def _ramp(body: Body, period: str, shape: list[int]) -> str:
    """0, 1 / period, 2 / period ... along one of the spread axes."""
    share = body.op(
        "Div", [_count_up(body, period), body.op("Cast", [period], to=TensorProto.FLOAT)]
    )
    return body.op("Reshape", [share, body.constant(shape, np.int64)])


def _between(body: Body, a: str, b: str, share: str) -> str:
    return body.op("Add", [a, body.op("Mul", [share, body.op("Sub", [b, a])])])
