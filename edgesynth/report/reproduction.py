"""The page of a reproduction: claim beside obtained, figures, every rival and generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.reproduction import Summary
from edgesynth.report.blocks import Cell, Charts, Column, Facts, Paragraph, Section, Table
from edgesynth.report.page import render
from edgesynth.report.sections.reproduction_figures import figures
from edgesynth.report.sections.reproduction_tables import (
    checks_table,
    claims_table,
    equal_accuracy_table,
    factors_table,
    generations_table,
)
from edgesynth_rt.files import write_bytes


def write_page(document: dict[str, Any], out: Path) -> None:
    """Write the page about `document` (schema `edgesynth.reproduction/1`) to `out`, in one step."""
    paper = document["paper"]
    heading = f"Reproduction: {paper['name']} on {document['data']}"
    origin = f"{len(document['rows'])} networks of {len(document['seeds'])} seeds"
    write_bytes(str(out), render(heading, sections_of(document), [], origin).encode("utf-8"))


def sections_of(document: dict[str, Any]) -> list[Section]:
    """The page without its HTML."""
    summaries = msgspec.convert(document["summary"], list[Summary])
    paper = document["paper"]
    found = [
        Section(
            "claims",
            "Claim and obtained",
            [
                Paragraph(f"{paper['title']}, arXiv:{paper['arxiv']}.", "lead"),
                checks_table(document["checks"]),
                claims_table(document["claims"]),
            ],
        ),
        Section("figures", "Figures", [Charts(figures(paper["name"], summaries))]),
        Section("equal", "Size at equal accuracy", [equal_accuracy_table(document)]),
        Section("generations", "Rivals by generation", generations_table(document, summaries)),
    ]
    if document.get("factors"):
        found.append(Section("factors", "Precision and structure apart", [factors_table(document)]))
    return [*found, _rivals(document), _provenance(document)]


def _rivals(document: dict[str, Any]) -> Section:
    rows = [
        [Cell(each["rival"]), Cell(each["kind"]), Cell(each["says"])] for each in document["rivals"]
    ]
    missing = [[Cell(each["rival"]), Cell(each["reason"])] for each in document["not_run"]]
    tables = [Table([Column("Rival"), Column("Kind"), Column("What it does", prose=True)], rows)]
    if missing:
        columns = [Column("Rival"), Column("Why", prose=True)]
        tables.append(Table(columns, missing, caption="Not run"))
    return Section("rivals", "Rivals", tables)


def _provenance(document: dict[str, Any]) -> Section:
    settings = {**document["settings"], "seeds": document["seeds"], **document["versions"]}
    pairs = [("command", Cell(document["command"], tone="code"))]
    pairs += [(name, Cell(_text(value))) for name, value in settings.items()]
    return Section("provenance", "Where this comes from", [Facts(pairs)])


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
