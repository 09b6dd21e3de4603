"""What the pages of all reproductions share: heading, claims, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesynth.report.blocks import Block, Cell, Facts, Paragraph, Section
from edgesynth.report.page import render
from edgesynth.report.sections.reproduction_tables import checks_table
from edgesynth_rt.files import write_bytes

Document = Mapping[str, Any]


def write_reproduction(
    document: Document, sections: Sequence[Section], origin: str, out: Path
) -> None:
    """Write the page to `out` in one step; `origin` says how much it is made of."""
    heading = f"Reproduction: {document['paper']['name']} on {document['data']}"
    write_bytes(str(out), render(heading, sections, [], origin).encode("utf-8"))


def claims_section(document: Document, *more: Block) -> Section:
    """What the paper claims, what is asked of edgesynth here and what was found, and `more`."""
    paper = document["paper"]
    lead = f"{paper['title']}, arXiv:{paper['arxiv']}."
    if "claimed" in paper:
        lead += f" Claimed: {paper['claimed']}. Not the same here: {paper['differs']}."
    blocks = [Paragraph(lead, "lead"), checks_table(document["checks"]), *more]
    return Section("claims", "Claim and obtained", blocks)


def provenance_section(document: Document, doubts: Sequence[str] = ()) -> Section:
    """Command, settings and versions, and what is doubtful about the figures."""
    settings = {**document["settings"], "seeds": document["seeds"], **document["versions"]}
    pairs = [("command", Cell(document["command"], tone="code"))]
    pairs += [(name, Cell(_text(value))) for name, value in settings.items()]
    pairs += [("doubt", Cell(doubt)) for doubt in doubts]
    return Section("provenance", "Where this comes from", [Facts(pairs)])


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
