"""Figures of an adaptation by knobs: operations by layer, and effort maps over input images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesynth.report import numbers
from edgesynth.report.charts import Chart
from edgesynth.report.charts.bars import Bar, Group, bars
from edgesynth.report.charts.chart import WIDTH, canvas
from edgesynth.report.sections.pictures import picture
from edgesynth.report.svg import element

Document = Mapping[str, Any]
_COLUMNS, _GAP, _LINE = 5, 6.0, 14.0


def operations_chart(document: Document) -> Chart:
    """Share of each layer's operations that is left."""
    ways = (
        ("zero skipping alone", "parent", "zero_skipping_alone"),
        ("knobs", "child", "effort"),
        ("knobs and zero skipping", "third", "effort_and_zero_skipping"),
    )
    groups = [
        Group(each["layer"], [Bar(name, ink, each[key] / each["dense"]) for name, ink, key in ways])
        for each in document["layers"]
    ]
    return bars(
        "Operations left, by layer",
        groups,
        lambda share: numbers.percent(share, 0),
        note="Of a scalar machine on test images; what decides is counted, and so is looking for "
        "zeros.",
    )


def effort_maps(document: Document) -> list[Chart]:
    """One figure for each image: what it looks like, and where the layers compute."""
    return [_maps(each) for each in document.get("maps", []) if each["layers"]]


def _maps(image: Document) -> Chart:
    side = (WIDTH - _GAP * (_COLUMNS - 1)) / _COLUMNS
    words = image["class"]
    if image["answer"] != image["class"]:
        words = f"{image['class']}, answered {image['answer']}"
    cells: Sequence[tuple[str, str, str]] = [
        (image["png"], "input", words),
        *(
            (each["png"], each["layer"], f"{each['layer']}: {_share(each)} of the products")
            for each in image["layers"]
        ),
    ]
    drawn = []
    for number, (png, name, tip) in enumerate(cells):
        x = (side + _GAP) * (number % _COLUMNS)
        y = (side + _LINE + _GAP) * (number // _COLUMNS)
        drawn.append(picture(png, tip, x, y, side))
        drawn.append(
            element("text", name[-14:], x=x + side / 2, y=y + side + 11, text_anchor="middle")
        )
    rows = -(-len(cells) // _COLUMNS)
    shares = ", ".join(f"{each['layer']} {_share(each)}" for each in image["layers"])
    return Chart(
        f"{words}: where layers compute",
        canvas(rows * (side + _LINE + _GAP), f"Effort maps of an image: {words}", *drawn),
        note=f"White: all products of all filters; black: none. {shares}.",
    )


def _share(layer: Document) -> str:
    return numbers.percent(layer["share"], 0)
