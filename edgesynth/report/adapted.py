"""`report` of folders that `adapt` wrote: what is in them, and records of their bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError
from edgesynth.report.adaptation import adaptation_sections
from edgesynth.report.blocks import Section
from edgesynth.report.effort import effort_sections
from edgesynth.report.evidence import gather
from edgesynth.report.page import SCHEMA, render
from edgesynth.report.sections.exits import exits
from edgesynth.report.sections.measured import measured
from edgesynth.report.sections.predicted import predicted
from edgesynth.report.subjects import cast
from edgesynth_rt import record as records
from edgesynth_rt.files import read_json, write_bytes

RESULT = "adaptation.json"
_READERS = {"edgesynth.adaptation/1": adaptation_sections, "edgesynth.effort/1": effort_sections}
Document = Mapping[str, Any]


def split_sources(sources: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Documents of adaptations among `sources`, and what else there is: the other sources, and
    the records that lie beside those documents."""
    adapted, others = [], []
    for source in sources:
        document = source / RESULT if source.is_dir() else source
        if document.name == RESULT and document.is_file():
            adapted.append(document)
            others += sorted(document.parent.glob(f"*{records.SUFFIX}"))
        else:
            others.append(source)
    return adapted, others


def build_adapted_report(
    adapted: Sequence[Path], others: Sequence[Path], out: Path, *, title: str | None = None
) -> dict[str, Any]:
    """Write the page about the documents `adapted` and the records in `others` to `out`.

    Returns what `report.build_report` does. Raises UserError naming the file that cannot be read.
    """
    documents = [_read(path) for path in adapted]
    sections = [
        _numbered(section, document, number if len(documents) > 1 else 0)
        for number, document in enumerate(documents, start=1)
        for section in _READERS[document["schema"]](document)
    ]
    kinds: list[str] = []
    inks: list[str] = []
    if others:
        evidence = gather(others)
        players = cast(evidence)
        kinds = [finding.record.kind for finding in evidence.findings]
        inks = [subject.ink for subject in players.everyone]
        found = (measured(players), exits(players), predicted(players))
        sections += [section for section in found if section is not None]
    first = documents[0]
    heading = title or f"{first['name']}: {first['method']} on {first['data']}"
    origin = f"{len(documents)} adaptations and {len(kinds)} records"
    data = render(heading, sections, inks, origin).encode("utf-8")
    write_bytes(str(out), data)
    return {
        "schema": SCHEMA,
        "report": str(out),
        "title": heading,
        "size_bytes": len(data),
        "adaptations": len(documents),
        "runs": 0,
        "searches": 0,
        "measured": kinds.count("measured"),
        "predicted": kinds.count("predicted"),
        "parent": first["parent"].get("network"),
        "child": first["name"],
        "sections": [section.id for section in sections],
    }


def _read(path: Path) -> Document:
    document = read_json(str(path), "adaptation")
    if not isinstance(document, dict) or document.get("schema") not in _READERS:
        raise UserError(f"{path} is no adaptation that this edgesynth can read; make it again")
    return document


def _numbered(section: Section, document: Document, number: int) -> Section:
    """With an anchor and a title of its own, where there are several adaptations."""
    if not number:
        return section
    title = f"{document['name']}, {document['method']}: {section.title}"
    return replace(section, id=f"{section.id}-{number}", title=title)
