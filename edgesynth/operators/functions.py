"""Every operator in standard ONNX operators: what ONNX Runtime runs, and TensorRT without plugin.

A file holds one function per operator type. Where all of its nodes agree in strides, dilations or
activation, the body says so plainly; otherwise it computes these from the attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from edgesynth.operators.convolution_function import END, activated, convolved, span
from edgesynth.operators.effort_function import write_effort
from edgesynth.operators.function_body import Body, common_attributes
from edgesynth.operators.gate_function import write_gate
from edgesynth.operators.spec import Attributes
from edgesynth.operators.specs import operator_named


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
    rows = body.op("Slice", [shape, *span(body, 0, 1)])
    two_axes = body.op("Concat", [rows, body.constant([-1], np.int64)], axis=0)
    halves = body.op("Reshape", [_half_words(body), two_axes])  # (rows, 2 * words)

    columns = body.op("ReduceProd", [body.op("Slice", [shape, *span(body, 1, END)])], keepdims=1)
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


def _filled(value: int) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array([value], np.int64))


def _linear(weights: Callable[[Body], str]) -> Callable[[Body], None]:
    def write(body: Body) -> None:
        inputs = [body.inner("x"), weights(body), body.given("bias")]
        _finish(body, body.op("Gemm", inputs, transB=1))

    return write


def _conv(weights: Callable[[Body], str]) -> Callable[[Body], None]:
    def write(body: Body) -> None:
        _finish(body, convolved(body, body.inner("x"), weights(body), body.given("bias")))

    return write


def _finish(body: Body, sum_: str) -> None:
    """Residual and activation."""
    if body.variant != body.operator.name:
        sum_ = body.op("Add", [sum_, body.inner("residual")])
    body.returns("y", activated(body, sum_))


_WRITERS: dict[str, Callable[[Body], None]] = {
    "EsSparseLinear": _linear(_sparse_weights),
    "EsSparseConv": _conv(_sparse_weights),
    "EsPackedLinear": _linear(_packed_weights),
    "EsPackedConv": _conv(_packed_weights),
    "EsEffortConv": write_effort,
    "EsExitGate": write_gate,
}
