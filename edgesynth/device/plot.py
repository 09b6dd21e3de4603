"""A series over time as text: a column chart and a sparkline, in Unicode or plain ASCII."""

from __future__ import annotations

import math
from collections.abc import Sequence

Values = Sequence[float | None]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:-=+*#@"


def binned(times_s: Sequence[float], values: Values, bins: int) -> list[float | None]:
    """Mean of the values in each of `bins` equal spans of time; None where there is a gap.

    A span between two samples that are not far apart takes the value before it.
    """
    if not times_s or bins < 1:
        return []
    start, span = times_s[0], times_s[-1] - times_s[0]
    sums, counts = [0.0] * bins, [0] * bins
    for time_s, value in zip(times_s, values, strict=True):
        if value is not None:
            place = min(int((time_s - start) / span * bins), bins - 1) if span > 0 else 0
            sums[place] += value
            counts[place] += 1
    means = [total / n if n else None for total, n in zip(sums, counts, strict=True)]
    bridged = math.ceil(2.5 * span / max(len(times_s) - 1, 1) / (span / bins)) if span else 0
    return _bridge(means, bridged)


def _bridge(means: list[float | None], at_most: int) -> list[float | None]:
    """Fill runs of up to `at_most` missing values with the value before them."""
    filled = list(means)
    missing = 0
    for place, value in enumerate(means):
        if value is None:
            missing += 1
            continue
        before = place - missing - 1
        if missing <= at_most and before >= 0:
            filled[before + 1 : place] = [means[before]] * missing
        missing = 0
    return filled


def sparkline(times_s: Sequence[float], values: Values, width: int, *, ascii_only: bool) -> str:
    """One line of at most `width` characters, from 0 (or the least, if negative) to the highest."""
    bins = binned(times_s, values, min(width, len(times_s)))
    return "".join(_column(bins, 1, ascii_only)[0])


def column_chart(
    times_s: Sequence[float], watts: Values, width: int, height: int, *, ascii_only: bool
) -> list[str]:
    """Lines of a chart with labelled axes, `width` characters wide, of power in W over time in s.

    Columns begin at 0, so that their heights compare. Empty when there is nothing to draw.
    """
    label_width = 8
    bins = binned(times_s, watts, min(width - label_width, len(times_s)))
    known = [value for value in bins if value is not None]
    if len(known) < 2:
        return []
    top = max(*known, 0.0)
    labels = {0: f"{top:.2f} W", height - 1: f"{min(*known, 0.0):.0f} W"}
    rows = _column(bins, height, ascii_only)
    bar = "|" if ascii_only else "┤"
    lines = [f"{labels.get(i, ''):>{label_width - 1}}{bar}{row}" for i, row in enumerate(rows)]
    span = times_s[-1] - times_s[0]
    start, end = "0 s", f"{span:.0f} s"
    middle = f"means of {span / len(bins):.2g} s"
    axis = f"{start}{middle:^{max(len(bins) - len(start) - len(end), len(middle) + 2)}}{end}"
    return [*lines, " " * label_width + axis]


def _column(bins: Sequence[float | None], height: int, ascii_only: bool) -> list[str]:
    """`height` rows of characters, the top one first; a missing value is a blank."""
    marks = _ASCII if ascii_only else _BLOCKS
    steps = len(marks) - 1
    known = [value for value in bins if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    span = high - low or 1.0

    def level(value: float | None) -> int:
        """Filled steps of the column; at least one, so that a value is told from a gap."""
        return 0 if value is None else max(1, math.ceil((value - low) / span * steps * height))

    levels = [level(value) for value in bins]
    return [
        "".join(marks[min(max(filled - steps * row, 0), steps)] for filled in levels)
        for row in reversed(range(height))
    ]
