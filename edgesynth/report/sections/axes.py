"""How the ticks of axes are written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from edgesynth.report import numbers


def percents(ticks: Sequence[float]) -> list[str]:
    """Fractions as per cent, with as many decimals as tell the ticks apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=0.01)
    decimals = 0 if step >= 0.0099 else 1 if step >= 0.00099 else 2
    return [numbers.percent(tick, decimals) for tick in ticks]


def counts(ticks: Sequence[float]) -> list[str]:
    """Counts with their unit."""
    return [numbers.count(tick) for tick in ticks]


def times(ticks: Sequence[float]) -> list[str]:
    """Ratios."""
    return [f"{numbers.plain(tick)}×" for tick in ticks]


def whole(ticks: Sequence[float]) -> list[str]:
    """Whole numbers."""
    return [f"{tick:.0f}" for tick in ticks]
