"""The page of a reproduction: claim beside obtained, figures, every rival and generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.reproduction import Summary
from edgesynth.report.blocks import Cell, Charts, Column, Section, Table
from edgesynth.report.sections.reproduction_figures import figures
from edgesynth.report.sections.reproduction_page import (
    claims_section,
    provenance_section,
    write_reproduction,
)
from edgesynth.report.sections.reproduction_tables import (
    claims_table,
    equal_accuracy_table,
    factors_table,
    generations_table,
)


def write_page(document: dict[str, Any], out: Path) -> None:
    """Write the page about `document` (schema `edgesynth.reproduction/1`) to `out`, in one step."""
    origin = f"{len(document['rows'])} networks of {len(document['seeds'])} seeds"
    write_reproduction(document, sections_of(document), origin, out)


def sections_of(document: dict[str, Any]) -> list[Section]:
    """The page without its HTML."""
    summaries = msgspec.convert(document["summary"], list[Summary])
    found = [
        claims_section(document, claims_table(document["claims"])),
        Section("figures", "Figures", [Charts(figures(document["paper"]["name"], summaries))]),
        Section("equal", "Size at equal accuracy", [equal_accuracy_table(document)]),
        Section("generations", "Rivals by generation", generations_table(document, summaries)),
    ]
    if document.get("factors"):
        found.append(Section("factors", "Precision and structure apart", [factors_table(document)]))
    return [*found, _rivals(document), provenance_section(document)]


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
