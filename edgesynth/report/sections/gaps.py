"""What the page does not know, and why: silence would look like good news."""

from __future__ import annotations

from edgesynth.report.blocks import Block, Cell, Facts, Section
from edgesynth.report.subjects import Cast, setting_of


def gaps(cast: Cast) -> Section | None:
    """One line for everything that was not measured; None when nothing is missing."""
    pairs = [(name, Cell(text)) for name, text in _gaps(cast).items()]
    blocks: list[Block] = [Facts(pairs)]
    return Section("gaps", "What is not measured", blocks) if pairs else None


def _gaps(cast: Cast) -> dict[str, str]:
    findings = [finding for one in cast.everyone for finding in one.findings]
    found: dict[str, str] = {}
    boards = {s.module for s in cast.settings("measured") if s.module != "host"}
    for setting in cast.settings("predicted"):
        if setting.module not in boards:
            found[f"Latency on {setting.module}"] = (
                "predicted only; no record measured on this board was given"
            )
    for finding in findings:
        record, where = finding.record, setting_of(finding).where
        if record.energy.not_predicted:
            found[f"Energy, {where}"] = f"not predicted: {record.energy.not_predicted}"
        if record.kind != "measured":
            continue
        if record.energy.not_measured:
            found[f"Energy, {where}"] = record.energy.not_measured
        if record.accuracy.not_measured:
            name = f"Accuracy of {record.bundle.name}, {where}"
            found[name] = record.accuracy.not_measured
    if not findings:
        found["Latency and energy"] = "no record was given; edgesynth bench makes one"
    elif not cast.settings("measured"):
        found["Latency anywhere"] = "no measured record was given; edgesynth bench makes one"
    return found
