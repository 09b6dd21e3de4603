"""What the records themselves say against their figures."""

from __future__ import annotations

from collections.abc import Iterable

from edgesynth.report.blocks import Block, Paragraph
from edgesynth.report.evidence import Finding


def doubts(findings: Iterable[Finding]) -> list[Block]:
    """A note for every doubt, each sentence once with the networks that it is about."""
    about: dict[str, list[str]] = {}
    for finding in findings:
        for sentence in finding.record.validity:
            names = about.setdefault(sentence, [])
            if finding.record.bundle.name not in names:
                names.append(finding.record.bundle.name)
    return [
        Paragraph(f"Doubt about {', '.join(names)}: {text}.", "note")
        for text, names in about.items()
    ]
