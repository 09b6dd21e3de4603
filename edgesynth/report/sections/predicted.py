"""What was predicted for boards: latency and energy, and where the time of every layer goes."""

from __future__ import annotations

from collections.abc import Callable

from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Cell, Charts, Column, Paragraph, Section, Table
from edgesynth.report.charts import Chart
from edgesynth.report.charts.bars import Bar, Group, bars
from edgesynth.report.evidence import Finding
from edgesynth.report.record import Record
from edgesynth.report.subjects import Cast, Setting, Subject

_EXPLANATION = (
    "Nothing in this section was measured. A model of each board gives these figures; its errors "
    "against published measurements stand below each table."
)


def predicted(cast: Cast) -> Section | None:
    """Bars per board and a layer table per record; None without a predicted record."""
    settings = cast.settings("predicted")
    if not settings:
        return None
    charts = [_bars(cast, settings, "Latency", numbers.milliseconds, _latency_ms)]
    if any(_values(cast, settings, _energy_mj)):
        energy = _bars(cast, settings, "Energy per inference", numbers.millijoules, _energy_mj)
        charts.append(energy)
    blocks: list[Block] = [Paragraph(_EXPLANATION), Charts(charts)]
    for setting in settings:
        for subject in cast.everyone:
            finding = subject.finding(setting)
            if finding is not None and finding.record.layers:
                blocks.append(_layers(setting, subject, finding))
    return Section("predicted", "Predicted", blocks)


def _latency_ms(record: Record) -> float | None:
    return record.latency_ms.mean


def _energy_mj(record: Record) -> float | None:
    return record.energy.gross_mj


def _values(
    cast: Cast, settings: list[Setting], read: Callable[[Record], float | None]
) -> list[float]:
    found = [one.finding(setting) for setting in settings for one in cast.everyone]
    values = [read(finding.record) for finding in found if finding is not None]
    return [value for value in values if value is not None]


def _bars(
    cast: Cast,
    settings: list[Setting],
    title: str,
    write: Callable[[float], str],
    read: Callable[[Record], float | None],
) -> Chart:
    groups = []
    for setting in settings:
        found = [(one, one.finding(setting)) for one in cast.everyone]
        values = [(one, read(f.record)) for one, f in found if f is not None]
        one_group = [
            Bar(one.name, one.ink, value, hatched=True)
            for one, value in values
            if value is not None
        ]
        if one_group:
            groups.append(Group(f"{setting.where}, {setting.precision}", one_group))
    return bars(title, groups, write, kind="predicted")


def _layers(setting: Setting, subject: Subject, finding: Finding) -> Table:
    record = finding.record
    columns = [
        Column("Layer"),
        Column("Kind"),
        Column("MACs", number=True),
        Column("ms", number=True),
        Column("Share"),
        Column("Bound by"),
    ]
    total = sum(layer.latency_ms for layer in record.layers) or 1.0
    slowest = max(layer.latency_ms for layer in record.layers)
    decimals = numbers.decimals_for(slowest)
    times = numbers.column([layer.latency_ms for layer in record.layers], decimals)
    rows = [
        [
            Cell(layer.name),
            Cell(layer.kind),
            Cell("–" if layer.macs is None else numbers.count(layer.macs)),
            Cell(time),
            Cell(
                numbers.percent(layer.latency_ms / total, 0),
                share=layer.latency_ms / total,
                ink=subject.ink,
            ),
            Cell(layer.bound),
        ]
        for layer, time in zip(record.layers, times, strict=True)
    ]
    mean = numbers.milliseconds(record.latency_ms.mean)
    summary = f"Layers of {subject.name} on {setting.where}, {setting.precision}: {mean}"
    return Table(columns, rows, caption=setting.how, summary=summary, kind="predicted")
