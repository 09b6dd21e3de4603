"""The figures of an adaptation: budget curves, where inputs leave, and which ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from edgesynth.report import numbers
from edgesynth.report.charts import Chart
from edgesynth.report.charts.bars import Bar, Group, bars
from edgesynth.report.charts.chart import WIDTH, canvas
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Guide, Mark, Series, Shape, scatter
from edgesynth.report.scale import linear, logarithmic
from edgesynth.report.sections.pictures import picture

Document = Mapping[str, Any]
_LOOKS: dict[str, tuple[str, Shape]] = {
    "learned": ("child", "dot"),
    "learned tree": ("third", "diamond"),
    "entropy": ("parent", "ring"),
    "maximum": ("faint", "ring"),
    "margin": ("fourth", "ring"),
}
_LOWEST_POINTS = 6.0
"""Policies that lose more are left out, or nothing else is seen."""
_PICTURE, _COLUMNS = 28.0, 12


def budget_curve(document: Document) -> Chart:
    """Expected accuracy against mean cost, one line per method, with bounds."""
    reference, unit = document["calibration"]["reference"], document["cost"]["unit"]
    series = []
    for method, curve in document["curves"].items():
        ink, shape = _LOOKS.get(method, ("faint", "dot"))
        marks = [
            _mark(method, each["expected"], unit)
            for each in curve
            if each["expected"]["accuracy"] >= reference - _LOWEST_POINTS / 100
        ]
        if marks:
            series.append(Series(method, ink, marks, shape, "straight", method != "learned"))
    for name, point in document["bounds"].items():
        if point is not None:
            mark = _mark(name, point, unit)
            series.append(Series(name, "front", [mark], "square" if name == "oracle" else "ring"))
    chosen = document["chosen"]["expected"]
    series.append(Series("chosen", "child", [_mark("chosen", chosen, unit)], "diamond"))
    marks = [mark for one in series for mark in one.marks]
    return scatter(
        "Accuracy against mean cost",
        Axis(f"Mean {unit} of an input (log)", logarithmic([mark.x for mark in marks]), _plain),
        Axis("Accuracy", linear([mark.y for mark in marks], floor=0, ceiling=1), _percent),
        series,
        guides=[Guide("y", reference, "without policy")],
        note="On validation images; a learned policy is judged on halves that its gates were not "
        f"learned on. Policies that lose more than {_LOWEST_POINTS:g} points are left out.",
    )


def exit_shares(document: Document) -> Chart:
    """Share of inputs that leave at each stage: expected, and found on test images."""
    chosen = document["chosen"]
    rows = [("expected", "parent", chosen["policy"]["expected"]["exits"]),
            ("test", "child", chosen["test"]["shares"])]  # fmt: skip
    groups = [
        Group(
            f"{each['id']}{_behind(each)}",
            [Bar(name, ink, shares.get(each["id"], 0.0)) for name, ink, shares in rows],
        )
        for each in document["exits"]
    ]
    return bars("Where inputs leave", groups, lambda share: numbers.percent(share, 1))


def example_images(document: Document) -> list[Chart]:
    """Some test images for each stage that inputs leave at."""
    charts = []
    for stage in (each["id"] for each in document["exits"]):
        mine = [each for each in document["examples"] if each["stage"] == stage]
        if mine:
            share = document["chosen"]["test"]["shares"].get(stage, 0.0)
            charts.append(
                Chart(
                    f"Leave at {stage}: {numbers.percent(share, 1)}",
                    _pictures(mine, stage),
                    note="The pointer shows class and answer; wrong answers come last.",
                )
            )
    return charts


def _pictures(examples: Sequence[Document], stage: str) -> Markup:
    step = WIDTH / _COLUMNS
    drawn = []
    for number, each in enumerate(examples):
        x, y = step * (number % _COLUMNS), step * (number // _COLUMNS)
        words = each["class"]
        if each["answer"] != each["class"]:
            words = f"{each['class']}, answered {each['answer']}"
        drawn.append(picture(each["png"], words, x, y, _PICTURE))
    rows = -(-len(examples) // _COLUMNS)
    return canvas(step * rows, f"Images that leave at {stage}", *drawn)


def _behind(stage: Document) -> str:
    return f", behind {stage['layer']}" if stage.get("layer") else ""


def _mark(name: str, point: Document, unit: str) -> Mark:
    return Mark(
        point["cost"],
        point["accuracy"],
        f"{name}: {numbers.percent(point['accuracy'])} at {point['cost']:,.4g} {unit}",
    )


def _plain(ticks: Sequence[float]) -> list[str]:
    return [numbers.count(tick) if tick >= 1 else f"{tick:g}" for tick in ticks]


def _percent(ticks: Sequence[float]) -> list[str]:
    step = min((b - a for a, b in pairwise(ticks)), default=0.01)
    return [numbers.percent(tick, 0 if step >= 0.0099 else 1) for tick in ticks]
