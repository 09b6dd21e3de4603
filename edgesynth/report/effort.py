"""The page of an adaptation by knobs (DyVEDeep): operations, layers, effort maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesynth.report import numbers
from edgesynth.report.blocks import Cell, Charts, Column, Facts, Fold, Paragraph, Section, Table
from edgesynth.report.page import render
from edgesynth.report.sections.effort_figures import effort_maps, operations_chart
from edgesynth_rt.files import write_bytes

Document = Mapping[str, Any]


def write_effort_page(document: Document, out: Path) -> None:
    """Write the page about `document` (schema `edgesynth.effort/1`) to `out`, in one step."""
    heading = f"{document['name']}: effort on {document['data']}"
    origin = f"one adaptation, {document['calibration']['n']:,} validation images"
    write_bytes(str(out), render(heading, effort_sections(document), [], origin).encode("utf-8"))


def effort_sections(document: Document) -> list[Section]:
    """The page without its HTML."""
    maps = effort_maps(document)
    found = [
        Section(
            "found",
            "What is saved",
            [
                Paragraph(_lead(document), "lead"),
                Charts([operations_chart(document)]),
                _layers(document),
            ],
        )
    ]
    if maps:
        found.append(Section("maps", "Effort over an image", [Charts(maps)]))
    if document["rejected"]:
        found.append(Section("rejected", "What does not pay", [_rejected(document)]))
    return [*found, _provenance(document)]


def _lead(document: Document) -> str:
    operations, test = document["test"]["operations"], document["test"]
    return (
        f"On test images {operations['times_fewer_with_zero_skipping']:.2f} times fewer scalar "
        f"operations in convolutions than {document['parent']['network']}: "
        f"{operations['times_fewer']:.2f} by knobs alone, "
        f"{operations['times_fewer_zero_skipping_alone']:.2f} by skipping zeros alone; "
        f"{test['lost_points']:.2f} points of accuracy lost (validation: "
        f"{document['validation']['lost_points']:.2f}). What decides is counted."
    )


def _layers(document: Document) -> Table:
    columns = [
        Column("Layer"),
        Column("Knobs"),
        Column("Dense", number=True),
        Column("With knobs", number=True),
        Column("of it checks", number=True),
        Column("Zero skipping", number=True),
        Column("Both", number=True),
        Column("Ended early", number=True),
        Column("Interpolated", number=True),
    ]
    keys = ("dense", "effort", "of_it_checks", "zero_skipping_alone", "effort_and_zero_skipping")
    rows = [
        [
            Cell(each["layer"]),
            Cell(", ".join(each["knobs"]) or "none"),
            *(Cell(f"{each[key]:,.0f}") for key in keys),
            Cell(f"{each['predicted']:,.0f}"),
            Cell(f"{each['filled']:,.0f}"),
        ]
        for each in document["layers"]
    ]
    caption = "Operations per test image; outputs that ended early, and that were interpolated"
    return Table(columns, rows, caption=caption)


def _rejected(document: Document) -> Fold:
    counts: dict[tuple[str, str, str], int] = {}
    for each in document["rejected"]:
        key = (each["layer"], each["knob"], each["reason"])
        counts[key] = counts.get(key, 0) + 1
    columns = [Column("Layer"), Column("Knob"), Column("Why"), Column("Settings", number=True)]
    rows = [
        [Cell(layer), Cell(knob), Cell(reason), Cell(str(number))]
        for (layer, knob, reason), number in sorted(counts.items())
    ]
    total = numbers.count(len(document["rejected"]))
    return Fold(f"{total} settings that were tried and do not stay", [Table(columns, rows)])


def _provenance(document: Document) -> Section:
    pairs = [("command", Cell(document["command"], tone="code"))]
    known = {
        "seed": document["seed"],
        "tuned for": document["calibration"]["objective"],
        **document["versions"],
    }
    pairs += [(name, Cell(str(value))) for name, value in known.items()]
    pairs += [("doubt", Cell(doubt)) for doubt in document["doubts"]]
    return Section("provenance", "Where this comes from", [Facts(pairs)])
