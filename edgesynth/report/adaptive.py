"""The page of `reproduce adaptive`: claim beside obtained, curves of all methods, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from edgesynth.report import numbers
from edgesynth.report.blocks import Cell, Charts, Column, Section, Table
from edgesynth.report.charts import Chart
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Mark, Series, Shape, scatter
from edgesynth.report.scale import linear
from edgesynth.report.sections.reproduction_page import (
    claims_section,
    provenance_section,
    write_reproduction,
)

Document = Mapping[str, Any]
_LOOKS: dict[str, tuple[str, Shape, bool]] = {
    "learned": ("child", "dot", False),
    "learned tree": ("third", "diamond", False),
    "entropy": ("parent", "ring", True),
    "maximum": ("fifth", "ring", True),
    "margin": ("fourth", "ring", True),
    "chance": ("faint", "square", True),
    "oracle": ("front", "square", False),
}
_LOST = 3.0
"""Points beyond which nothing is drawn."""


def write_adaptive_page(document: Document, out: Path) -> None:
    """Write the page about `document` (schema `edgesynth.adaptive-reproduction/1`) to `out`."""
    sections = [
        claims_section(document),
        Section(
            "curves",
            "Accuracy lost against MACs",
            [Charts([_curves(name, methods) for name, methods in document["curves"].items()])],
        ),
        Section("equal", "MACs at equal accuracy", _equal(document)),
        Section("budgets", "Policies by budget", _budgets(document)),
        provenance_section(document),
    ]
    origin = f"{len(document['rows'])} policies of {len(document['seeds'])} seeds"
    write_reproduction(document, sections, origin, out)


def _curves(subject: str, methods: Mapping[str, Sequence[Document]]) -> Chart:
    series = []
    for method, (ink, shape, dashed) in _LOOKS.items():
        entries = [e for e in methods.get(method, []) if e["lost_points"]["mean"] <= _LOST]
        marks = [
            Mark(
                each["share_of_macs"],
                each["lost_points"]["mean"],
                f"{method}: {each['lost_points']['mean']:.2f} points at "
                f"{numbers.percent(each['share_of_macs'], 1)} of the MACs",
            )
            for each in entries
        ]
        if marks:
            series.append(Series(method, ink, marks, shape, "straight", dashed))
    marks = [mark for one in series for mark in one.marks]
    return scatter(
        f"{subject}: test images",
        Axis("Mean MACs of an input, share of the whole", linear([m.x for m in marks]), _percent),
        Axis("Points of accuracy lost", linear([m.y for m in marks]), _points),
        series,
        note="Means of the seeds, one policy for each budget on validation images. Low and left is "
        "better; below zero the policy is more accurate than the network was.",
    )


def _equal(document: Document) -> list[Table]:
    tables = []
    for each in document["at_equal_accuracy"]:
        methods = [
            m for m in _LOOKS if any(m in level["share_of_macs"] for level in each["levels"])
        ]
        columns = [Column("Points lost", number=True), *(Column(m, number=True) for m in methods)]
        rows = [
            [
                Cell(f"{level['lost_points']:g}"),
                *(_share(level["share_of_macs"].get(method)) for method in methods),
            ]
            for level in each["levels"]
        ]
        tables.append(Table(columns, rows, caption=each["subject"]))
    return tables


def _share(share: float | None) -> Cell:
    return Cell("" if share is None else f"{1 / share:.2f} times fewer")


def _budgets(document: Document) -> list[Table]:
    columns = [
        Column("Method"),
        Column("Budget", number=True),
        Column("Lost, mean (worst)", number=True),
        Column("Times fewer MACs", number=True),
        Column("p99 of the MACs", number=True),
        Column("Where inputs leave", prose=True),
    ]
    tables = []
    for subject, methods in document["curves"].items():
        rows = []
        for method, curve in methods.items():
            for each in curve:
                lost, fewer = each["lost_points"], each["times_fewer"]
                shares = ", ".join(
                    f"{stage} {numbers.percent(share, 0)}"
                    for stage, share in each["shares"].items()
                )
                name = each["stage"] if method == "stage" else method
                rows.append(
                    [
                        Cell(f"always {name}" if method == "stage" else name),
                        Cell("" if each["budget"] is None else f"{each['budget']:g}"),
                        Cell(f"{lost['mean']:.2f} ({lost['high']:.2f})"),
                        Cell(f"{fewer['mean']:.2f} ({fewer['low']:.2f} to {fewer['high']:.2f})"),
                        Cell(numbers.percent(each["p99_of_macs"], 0)),
                        Cell(shares),
                    ]
                )
        tables.append(Table(columns, rows, caption=subject, summary=subject))
    return tables


def _percent(ticks: Sequence[float]) -> list[str]:
    step = min((b - a for a, b in pairwise(ticks)), default=0.01)
    return [numbers.percent(tick, 0 if step >= 0.0099 else 1) for tick in ticks]


def _points(ticks: Sequence[float]) -> list[str]:
    return [f"{tick:g}" for tick in ticks]
