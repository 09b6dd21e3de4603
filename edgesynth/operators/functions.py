"""Every operator in standard ONNX operators: what ONNX Runtime runs, and TensorRT without plugin.

A file holds one function per operator type. Where all of its nodes agree in strides, dilations or
activation, the body says so plainly; otherwise it computes these from the attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from edgesynth.operators.function_body import Body, common_attributes
from edgesynth.operators.gate_function import write_gate
from edgesynth.operators.spec import Attributes
from edgesynth.operators.specs import operator_named

_ONES = (1, 1)
_END = np.iinfo(np.int32).max


def function_of(variant: str, nodes: Sequence[Attributes]) -> onnx.FunctionProto:
    """The function of the operator type `variant` for a file whose nodes have the complete
    attributes `nodes`."""
    operator = operator_named(variant)
    body = Body(operator, variant, common_attributes(nodes, operator.attributes))
    _WRITERS[operator.name](body)
    return body.function()


def _sparse_weights(body: Body) -> str:
    """Zeros of the weights' shape with the values at their positions."""
    shape = body.given("weight_shape")
    size = body.op("ReduceProd", [shape], keepdims=1)
    flat = body.op("ConstantOfShape", [size])
    filled = body.op(
        "ScatterElements", [flat, body.given("positions"), body.given("values")], axis=0
    )
    return body.op("Reshape", [filled, shape])


def _packed_weights(body: Body) -> str:
    """Codes out of their words (layout: `packing.py`), times the scale of their row.

    Half-words are below 2**16, so all arithmetic on them is exact in float32. ONNX Runtime computes
    this once, when it opens a file, and needs memory for every step of it: there are few.
    """
    bits = body.op("Cast", [body.given("bits")], to=TensorProto.INT64)
    per_half = body.op("Div", [body.constant(16, np.int64), bits])
    shape = body.given("weight_shape")
    rows = body.op("Slice", [shape, *_range(body, 0, 1)])
    two_axes = body.op("Concat", [rows, body.constant([-1], np.int64)], axis=0)
    halves = body.op("Reshape", [_half_words(body), two_axes])  # (rows, 2 * words)

    columns = body.op("ReduceProd", [body.op("Slice", [shape, *_range(body, 1, _END)])], keepdims=1)
    ones = body.op("ConstantOfShape", [columns], value=_filled(1))
    column = body.op("CumSum", [ones, body.constant(0, np.int64)], exclusive=1)
    word, field = _divided(body, column, body.op("Add", [per_half, per_half]))
    pair, odd = _divided(body, field, body.constant(2, np.int64))
    half = body.op("Add", [body.op("Add", [word, word]), odd])
    values = body.op("Gather", [halves, half], axis=1)  # (rows, columns)

    powers = body.constant(2.0 ** np.arange(17))
    step = body.op("Gather", [powers, body.op("Mul", [pair, bits])], axis=0)
    modulus = body.op("Gather", [powers, bits], axis=0)
    shifted = body.op("Floor", [body.op("Div", [values, step])])
    offset = body.op("Mul", [modulus, body.constant(0.5)])
    codes = body.op("Sub", [body.op("Mod", [shifted, modulus], fmod=1), offset])
    scales = body.op("Reshape", [body.given("scales"), body.constant([-1, 1], np.int64)])
    return _shaped(body, body.op("Mul", [codes, scales]))


def _shaped(body: Body, rows: str) -> str:
    """Weights of shape (M, columns) in their `weight_shape`."""
    linear = body.operator.attribute("weight_shape").length == 2
    return rows if linear else body.op("Reshape", [rows, body.given("weight_shape")])


def _half_words(body: Body) -> str:
    """(2 * all words,) float32: the lower and the upper 16 bits of every word, unsigned."""
    size = body.constant(1 << 16, np.int64)
    words = body.op("Cast", [body.given("words")], to=TensorProto.INT64)
    negative = body.op("Less", [words, body.constant(0, np.int64)])
    wrap = body.op("Cast", [negative], to=TensorProto.INT64)
    wrapped = body.op("Mul", [wrap, body.constant(1 << 32, np.int64)])
    upper, lower = _divided(body, body.op("Add", [words, wrapped]), size)
    axis = body.constant([1], np.int64)
    both = [body.op("Unsqueeze", [each, axis]) for each in (lower, upper)]
    pairs = body.op("Concat", both, axis=1)
    flat = body.op("Reshape", [pairs, body.constant([-1], np.int64)])
    return body.op("Cast", [flat], to=TensorProto.FLOAT)


def _divided(body: Body, value: str, by: str) -> tuple[str, str]:
    """Quotient and remainder of integers that are not negative."""
    quotient = body.op("Div", [value, by])
    return quotient, body.op("Sub", [value, body.op("Mul", [quotient, by])])


def _range(body: Body, start: int, end: int) -> tuple[str, str]:
    return body.constant([start], np.int64), body.constant([end], np.int64)


