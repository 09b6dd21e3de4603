"""The exit gate in standard ONNX operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from edgesynth.operators.function_body import Body

_LARGEST = np.finfo(np.float32).max
_BY_ENTROPY = 1
_NOTHING = -200.0
"""Its exponential is 0 in float32."""


def write_gate(body: Body) -> None:
    """Confidence by the policy, decision, label, and the samples that go on."""
    confidence = body.op("Where", [_usable(body), _confidence(body), body.constant(np.nan)])
    label = body.op("ArgMax", [body.inner("logits")], axis=1, keepdims=0)
    label = body.op("Cast", [label], to=TensorProto.INT32)
    leaves = _decision(body, confidence)
    survivors, count = _survivors(body, body.op("Not", [leaves]))
    body.returns("exit", body.op("Cast", [leaves], to=TensorProto.INT32))
    body.returns("label", label)
    body.returns("confidence", confidence)
    body.returns("survivors", survivors)
    body.returns("count", count)


def _usable(body: Body) -> str:
    """(N,) bool: no logit is NaN or +infinity, and one is above -infinity."""
    logits = body.inner("logits")
    counted = body.op("LessOrEqual", [logits, body.constant(_LARGEST)])
    real = body.op("GreaterOrEqual", [logits, body.constant(-_LARGEST)])
    every = body.op("Cast", [counted], to=TensorProto.FLOAT)
    some = body.op("Cast", [real], to=TensorProto.FLOAT)
    both = body.op(
        "Add",
        [
            body.op("ReduceMin", [every], axes=[1], keepdims=0),
            body.op("ReduceMax", [some], axes=[1], keepdims=0),
        ],
    )
    return body.op("Greater", [both, body.constant(1.5)])


def _confidence(body: Body) -> str:
    """(N,) float32."""
    logits = body.inner("logits")
    shifted = body.op("Sub", [logits, body.op("ReduceMax", [logits], axes=[1])])
    shifted = body.op("Max", [shifted, body.constant(_NOTHING)])  # -infinity would be 0 * infinity
    powers = body.op("Exp", [shifted])
    total = body.op("ReduceSum", [powers, body.constant([1], np.int64)])
    policy = body.common.get("policy")
    if policy is not None:
        return _POLICIES[policy](body, shifted, powers, total)
    axis = body.constant([0], np.int64)
    each = [
        body.op("Unsqueeze", [write(body, shifted, powers, total), axis]) for write in _POLICIES
    ]
    return body.op("Gather", [body.op("Concat", each, axis=0), body.given("policy")], axis=0)


def _maximum(body: Body, shifted: str, powers: str, total: str) -> str:
    return body.op("Squeeze", [body.op("Div", [body.constant(1.0), total]), _classes_axis(body)])


def _entropy(body: Body, shifted: str, powers: str, total: str) -> str:
    """log(total) - sum(power * shifted) / total: -sum(p * log p) without a logarithm of 0."""
    weighted = _sum(body, body.op("Mul", [powers, shifted]))
    total = body.op("Squeeze", [total, _classes_axis(body)])
    return body.op("Sub", [body.op("Log", [total]), body.op("Div", [weighted, total])])


def _margin(body: Body, shifted: str, powers: str, total: str) -> str:
    one_more = body.op("Pad", [powers, body.constant([0, 0, 0, 1], np.int64)])  # one class or more
    first_two = body.op("TopK", [one_more, body.constant([2], np.int64)], results=2, axis=1)
    weights = body.constant([1.0, -1.0])
    difference = _sum(body, body.op("Mul", [first_two, weights]))
    return body.op("Div", [difference, body.op("Squeeze", [total, _classes_axis(body)])])


def _linear(body: Body, shifted: str, powers: str, total: str) -> str:
    classes = body.op("Reshape", [body.given("classes"), body.constant([1], np.int64)])
    ordered = body.op("TopK", [powers, classes], results=2, axis=1)
    probabilities = body.op("Div", [ordered, total])
    weighted = _sum(body, body.op("Mul", [probabilities, body.given("gate_weights")]))
    return body.op("Sigmoid", [body.op("Add", [weighted, body.given("gate_bias")])])


_POLICIES: tuple[Callable[[Body, str, str, str], str], ...] = (
    _maximum,
    _entropy,
    _margin,
    _linear,
)


def _sum(body: Body, terms: str) -> str:
    """(N,) out of (N, C)."""
    return body.op("ReduceSum", [terms, _classes_axis(body)], keepdims=0)


def _classes_axis(body: Body) -> str:
    return body.constant([1], np.int64)


def _decision(body: Body, confidence: str) -> str:
    """(N,) bool; a comparison with NaN is false."""
    threshold = body.inner("threshold")
    policy = body.common.get("policy")
    if policy is not None:
        kind = "LessOrEqual" if policy == _BY_ENTROPY else "GreaterOrEqual"
        return body.op(kind, [confidence, threshold])
    signs = body.constant([-1.0 if each == _BY_ENTROPY else 1.0 for each in range(len(_POLICIES))])
    sign = body.op("Gather", [signs, body.given("policy")], axis=0)
    sides = [body.op("Mul", [side, sign]) for side in (confidence, threshold)]
    return body.op("GreaterOrEqual", sides)


def _survivors(body: Body, stays: str) -> tuple[str, str]:
    """Place j takes the sample that stays and has j stayers before it: a sum over one match."""
    stay = body.op("Cast", [stays], to=TensorProto.FLOAT)
    first_axis = body.constant(0, np.int64)
    before = body.op("CumSum", [stay, first_axis], exclusive=1)
    ones = body.op("Add", [body.op("Mul", [stay, body.constant(0.0)]), body.constant(1.0)])
    number = body.op("CumSum", [ones, first_axis])  # 1, 2, ..., N
    place = body.op("Sub", [number, body.constant(1.0)])
    column = body.op("Unsqueeze", [place, body.constant([1], np.int64)])
    match = body.op("Cast", [body.op("Equal", [before, column])], to=TensorProto.FLOAT)
    numbers = body.op("Mul", [body.op("Mul", [match, stay]), number])
    index = body.op("Sub", [_sum(body, numbers), body.constant(1.0)])
    count = body.op("ReduceSum", [stay, body.constant([0], np.int64)])
    return (
        body.op("Cast", [index], to=TensorProto.INT32),
        body.op("Cast", [count], to=TensorProto.INT32),
    )
