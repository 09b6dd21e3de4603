"""EsEffortConv: DyVEDeep's knobs (Ganapathy et al., arXiv:1704.01137) in one convolution.

What an output is follows from its own numbers, never from how a machine groups outputs; so every
face gives the same result, and saves what its grain allows: a GPU whole tiles, a CPU whole vectors,
the papers' scalar machine every single output. In the order in which they act:

1. **threshold** (dynamic neuron pruning of Cnvlutin, Albericio et al., ISCA 2016): an input of a
   smaller magnitude than `input_threshold` counts as 0. That saves what a machine leaves out for
   zeros, and nothing else.
2. **effort**: channels are added up in `channel_order`, as many as `level_channels` has at the
   level of the run-time input.
3. **similarity** (the paper's SFMA): a window of one channel, padding included, whose numbers
   differ by no more than this counts as its mean times the sum of the weights.
4. **saturation** (SPET), with ReLU. *Predicted*: where the sum of the first `prefix_channels` and
   the bias lies below the filter's threshold, the output is 0. *Exact*: after every
   `prefix_channels` channels an output may stop at 0 if it is not above 0 and no positive weight is
   left; the input must not be negative, and no output changes.
5. **sampling** (SDSS): of every `sample_period` rows and columns the first is computed. Another
   output looks at the four samples around it (at the lower and right edge those that exist): if all
   lie below `sample_below` and within less than `sample_within`, it is interpolated between them;
   otherwise it is computed.
"""

from __future__ import annotations

import math

import numpy as np

from edgesynth.core.errors import UserError
from edgesynth.operators.geometry import (
    ACTIVATION,
    BIAS,
    CONV_GEOMETRY,
    CONV_INPUT,
    CONV_OUTPUT,
    CONV_WEIGHT_SHAPE,
    check_rows,
    conv_shapes,
)
from edgesynth.operators.spec import Attribute, Attributes, Operator, Shape, Tensor

OFF, EXACT, PREDICTED = 0, 1, 2
"""Values of `saturation`."""


def _check(attributes: Attributes) -> None:
    check_rows(attributes)
    filters, per_group = attributes["weight_shape"][:2]
    size = math.prod(attributes["weight_shape"])
    if attributes["weights"].size != size:
        raise UserError(f"{attributes['weights'].size} weights where weight_shape has {size}")
    order, levels = attributes["channel_order"], attributes["level_channels"]
    if not np.array_equal(np.sort(order), np.arange(per_group)):
        raise UserError(f"channel_order must hold every number from 0 to {per_group - 1} once")
    if bool((np.diff(levels) >= 0).any()) or int(levels[0]) != per_group:
        raise UserError(f"level_channels must begin with all {per_group} and descend strictly")
    if attributes["prefix_thresholds"].size not in (1, filters):
        raise UserError(
            f"{attributes['prefix_thresholds'].size} prefix_thresholds: 1 or {filters} are read"
        )
    if attributes["saturation"] == OFF:
        return
    if attributes["activation"] != 1:
        raise UserError("saturation goes with activation 1 only")
    if not 1 <= attributes["prefix_channels"] < per_group:
        raise UserError(f"prefix_channels must lie between 1 and {per_group - 1}")


def _shapes(attributes: Attributes, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
    if inputs[1] != (1,):
        raise UserError(f"effort has shape {list(inputs[1])} instead of [1]")
    return conv_shapes(attributes, inputs[:1])


EFFORT_CONV = Operator(
    name="EsEffortConv",
    folder="effort",
    meaning="a convolution that leaves out what an input does not need (DyVEDeep, "
    "arXiv:1704.01137)",
    inputs=(
        CONV_INPUT,
        Tensor("effort", ("1",), ("int32",), "level, 0 everything; held within level_channels"),
    ),
    outputs=(CONV_OUTPUT,),
    attributes=(
        CONV_WEIGHT_SHAPE,
        Attribute("weights", "FLOAT TENSOR", "dense, of weight_shape, flat"),
        BIAS,
        *CONV_GEOMETRY,
        ACTIVATION,
        Attribute(
            "channel_order",
            "INT32 TENSOR",
            "the input channels of a group (0 to C / group - 1) in the order they are added up, "
            "most important first; of all groups alike",
            lowest=0,
        ),
        Attribute(
            "level_channels",
            "INT32 TENSOR",
            "channels of channel_order that are added up at each level of effort: all of them "
            "first, then strictly descending",
            lowest=1,
        ),
        Attribute("saturation", "INT", "0 off, 1 exact, 2 predicted", default=OFF, among=(0, 1, 2)),
        Attribute(
            "prefix_channels",
            "INT",
            "channels of channel_order after which saturation is looked for; in exact mode again "
            "after every further as many",
            default=0,
            lowest=0,
        ),
        Attribute(
            "prefix_thresholds",
            "FLOAT TENSOR",
            "one or M numbers: an output is predicted to be 0 where the sum of the prefix and "
            "the bias lies below",
        ),
        Attribute(
            "similarity",
            "FLOAT",
            "greatest difference within a window that counts as its mean; below 0 never",
            default=-1.0,
        ),
        Attribute(
            "sample_period",
            "INT",
            "every sample_period-th output per axis is computed first; 1 all of them",
            default=1,
            lowest=1,
            highest=8,
        ),
        Attribute(
            "sample_below",
            "FLOAT",
            "an output is interpolated where the samples around it all lie below this",
            default=0.0,
        ),
        Attribute("sample_within", "FLOAT", "and differ by less than this", default=0.0, lowest=0),
        Attribute(
            "input_threshold",
            "FLOAT",
            "inputs of a smaller magnitude count as 0",
            default=0.0,
            lowest=0,
        ),
    ),
    shapes=_shapes,
    check=_check,
)
