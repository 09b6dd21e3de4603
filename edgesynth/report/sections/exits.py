"""Where inputs left bundles with early exits, beside where they were expected to."""

from __future__ import annotations

from edgesynth.report import numbers
from edgesynth.report.blocks import Charts, Paragraph, Section
from edgesynth.report.charts import Chart
from edgesynth.report.charts.bars import Bar, Group, bars
from edgesynth.report.record import Exits
from edgesynth.report.subjects import Cast


def exits(players: Cast) -> Section | None:
    """One histogram for each measured record of a bundle that inputs may leave early."""
    records = [f.record for one in players.everyone for f in one.findings]
    found = [
        _chart(record.bundle.name, record.exits)
        for record in records
        if record.kind == "measured" and record.exits is not None
    ]
    if not found:
        return None
    note = Paragraph(
        "A policy was chosen on calibration data. Where inputs leave elsewhere, cost and accuracy "
        "are not what was promised.",
        "note",
    )
    return Section("exits", "Where inputs leave", [Charts(found), note])


def _chart(name: str, known: Exits) -> Chart:
    expected = known.expected or {}
    groups = []
    for stage, share in known.shares.items():
        mine = [Bar("found", "child", share)]
        if stage in expected:
            mine.insert(0, Bar("expected", "parent", expected[stage]))
        groups.append(Group(stage, mine))
    alarm = known.drift is not None and bool(known.drift.get("alarm"))
    return bars(
        f"{name}: {known.counted_on}",
        groups,
        lambda share: numbers.percent(share, 1),
        note="They left elsewhere than chance explains: calibrate anew." if alarm else "",
        kind="measured",
    )
