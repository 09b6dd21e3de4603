"""What a layer costs the compiled operator, in multiply-accumulates that take it as long."""

from __future__ import annotations

from edgesynth.dynamic.effort.knobs import Knobs
from edgesynth.operators.effort_cpu import CpuCounts
from edgesynth.operators.effort_spec import PREDICTED

_LANES = 8
_PREDICTING, _SAMPLING, _COMPARING = 150, 190, 80
"""What vectors do besides multiplying; the first two per output, the last per input."""
_NONZERO, _LISTING = 1.85, 25
"""A multiply-accumulate where only numbers that are not zero are multiplied, and what finding them
takes per input. All five from layers of an AlexNet on an AMD EPYC 7003, which computes 30 billion
multiply-accumulates a second where it computes all."""
_LEAST_FILTERS = 16
"""Of a group, for zeros to be left out one by one; as kernels/effort/cpu/nonzero.cpp has it."""


def work_of(
    knobs: Knobs, filters: int, counts: CpuCounts, *, checks: int, inputs: int, outputs: int
) -> int:
    """Of a run with zeros skipped, by whichever way of the operator is faster.

    filters: of a group; checks: operations that decide; inputs, outputs: numbers of x and y.
    """
    predicts, samples = knobs.saturation == PREDICTED, knobs.sample_period > 1
    compares = knobs.similarity >= 0
    tiles = counts.executed + checks // _LANES
    tiles += outputs * (_PREDICTING * predicts + _SAMPLING * samples)
    tiles += inputs * _COMPARING * compares
    if knobs.saturation or samples or compares or filters < _LEAST_FILTERS:
        return tiles
    return min(tiles, round(_NONZERO * counts.nonzero) + _LISTING * inputs)