def _filled(value: int) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array([value], np.int64))


def _linear(weights: Callable[[Body], str]) -> Callable[[Body], None]:
    def write(body: Body) -> None:
        inputs = [body.inner("x"), weights(body), body.given("bias")]
        _finish(body, body.op("Gemm", inputs, transB=1))

    return write


def _conv(weights: Callable[[Body], str]) -> Callable[[Body], None]:
    def write(body: Body) -> None:
        _finish(body, _convolved(body, weights(body)))

    return write


def _convolved(body: Body, weights: str) -> str:
    """A Conv with literal strides and dilations; others are made of slices and of zeros."""
    strides, dilations = body.common.get("strides"), body.common.get("dilations")
    if dilations is None:
        weights = _spread(body, weights)
    inputs = [body.inner("x"), weights, body.given("bias")]
    made = body.op("Conv", inputs, strides=strides or _ONES, dilations=dilations or _ONES)
    body.pass_on("pads")
    body.pass_on("group")
    if strides is not None:
        return made
    starts, ends = body.constant([0, 0], np.int64), body.constant([_END, _END], np.int64)
    return body.op(
        "Slice", [made, starts, ends, body.constant([2, 3], np.int64), body.given("strides")]
    )


def _spread(body: Body, weights: str) -> str:
    """Weights with dilation - 1 zeros between the rows and the columns of the window."""
    shape, dilations = body.given("weight_shape"), body.given("dilations")
    one = body.constant([1], np.int64)
    for axis in (0, 1):
        dilation = body.op("Slice", [dilations, *_range(body, axis, axis + 1)])
        zeros = body.op("ConstantOfShape", [body.op("Sub", [dilation, one])])
        comb = body.op("Concat", [body.constant([1.0]), zeros], axis=0)
        comb = body.op("Reshape", [comb, body.constant(([-1, 1], [-1])[axis], np.int64)])
        unit = body.op("Unsqueeze", [weights, body.constant([3 + axis], np.int64)])
        combed = body.op("Mul", [unit, comb])  # (M, C, h, dilation, w), then (M, C, h, w, dilation)
        merged = body.constant([0, 0, -1] if axis == 0 else [0, 0, 0, -1], np.int64)
        if axis == 0:
            width = body.op("Slice", [shape, *_range(body, 3, 4)])
            merged = body.op("Concat", [merged, width], axis=0)
        weights = body.op("Reshape", [combed, merged])
    window = body.op("Slice", [shape, *_range(body, 2, 4)])
    extent = body.op("Add", [body.op("Mul", [dilations, body.op("Sub", [window, one])]), one])
    starts, axes = body.constant([0, 0], np.int64), body.constant([2, 3], np.int64)
    return body.op("Slice", [weights, starts, extent, axes])


def _finish(body: Body, sum_: str) -> None:
    """Residual and activation."""
    if body.variant != body.operator.name:
        sum_ = body.op("Add", [sum_, body.inner("residual")])
    activation = body.common.get("activation")
    if activation == 1:
        sum_ = body.op("Relu", [sum_])
    elif activation is None:
        bounds = body.constant([-np.inf, 0.0])
        bound = body.op("Gather", [bounds, body.given("activation")], axis=0)
        sum_ = body.op("Max", [sum_, bound])
    body.returns("y", sum_)


def _effort_weights(body: Body) -> str:
    """Weights in which the channels beyond the level of effort are 0."""
    dense = body.op("Reshape", [body.given("weights"), body.given("weight_shape")])
    levels = body.given("level_channels")
    top = body.op("Sub", [body.op("Shape", [levels]), body.constant([1], np.int64)])
    level = body.op("Cast", [body.inner("effort")], to=TensorProto.INT64)
    level = body.op("Max", [body.op("Min", [level, top]), body.constant([0], np.int64)])
    channels = body.op("Cast", [body.op("Gather", [levels, level], axis=0)], to=TensorProto.FLOAT)
    order = body.given("channel_order")
    ones = body.op("ConstantOfShape", [body.op("Shape", [order])])
    ones = body.op("Add", [ones, body.constant(1.0)])
    rank = body.op("CumSum", [ones, body.constant(0, np.int64)], exclusive=1)
    rank = body.op("ScatterElements", [ones, order, rank], axis=0)  # of each channel
    kept = body.op("Cast", [body.op("Less", [rank, channels])], to=TensorProto.FLOAT)
    return body.op(
        "Mul", [dense, body.op("Reshape", [kept, body.constant([1, -1, 1, 1], np.int64)])]
    )


_WRITERS: dict[str, Callable[[Body], None]] = {
    "EsSparseLinear": _linear(_sparse_weights),
    "EsSparseConv": _conv(_sparse_weights),
    "EsPackedLinear": _linear(_packed_weights),
    "EsPackedConv": _conv(_packed_weights),
    "EsEffortConv": _conv(_effort_weights),
    "EsExitGate": write_gate,
}
