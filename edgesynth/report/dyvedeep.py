"""The page of `reproduce dyvedeep`: claim beside obtained, operations and time apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesynth.report import numbers
from edgesynth.report.blocks import Cell, Column, Paragraph, Section, Table
from edgesynth.report.sections.reproduction_page import (
    claims_section,
    provenance_section,
    write_reproduction,
)

Document = Mapping[str, Any]
_WAYS = {
    "dense": "everything computed",
    "zeros_skipped": "zeros skipped",
    "knobs": "knobs",
    "knobs_and_zeros_skipped": "knobs, zeros skipped",
    "onnxruntime": "ONNX Runtime",
}


def write_dyvedeep_page(document: Document, out: Path) -> None:
    """Write the page about `document` (schema `edgesynth.effort-reproduction/1`) to `out`."""
    subjects = document["subjects"]
    doubts = {each for found in subjects.values() for each in found["doubts"]}
    sections = [
        claims_section(document),
        Section(
            "operations",
            "Scalar operations",
            [
                Paragraph(
                    "Of convolutions, on test images: a multiply-accumulate, a comparison or an "
                    "addition is one, and what decides is counted. Means of the seeds."
                ),
                *(_methods(name, found) for name, found in subjects.items()),
            ],
        ),
        Section(
            "layers",
            "All knobs, layer by layer",
            [_layers(name, found) for name, found in subjects.items()],
        ),
        Section("time", "Time on this processor", _times(document)),
        provenance_section(document, sorted(doubts)),
    ]
    origin = f"{len(document['rows'])} tunings of {len(document['seeds'])} seeds"
    write_reproduction(document, sections, origin, out)


def _methods(name: str, found: Document) -> Table:
    columns = [
        Column("Knobs"),
        Column("Lost, mean (worst)", number=True),
        Column("Times fewer operations", number=True),
        Column("with zeros skipped besides", number=True),
    ]
    rows = []
    for method, each in found["methods"].items():
        lost = each["lost_points"]
        zeros = method == "zero skipping"
        rows.append(
            [
                Cell("none, zero skipping alone" if zeros else method),
                Cell(f"{lost['mean']:.2f} ({lost['high']:.2f})"),
                Cell("" if zeros else _spread(each["times_fewer"])),
                Cell(_spread(each["times_fewer_with_zero_skipping"])),
            ]
        )
    accuracy = found["accuracy"]
    caption = (
        f"{name}: {numbers.percent(accuracy['mean'])} right without knobs, "
        f"{found['of_it_convolutions']['mean']:,.0f} of {found['macs']['mean']:,.0f} MACs in "
        f"convolutions, {len(found['seeds'])} seeds"
    )
    return Table(columns, rows, caption=caption)


def _layers(name: str, found: Document) -> Table:
    columns = [
        Column("Layer"),
        Column("Knobs (seeds)"),
        Column("Dense", number=True),
        Column("With knobs", number=True),
        Column("of it checks", number=True),
        Column("Zero skipping", number=True),
        Column("Both", number=True),
    ]
    keys = ("dense", "effort", "of_it_checks", "zero_skipping_alone", "effort_and_zero_skipping")
    rows = [
        [
            Cell(each["layer"]),
            Cell(", ".join(f"{knob} ({n})" for knob, n in each["knobs"].items()) or "none"),
            *(Cell(f"{each[key]:,.0f}") for key in keys),
        ]
        for each in found["layers"]
    ]
    return Table(columns, rows, caption=f"{name}: operations per image")


def _times(document: Document) -> list[Paragraph | Table]:
    blocks: list[Paragraph | Table] = [
        Paragraph(
            "One image at a time on one thread of "
            f"{document['machine']['cpu']['model']}: of each image the best of "
            "several runs in turns, then the mean over images. Times faster are held against the "
            "same operator with everything computed. Knobs that save operations of "
            "single outputs save little time where vectors compute; so they are tuned for time, "
            "too, where the threshold below which inputs count as zero is one of them."
        )
    ]
    for name, found in document["subjects"].items():
        for method, clock in found["clocks"].items():
            if "why_not" in clock:
                blocks.append(Paragraph(f"{name}, {method}: not measured: {clock['why_not']}."))
                continue
            for part, words in (("with_knobs", "layers with knobs"), ("whole", "whole network")):
                blocks.append(_ways(f"{name}, {method}, {words}", clock[part]))
    return blocks


def _ways(caption: str, part: Document) -> Table:
    columns = [
        Column("Run"),
        Column("ms", number=True),
        Column("Times faster", number=True),
    ]
    rows = [
        [
            Cell(words),
            Cell(f"{part[way]['ms']['mean']:.3f}"),
            Cell(_spread(part[way]["times_faster"])),
        ]
        for way, words in _WAYS.items()
    ]
    return Table(columns, rows, caption=caption)


def _spread(values: Document) -> str:
    return f"{values['mean']:.2f} ({values['low']:.2f} to {values['high']:.2f})"
