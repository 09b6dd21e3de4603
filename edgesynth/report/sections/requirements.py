"""What was required, what was found, and whether it holds."""

from __future__ import annotations

import msgspec

from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Cell, Column, Section, Table
from edgesynth.report.record import Verdict
from edgesynth.report.subjects import Cast, Subject, setting_of


def requirements(cast: Cast) -> Section | None:
    """A row per requirement of the child, from its run and from its records; None without any."""
    rows = [_row(verdict, where, kind) for verdict, where, kind in _verdicts(cast.child)]
    if not rows:
        return None
    columns = [
        Column("Requirement"),
        Column("Found", number=True),
        Column("Verdict"),
        Column("Where", prose=True),
    ]
    blocks: list[Block] = [Table(columns, rows, caption=f"What {cast.child.name} has to meet.")]
    return Section("requirements", "Requirements", blocks)


def quantity(key: str, value: float) -> str:
    """`value` in the unit that the measurement's `key` names, see `core.requirement.METRICS`."""
    if key == "accuracy":
        return numbers.percent(value)
    if key == "accuracy_loss_points":
        return f"{numbers.plain(value)}\u00a0pt"
    if key == "size_bytes":
        return numbers.size(value)
    if key.endswith("_ms"):
        return numbers.milliseconds(value)
    if key.endswith("_mj"):
        return numbers.millijoules(value)
    if key.endswith("_per_s"):
        return f"{numbers.count(value)}/s"
    return numbers.count(value)


def _verdicts(subject: Subject) -> list[tuple[Verdict, str, str]]:
    found: list[tuple[Verdict, str, str]] = []
    if subject.offspring is not None:
        for document in subject.offspring.requirements:
            found.append((msgspec.convert(document, Verdict), "evolve, validation data", ""))
    for finding in subject.findings:
        setting = setting_of(finding)
        where = f"{setting.where}: {setting.how}"
        found += [(verdict, where, setting.kind) for verdict in finding.record.requirements]
    return found


def _row(verdict: Verdict, where: str, kind: str) -> list[Cell]:
    words = {True: "holds", False: "fails", None: "not judged"}[verdict.holds]
    tone = {True: "good", False: "bad", None: "quiet"}[verdict.holds]
    value = "–" if verdict.value is None else quantity(verdict.key, verdict.value)
    where = f"{where}: {verdict.reason}" if verdict.reason else where
    return [
        Cell(verdict.requirement, tone="code"),
        Cell(value),
        Cell(words, tone=tone),  # type: ignore[arg-type]
        Cell(where, badge=kind),
    ]
