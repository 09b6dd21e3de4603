"""A family tree: one row per generation, the line of the chosen ones in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from markupsafe import Markup

from edgesynth.report.charts import text
from edgesynth.report.charts.chart import WIDTH, Chart, Legend, canvas, swatch
from edgesynth.report.charts.scatter import Place, Shape, symbol
from edgesynth.report.svg import element, group, path

Fate = Literal["ancestor", "chosen", "best", "other", "rejected"]

_LOOKS: dict[Fate, tuple[str, Shape, str]] = {
    "rejected": ("faint", "ring", "rejected, sampled again"),
    "other": ("faint", "dot", "other offspring"),
    "chosen": ("child", "dot", "selected"),
    "ancestor": ("parent", "square", "ancestor"),
    "best": ("child", "diamond", "best"),
}
_ROW, _NARROW_ROW, _TALLEST = 46.0, 22.0, 600.0
_TOP, _GAP = 24.0, 8.0


@dataclass(frozen=True)
class Relative:
    """One network of the family. `parents` are ids of relatives in earlier generations."""

    id: str
    generation: int
    parents: tuple[str, ...]
    fate: Fate
    name: str
    """Written below its mark, where there is room for the names of all."""
    words: str
    """Written at the end of its row, for one relative of each generation; empty for the others."""
    tip: str


def family(
    title: str, relatives: Sequence[Relative], *, heading: str = "", note: str = ""
) -> Chart:
    """The tree of `relatives`, parents before children; `heading` stands over the row ends.

    Lines between relatives that are both on the chosen line stand out; those to a second parent
    are dashed.
    """
    rows = [list(row) for _, row in groupby(relatives, key=lambda one: one.generation)]
    step = max(_NARROW_ROW, min(_ROW, _TALLEST / len(rows)))
    names = [str(row[0].generation) for row in rows]
    ends = [next((one.words for one in row if one.words), "") for row in rows]
    left = max(map(text.width, names)) + _GAP
    right = WIDTH - max(map(text.width, ends)) - _GAP
    places = {
        one.id: (left + (right - left) * (index + 0.5) / len(row), _TOP + step * (number + 0.35))
        for number, row in enumerate(rows)
        for index, one in enumerate(row)
    }
    parts = [
        element("text", "Generation", class_="title", x=1, y=14),
        element("text", heading, class_="title end", x=WIDTH, y=14),
    ]
    for row, name, words in zip(rows, names, ends, strict=True):
        y = places[row[0].id][1] + 4
        parts.append(element("text", name, class_="tick", x=1, y=y))
        parts.append(element("text", words, class_="value end", x=WIDTH, y=y))
    parts.append(_lines(relatives, places))
    parts += [_mark(one, places[one.id]) for one in sorted(relatives, key=_depth)]
    rooms = [(right - left) / len(row) for row in rows for _ in row]
    if step == _ROW and all(
        text.width(one.name) + 2 <= room for one, room in zip(relatives, rooms, strict=True)
    ):
        parts += [_name(one, *places[one.id]) for one in relatives]
    known = {one.fate for one in relatives}
    legend = [Legend(_swatch(fate), _LOOKS[fate][2]) for fate in _LOOKS if fate in known]
    drawing = canvas(_TOP + step * len(rows), title, *parts)
    return Chart(title, drawing, tuple(reversed(legend)), note)


def _depth(one: Relative) -> int:
    """What is drawn last lies on top."""
    return list(_LOOKS).index(one.fate)


def _lines(relatives: Sequence[Relative], places: dict[str, Place]) -> Markup:
    """From every relative up to its parents, the chosen line last."""
    fates = {one.id: one.fate for one in relatives}
    thin, thick = [], []
    for one in relatives:
        for number, parent in enumerate(one.parents):
            line = _curve(places[parent], places[one.id])
            chosen = number == 0 and not {one.fate, fates[parent]} & {"other", "rejected"}
            if chosen:
                thick.append(element("path", class_="line", d=line))
            else:
                thin.append(
                    element("path", class_=f"stem{' dashed' * number}", d=line, fill="none")
                )
    return group(*thin) + group(*thick, class_="ink-child")


def _curve(above: Place, below: Place) -> str:
    """Leaves the parent and meets the child vertically."""
    (x0, y0), (x1, y1) = above, below
    middle = (y0 + y1) / 2
    return f"M{x0:.2f} {y0:.2f}C{x0:.2f} {middle:.2f} {x1:.2f} {middle:.2f} {x1:.2f} {y1:.2f}"


def _mark(one: Relative, place: Place) -> Markup:
    ink, shape, _ = _LOOKS[one.fate]
    drawn = symbol(shape, *place, radius=3.2 if ink == "faint" else 4.5)
    return group(element("title", one.tip), drawn, class_=f"ink-{ink}")


def _name(one: Relative, x: float, y: float) -> Markup:
    return element("text", one.name, class_="tick middle over", x=x, y=y + 18)


def _swatch(fate: Fate) -> Markup:
    ink, shape, _ = _LOOKS[fate]
    mark = symbol(shape, 12, 6, radius=3.2 if ink == "faint" else 4.0)
    line = path([(0, 6), (24, 6)], class_="line") if fate == "chosen" else Markup("")
    return swatch(group(line, mark, class_=f"ink-{ink}"))
