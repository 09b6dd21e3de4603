"""How sure the differences between measured networks are, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesynth.core.comparison import compare_records
from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Cell, Facts, Paragraph
from edgesynth.report.evidence import Finding
from edgesynth.report.subjects import Subject

_SHOWN = {"latency_p50_ms": "Latency p50", "accuracy": "Accuracy"}


def differences(there: Sequence[tuple[Subject, Finding]]) -> list[Block]:
    """Each network of one setting against the first; empty where nothing gives an interval."""
    compared = compare_records(
        [subject.name for subject, _ in there],
        [finding.document for _, finding in there],
        [list(finding.times_ms) or None for _, finding in there],
    )
    pairs = [
        (f"{_SHOWN[entry['key']]}, {entry['other']}", Cell(_sentence(entry)))
        for entry in compared["differences"]
        if entry["key"] in _SHOWN
    ]
    if not pairs:
        return []
    notes: list[Block] = [Paragraph(f"Note: {note}.", "note") for note in compared["notes"]]
    return [Facts(pairs, f"Against {there[0][0].name}"), *notes]


def _sentence(entry: Mapping[str, Any]) -> str:
    if entry["key"] == "accuracy":
        text = numbers.points(entry["difference"])
        low, high = (numbers.points(bound) for bound in entry["ci95"])
    else:
        word, low, high = "faster", *sorted(1 / bound for bound in entry["ratio_ci95"])
        ratio = 1 / entry["ratio"]
        if ratio < 1:
            ratio, low, high, word = 1 / ratio, 1 / high, 1 / low, "slower"
        text = f"{numbers.factor(ratio)} {word}"
        low, high = numbers.factor(low), numbers.factor(high)
    text += f", 95 % interval {low} to {high}"
    text += ", measured in turns" if entry["paired"] else ""
    return text if entry["shown"] else f"{text}: no difference shown"
