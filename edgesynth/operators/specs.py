"""The six operators. What each number means stands here and nowhere else."""

from __future__ import annotations

import math

import numpy as np

from edgesynth.core.errors import UserError, nearest
from edgesynth.operators.effort_spec import EFFORT_CONV
from edgesynth.operators.geometry import (
    ACTIVATION,
    BIAS,
    CONV_GEOMETRY,
    CONV_INPUT,
    CONV_OUTPUT,
    CONV_RESIDUAL,
    CONV_WEIGHT_SHAPE,
    LINEAR_INPUT,
    LINEAR_OUTPUT,
    LINEAR_RESIDUAL,
    LINEAR_WEIGHT_SHAPE,
    check_rows,
    columns,
    conv_shapes,
    linear_shapes,
)
from edgesynth.operators.packing import BITS, words_per_row
from edgesynth.operators.spec import Attribute, Attributes, Operator, Shape, Tensor

POLICIES = ("maximum", "entropy", "margin", "linear")
"""Names of the exit gate's policies 0 to 3."""

_POSITIONS = Attribute(
    "positions",
    "INT32 TENSOR",
    "place of every weight in the flat dense tensor of weight_shape, strictly ascending; "
    "an all-zero layer has the one position 0 with the value 0",
    lowest=0,
)
_VALUES = Attribute("values", "FLOAT TENSOR", "the weights at these positions")
_WORDS = Attribute(
    "words",
    "INT32 TENSOR",
    "M rows of packed codes in the layout of edgesynth/operators/packing.py, each a whole number "
    "of words",
)
_SCALES = Attribute("scales", "FLOAT TENSOR", "M numbers: a weight is its code times its row's")
_BITS = Attribute("bits", "INT", "of one code; ternary codes have 2", among=BITS)


def _check_sparse(attributes: Attributes) -> None:
    check_rows(attributes)
    positions, size = attributes["positions"], math.prod(attributes["weight_shape"])
    if size > np.iinfo(np.int32).max:
        raise UserError(f"{size} weights have positions beyond 32 bits")
    if positions.size != attributes["values"].size:
        counts = f"{positions.size} positions, {attributes['values'].size} values"
        raise UserError(f"{counts}: there must be as many")
    if int(positions[-1]) >= size or bool((np.diff(positions) <= 0).any()):
        raise UserError(f"positions must ascend strictly and stay below {size}")


def _check_packed(attributes: Attributes) -> None:
    check_rows(attributes)
    filters = attributes["weight_shape"][0]
    words = filters * words_per_row(columns(attributes), attributes["bits"])
    if attributes["words"].size != words:
        raise UserError(f"{attributes['words'].size} words where these weights take {words}")
    if attributes["scales"].size != filters:
        raise UserError(f"{attributes['scales'].size} scales for {filters} outputs")


SPARSE_LINEAR = Operator(
    name="EsSparseLinear",
    folder="sparse",
    meaning="a linear layer that reads its nonzero weights only",
    inputs=(LINEAR_INPUT,),
    outputs=(LINEAR_OUTPUT,),
    attributes=(LINEAR_WEIGHT_SHAPE, _POSITIONS, _VALUES, BIAS, ACTIVATION),
    shapes=linear_shapes,
    check=_check_sparse,
    residual=LINEAR_RESIDUAL,
)
SPARSE_CONV = Operator(
    name="EsSparseConv",
    folder="sparse",
    meaning="a convolution that reads its nonzero weights only",
    inputs=(CONV_INPUT,),
    outputs=(CONV_OUTPUT,),
    attributes=(CONV_WEIGHT_SHAPE, _POSITIONS, _VALUES, BIAS, *CONV_GEOMETRY, ACTIVATION),
    shapes=conv_shapes,
    check=_check_sparse,
    residual=CONV_RESIDUAL,
)
PACKED_LINEAR = Operator(
    name="EsPackedLinear",
    folder="packed",
    meaning="a linear layer with integer weights of 2, 3, 4 or 8 bits",
    inputs=(LINEAR_INPUT,),
    outputs=(LINEAR_OUTPUT,),
    attributes=(LINEAR_WEIGHT_SHAPE, _WORDS, _SCALES, _BITS, BIAS, ACTIVATION),
    shapes=linear_shapes,
    check=_check_packed,
    residual=LINEAR_RESIDUAL,
)
PACKED_CONV = Operator(
    name="EsPackedConv",
    folder="packed",
    meaning="a convolution with integer weights of 2, 3, 4 or 8 bits",
    inputs=(CONV_INPUT,),
    outputs=(CONV_OUTPUT,),
    attributes=(CONV_WEIGHT_SHAPE, _WORDS, _SCALES, _BITS, BIAS, *CONV_GEOMETRY, ACTIVATION),
    shapes=conv_shapes,
    check=_check_packed,
    residual=CONV_RESIDUAL,
)


