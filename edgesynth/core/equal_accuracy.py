"""How small each rival is at the same accuracy, read off its curve of size and accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

LEVELS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Points below the ancestor at which sizes are compared."""
SAME_SIZE = 0.025
"""Budgets are met to within half a percent by ranking and to within 2.5 by drawing, so that sizes
this close are no difference."""


class Point(NamedTuple):
    """One network, or the mean of several."""

    size: float
    accuracy: float


def size_at(curve: Sequence[Point], accuracy: float) -> float | None:
    """The smallest size at which `curve` has `accuracy`; None when it never does.

    Between two neighbours in size the accuracy runs straight over the logarithm of the size. A
    larger network counts as good as any smaller one of the curve. Nothing is read off below the
    smallest size: there the answer is that size itself.
    """
    points = sorted(curve)
    for index, point in enumerate(points):
        if point.accuracy < accuracy:
            continue
        if index == 0:
            return point.size
        below = points[index - 1]  # less accurate than asked for, or it had been found before
        share = (accuracy - below.accuracy) / (point.accuracy - below.accuracy)
        return math.exp(
            math.log(below.size) + share * (math.log(point.size) - math.log(below.size))
        )
    return None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes at one accuracy."""

    measure: str
    """Such as `synapses`."""
    lost_points: float
    """Below the ancestor."""
    sizes: dict[str, float | None]
    """By rival; None where its curve does not reach the accuracy."""
    ours: str | None
    """The smallest rival of edgesynth."""
    baseline: str | None
    """The smallest of the others."""
    ratio: float | None
    """Ours over the best baseline's size: at most 1 where edgesynth is at least as small. None
    where one side does not reach the accuracy."""


def compare(
    measure: str,
    curves: Mapping[str, Sequence[Point]],
    ours: Sequence[str],
    ancestor_accuracy: float,
    levels: Sequence[float] = LEVELS,
) -> list[Comparison]:
    """Every curve's size at each of `levels` points below the ancestor.

    `curves` by rival, each with the ancestor in it; those in `ours` are edgesynth's.
    """
    found = []
    for level in levels:
        wanted = ancestor_accuracy - level / 100
        sizes = {rival: size_at(curve, wanted) for rival, curve in curves.items()}
        mine = _smallest({name: size for name, size in sizes.items() if name in ours})
        best = _smallest({name: size for name, size in sizes.items() if name not in ours})
        ratio = mine[1] / best[1] if mine and best else None
        found.append(
            Comparison(
                measure=measure,
                lost_points=level,
                sizes=sizes,
                ours=mine[0] if mine else None,
                baseline=best[0] if best else None,
                ratio=ratio,
            )
        )
    return found


def is_larger(ratio: float) -> bool:
    """Whether the first of two sizes with this `ratio` is the larger one, see `SAME_SIZE`."""
    return ratio > 1 + SAME_SIZE


def _smallest(sizes: Mapping[str, float | None]) -> tuple[str, float] | None:
    known = [(size, name) for name, size in sizes.items() if size is not None]
    return (min(known)[1], min(known)[0]) if known else None
