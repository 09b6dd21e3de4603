"""Two axes with ticks, grid and titles; the charts with x and y draw into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from edgesynth.report.charts import text
from edgesynth.report.charts.chart import WIDTH
from edgesynth.report.scale import Scale
from edgesynth.report.svg import element, group

_TOP, _RIGHT, _BOTTOM = 30.0, 12.0, 38.0
_GAP = 6.0


@dataclass(frozen=True)
class Axis:
    """A scale with its title (unit included) and the way to write its ticks."""

    title: str
    scale: Scale
    write: Callable[[Sequence[float]], list[str]]


class Frame:
    """The plot area of a chart `height` units high; `right` widens the right margin."""

    def __init__(self, x: Axis, y: Axis, *, height: float = 250.0, right: float = 0.0) -> None:
        self.x, self.y, self.height = x, y, height
        self._y_ticks = _fitting(y, self._rows_fit)
        widest = max((text.width(label) for _, label in self._y_ticks), default=0.0)
        self.plot = text.Box(widest + 10, _TOP, WIDTH - _RIGHT - right, height - _BOTTOM)
        self._x_ticks = _fitting(x, self._columns_fit)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Chart units of the values (x, y)."""
        return self.across(x), self.down(y)

    def shows(self, axis: Literal["x", "y"], value: float) -> bool:
        """True when `value` lies on that axis."""
        scale = self.x.scale if axis == "x" else self.y.scale
        return scale.holds(value)

    def draw(self) -> Markup:
        """Grid, axis, tick labels and both titles."""
        plot = self.plot
        parts = [self._row(value, label) for value, label in self._y_ticks]
        parts += [self._column(value, label) for value, label in self._x_ticks]
        base = plot.bottom
        parts.append(element("line", class_="axis", x1=plot.left, x2=plot.right, y1=base, y2=base))
        parts.append(element("text", self.y.title, class_="title", x=1, y=14))
        parts.append(
            element("text", self.x.title, class_="title end", x=plot.right, y=self.height - 4)
        )
        return group(*parts, class_="frame")

    def across(self, value: float) -> float:
        """Chart units of `value` on the x axis."""
        return self.plot.left + self.x.scale.position(value) * (self.plot.right - self.plot.left)

    def down(self, value: float) -> float:
        """Chart units of `value` on the y axis."""
        top, bottom = _TOP, self.height - _BOTTOM
        return bottom - self.y.scale.position(value) * (bottom - top)

    def _row(self, value: float, label: str) -> Markup:
        y = self.down(value)
        line = element("line", class_="grid", x1=self.plot.left, x2=self.plot.right, y1=y, y2=y)
        return line + element("text", label, class_="tick end", x=self.plot.left - 6, y=y + 4)

    def _column(self, value: float, label: str) -> Markup:
        x, bottom = self.across(value), self.plot.bottom
        line = element("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 4)
        return line + element("text", label, class_="tick middle", x=x, y=bottom + 19)

    def _rows_fit(self, ticks: list[tuple[float, str]]) -> bool:
        places = [self.down(value) for value, _ in ticks]
        return all(below - above >= 1.5 * text.SIZE for below, above in pairwise(places))

    def _columns_fit(self, ticks: list[tuple[float, str]]) -> bool:
        boxes = [text.box(label, self.across(value), 0.0, "middle") for value, label in ticks]
        apart = all(b.left - a.right >= _GAP for a, b in pairwise(boxes))
        return apart and all(b.left >= 0 and b.right <= WIDTH for b in boxes)


def _fitting(axis: Axis, fit: Callable[[list[tuple[float, str]]], bool]) -> list[tuple[float, str]]:
    """The most ticks whose labels do not touch and all differ."""
    for most in range(7, 0, -1):
        values = axis.scale.ticks(most)
        labels = axis.write(values)
        ticks = list(zip(values, labels, strict=True))
        if len(set(labels)) == len(labels) and fit(ticks):
            return ticks
    return []
