"""A finished chart, ready for the page: drawing, legend and the words around it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from edgesynth.report.svg import element

WIDTH = 360.0


@dataclass(frozen=True)
class Legend:
    """One line of the legend: a mark drawn as in the chart, and what it stands for."""

    swatch: Markup
    text: str


@dataclass(frozen=True)
class Chart:
    """`title` heads the chart, `note` says what to read off it, `kind` is its badge.

    `kind` is "measured", "predicted" or "" where that question does not arise (accuracy).
    """

    title: str
    drawing: Markup
    legend: tuple[Legend, ...] = ()
    note: str = ""
    kind: str = ""


def canvas(height: float, label: str, *parts: Markup) -> Markup:
    """The `<svg>` around a drawing; `label` is read aloud by a screen reader."""
    return element(
        "svg",
        *parts,
        class_="chart",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_label=label,
    )


def swatch(*parts: Markup) -> Markup:
    """A small drawing of 24 x 12 units for the legend."""
    return element("svg", *parts, class_="swatch", viewBox="0 0 24 12", aria_hidden="true")
