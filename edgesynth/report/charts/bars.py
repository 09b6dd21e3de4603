"""Horizontal bars in groups: one group per board, one bar per network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgesynth.report.charts import text
from edgesynth.report.charts.chart import WIDTH, Chart, Legend, canvas, swatch
from edgesynth.report.svg import element, group

_THICK, _HEADING, _BETWEEN = 15.0, 18.0, 12.0


@dataclass(frozen=True)
class Bar:
    """One value of one network; `hatched` marks a prediction.

    `error` is the share of the value by which it may be off; a whisker shows it.
    """

    name: str
    ink: str
    value: float
    hatched: bool = False
    error: float = 0.0

    @property
    def reach(self) -> float:
        """The far end of the whisker."""
        return self.value * (1 + self.error)


@dataclass(frozen=True)
class Group:
    """Bars that belong together, under one heading."""

    heading: str
    bars: Sequence[Bar]


def bars(
    title: str,
    groups: Sequence[Group],
    write: Callable[[float], str],
    *,
    note: str = "",
    kind: str = "",
) -> Chart:
    """A chart of `groups`; every bar starts at zero and carries its value in words."""
    every = [bar for one in groups for bar in one.bars]
    widest = max((text.width(write(bar.value)) for bar in every), default=0.0)
    largest = max((bar.reach for bar in every), default=0.0) or 1.0
    per_unit = (WIDTH - widest - 10) / largest
    parts, y = [], 0.0
    for one in groups:
        parts.append(element("text", one.heading, class_="name", x=1, y=y + 12))
        y += _HEADING
        for bar in one.bars:
            parts.append(_bar(bar, one.heading, y, per_unit, write(bar.value)))
            y += _THICK + 3
        y += _BETWEEN
    legend = {bar.name: Legend(_swatch(bar), bar.name) for bar in every}
    drawing = canvas(max(y - _BETWEEN, 1.0), title, *parts)
    return Chart(title, drawing, tuple(legend.values()), note, kind)


def _bar(bar: Bar, heading: str, y: float, per_unit: float, words: str) -> Markup:
    long, reach = max(bar.value * per_unit, 1.5), max(bar.reach * per_unit, 1.5)
    near = max(bar.value * (1 - bar.error), 0.0) * per_unit
    return group(
        element("title", f"{bar.name}, {heading}: {words}"),
        element("rect", class_=_look(bar), x=0.5, y=y, width=long, height=_THICK),
        _whisker(near, reach, y + _THICK / 2) if bar.error else "",
        element("text", words, class_="value", x=reach + 6, y=y + 12),
        class_=f"ink-{bar.ink}",
    )


def _whisker(near: float, far: float, y: float) -> Markup:
    """A line with two ends, on a halo that keeps it apart from the hatching."""
    ends = [(near, near, y - 4, y + 4), (near, far, y, y), (far, far, y - 4, y + 4)]
    lines = [
        element("line", class_=look, x1=x1, x2=x2, y1=y1, y2=y2)
        for look in ("halo", "whisker")
        for x1, x2, y1, y2 in ends
    ]
    return group(*lines)


def _look(bar: Bar) -> str:
    return f"hatched hatched-{bar.ink}" if bar.hatched else "bar"


def _swatch(bar: Bar) -> Markup:
    mark = element("rect", class_=_look(bar), x=4.5, y=1, width=15, height=10)
    return swatch(group(mark, class_=f"ink-{bar.ink}"))
