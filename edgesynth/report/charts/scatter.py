"""Points and lines over two axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from edgesynth.report.charts import text
from edgesynth.report.charts.chart import WIDTH, Chart, Legend, canvas, swatch
from edgesynth.report.charts.frame import Axis, Frame
from edgesynth.report.svg import element, group, path

Shape = Literal["dot", "ring", "square", "diamond", "none"]
Line = Literal["none", "straight", "steps"]
Place = tuple[float, float]
"""Chart units."""


@dataclass(frozen=True)
class Mark:
    """A point; `tip` appears under the pointer, `label` is written beside it."""

    x: float
    y: float
    tip: str = ""
    label: str = ""


@dataclass(frozen=True)
class Series:
    """Marks that look alike. `ink` is a class of the style sheet: parent, child, faint, front."""

    name: str
    ink: str
    marks: Sequence[Mark]
    shape: Shape = "dot"
    line: Line = "none"
    dashed: bool = False
    band: Sequence[tuple[Mark, Mark]] = ()
    """(lowest, highest) along the series, as a shade behind it."""


@dataclass(frozen=True)
class Guide:
    """A dotted line across the plot where the x or the y axis has `value`: a requirement."""

    axis: Literal["x", "y"]
    value: float
    label: str


def scatter(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    stems: Iterable[tuple[Mark, Mark]] = (),
    guides: Sequence[Guide] = (),
    ends_named: bool = False,
    note: str = "",
    kind: str = "",
) -> Chart:
    """A chart of `series`, later ones on top; `stems` are thin lines between two marks.

    With `ends_named` the labels stand in a column beside the plot, each at the height of its mark.
    """
    names = [mark.label for one in series for mark in one.marks if mark.label]
    frame = Frame(x, y, right=max(map(text.width, names), default=0.0) if ends_named else 0.0)
    guides = [guide for guide in guides if frame.shows(guide.axis, guide.value)]
    parts = [frame.draw()]
    parts += [_band(frame, one) for one in series if len(one.band) > 1]
    parts += [_guide(frame, guide) for guide in guides]
    parts += [_stem(frame, a, b) for a, b in stems]
    parts += [_series(frame, one) for one in series]
    parts.append(_end_names(frame, series) if ends_named else _labels(frame, series, guides))
    legend = [Legend(_swatch(one), one.name) for one in series if one.name]
    if guides:
        legend.append(Legend(swatch(path([(0, 6), (24, 6)], class_="guide")), "required"))
    return Chart(title, canvas(frame.height, title, *parts), tuple(legend), note, kind)


def symbol(shape: Shape, x: float, y: float, radius: float = 4.0) -> Markup:
    """One mark at (x, y); the shapes have about the same area."""
    if shape == "none":
        return Markup("")
    if shape in ("dot", "ring"):
        return element("circle", class_=shape, cx=x, cy=y, r=radius)
    if shape == "square":
        half = radius * 0.95
        side = 2 * half
        return element("rect", class_="dot", x=x - half, y=y - half, width=side, height=side)
    r = radius * 1.35
    corners = [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
    return element("polygon", class_="dot", points=" ".join(f"{a:.2f},{b:.2f}" for a, b in corners))


def _series(frame: Frame, one: Series) -> Markup:
    places = [frame.place(mark.x, mark.y) for mark in one.marks]
    parts = []
    if one.line != "none" and len(places) > 1:
        corners = _steps(places) if one.line == "steps" else places
        parts.append(path(corners, class_=_line_class(one)))
    for mark, (x, y) in zip(one.marks, places, strict=True):
        if one.shape != "none":
            drawn = symbol(one.shape, x, y, _radius(one))
            parts.append(group(element("title", mark.tip), drawn))
    return group(*parts, class_=f"ink-{one.ink}")


def _band(frame: Frame, one: Series) -> Markup:
    edge = [low for low, _ in one.band] + [high for _, high in reversed(one.band)]
    corners = [frame.place(mark.x, mark.y) for mark in edge]
    return group(path(corners, class_="band"), class_=f"ink-{one.ink}")


def _line_class(one: Series) -> str:
    return "line dashed" if one.dashed else "line"


def _radius(one: Series) -> float:
    return 3.2 if one.ink == "faint" else 4.0


def _steps(places: list[Place]) -> list[Place]:
    """Right first, then up: between two costs the cheaper network is the best one to be had."""
    corners = [places[0]]
    for before, after in pairwise(places):
        corners += [(after[0], before[1]), after]
    return corners


def _stem(frame: Frame, a: Mark, b: Mark) -> Markup:
    return path([frame.place(a.x, a.y), frame.place(b.x, b.y)], class_="stem")


def _guide(frame: Frame, guide: Guide) -> Markup:
    return group(element("title", guide.label), path(_ends(frame, guide), class_="guide"))


def _ends(frame: Frame, guide: Guide) -> list[Place]:
    plot = frame.plot
    if guide.axis == "x":
        x = frame.across(guide.value)
        return [(x, plot.top), (x, plot.bottom)]
    y = frame.down(guide.value)
    return [(plot.left, y), (plot.right, y)]


def _labels(frame: Frame, series: Sequence[Series], guides: Sequence[Guide]) -> Markup:
    """Names beside marks, then beside guides; a name that finds no room is left to the tips.

    Names keep clear of marks and of each other, and of lines as long as that leaves a place.
    """
    room = replace(frame.plot, top=frame.plot.top - 10, right=WIDTH)
    taken = [_around(frame, mark) for one in series for mark in one.marks if one.shape != "none"]
    lines = [box for line in _lines(frame, series, guides) for box in _beads(line)]
    parts, written = [], set()
    for mark in (mark for one in series for mark in one.marks if mark.label):
        if mark.label in written:
            continue
        own, at = _around(frame, mark), frame.place(mark.x, mark.y)
        others = [box for box in taken if box != own]
        place = text.place_beside(mark.label, *at, room, [*others, *lines])
        place = place or text.place_beside(mark.label, *at, room, others)
        if place is not None:
            written.add(mark.label)
            parts.append(_label(mark.label, place, taken, "name"))
    for guide in guides:
        place = _beside_guide(frame, guide, taken)
        if place is not None:
            parts.append(_label(guide.label, place, taken, "tick"))
    return group(*parts)


def _end_names(frame: Frame, series: Sequence[Series]) -> Markup:
    named = [mark for one in series for mark in one.marks if mark.label]
    wanted = [frame.down(mark.y) + 4 for mark in named]
    heights = text.spread(wanted, frame.plot.top, frame.plot.bottom, 1.2 * text.SIZE)
    parts = [
        element("text", mark.label, class_="name", x=frame.plot.right + 4, y=height)
        for mark, height in zip(named, heights, strict=True)
    ]
    return group(*parts)


def _lines(
    frame: Frame, series: Sequence[Series], guides: Sequence[Guide]
) -> Iterator[list[Place]]:
    """The corners of everything that is drawn as a line."""
    for one in series:
        if one.line != "none" and len(one.marks) > 1:
            places = [frame.place(mark.x, mark.y) for mark in one.marks]
            yield _steps(places) if one.line == "steps" else places
    for guide in guides:
        yield _ends(frame, guide)


def _beads(corners: list[Place]) -> Iterator[text.Box]:
    """Small boxes along a line, near enough to each other that no name slips through."""
    for (x0, y0), (x1, y1) in pairwise(corners):
        count = max(1, round(math.hypot(x1 - x0, y1 - y0) / 6))
        for index in range(count + 1):
            x, y = x0 + (x1 - x0) * index / count, y0 + (y1 - y0) * index / count
            yield text.Box(x - 1, y - 1, x + 1, y + 1)


def _label(words: str, place: tuple[float, float, str], taken: list[text.Box], look: str) -> Markup:
    x, y, anchor = place
    taken.append(text.box(words, x, y, anchor))
    return element("text", words, class_=f"{look} {anchor}", x=x, y=y)


def _beside_guide(
    frame: Frame, guide: Guide, taken: list[text.Box]
) -> tuple[float, float, str] | None:
    """Along the guide, at whichever of its ends there is room."""
    plot = frame.plot
    if guide.axis == "x":
        x = frame.across(guide.value)
        places = [(x + dx, y, a) for y in (plot.bottom - 6, plot.top + 10)
                  for dx, a in ((5.0, "start"), (-5.0, "end"))]  # fmt: skip
    else:
        y = frame.down(guide.value)
        places = [(x, y + dy, a) for dy in (-5.0, 13.0)
                  for x, a in ((plot.right, "end"), (plot.left + 4, "start"))]  # fmt: skip
    for x, y, anchor in places:
        box = text.box(guide.label, x, y, anchor)
        if box.inside(plot) and not any(box.overlaps(other) for other in taken):
            return x, y, anchor
    return None


def _around(frame: Frame, mark: Mark) -> text.Box:
    x, y = frame.place(mark.x, mark.y)
    return text.Box(x - 5, y - 5, x + 5, y + 5)


def _swatch(one: Series) -> Markup:
    parts = []
    if one.line != "none":
        parts.append(path([(0, 6), (24, 6)], class_=_line_class(one)))
    parts.append(symbol(one.shape, 12, 6, _radius(one)))
    return swatch(group(*parts, class_=f"ink-{one.ink}"))