def _check_gate(attributes: Attributes) -> None:
    if attributes["gate_weights"].size != attributes["classes"]:
        raise UserError(
            f"{attributes['gate_weights'].size} gate_weights for {attributes['classes']} classes"
        )


def _gate_shapes(attributes: Attributes, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
    logits, classes = inputs[0], attributes["classes"]
    if len(logits) != 2 or logits[1] != classes:
        raise UserError(f"logits have shape {list(logits)}, the gate takes (N, {classes})")
    if inputs[1] != (1,):
        raise UserError(f"threshold has shape {list(inputs[1])} instead of [1]")
    return ((logits[0],),) * 4 + ((1,),)


EXIT_GATE = Operator(
    name="EsExitGate",
    folder="exit_gate",
    meaning="confidence and decision of an early exit, and which samples go on",
    inputs=(
        Tensor("logits", ("N", "C"), ("float32", "float16"), "of the exit's classifier"),
        Tensor(
            "threshold", ("1",), ("float32",), "an input, so that it changes without a new engine"
        ),
    ),
    outputs=(
        Tensor("exit", ("N",), ("int32",), "1 where the sample leaves here"),
        Tensor(
            "label",
            ("N",),
            ("int32",),
            "class of the greatest logit, the first of equals; any class where a logit is NaN",
        ),
        Tensor("confidence", ("N",), ("float32",), "what the policy compares with threshold"),
        Tensor(
            "survivors",
            ("N",),
            ("int32",),
            "indices of the samples that go on, ascending, then -1",
        ),
        Tensor("count", ("1",), ("int32",), "of survivors"),
    ),
    attributes=(
        Attribute("classes", "INT", "C", lowest=1),
        Attribute(
            "policy",
            "INT",
            "0 exits where the maximum probability >= threshold; 1 where the entropy in nats <= "
            "threshold; 2 where the two greatest probabilities differ by >= threshold (with one "
            "class: that one); 3 where sigmoid(gate_weights . probabilities in descending order + "
            "gate_bias) >= threshold. A sample with a logit of NaN or +infinity, or none above "
            "-infinity, has confidence NaN and stays, as all do where the threshold is NaN",
            default=0,
            among=(0, 1, 2, 3),
        ),
        Attribute("gate_weights", "FLOAT TENSOR", "C numbers, zeros where the policy is not 3"),
        Attribute("gate_bias", "FLOAT", "for policy 3", default=0.0),
    ),
    shapes=_gate_shapes,
    check=_check_gate,
)

OPERATORS = {
    each.name: each
    for each in (
        SPARSE_LINEAR,
        SPARSE_CONV,
        PACKED_LINEAR,
        PACKED_CONV,
        EFFORT_CONV,
        EXIT_GATE,
    )
}
"""By name."""

VARIANTS = {variant: each for each in OPERATORS.values() for variant in each.variants}
"""By the operator types of graphs."""


def operator_named(variant: str) -> Operator:
    """The operator behind an operator type; raises UserError with the nearest name."""
    if variant not in VARIANTS:
        raise UserError(f'no operator "{variant}"; {nearest(variant, list(VARIANTS))}')
    return VARIANTS[variant]
