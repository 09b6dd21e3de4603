"""What was predicted for boards: latency and energy, and where the time of every layer goes."""

from __future__ import annotations

from collections.abc import Callable

from edgesynth.report import numbers
from edgesynth.report.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Facts,
    Fold,
    Paragraph,
    Section,
    Table,
)
from edgesynth.report.charts import Chart
from edgesynth.report.charts.bars import Bar, Group, bars
from edgesynth.report.record import Layer, Record
from edgesynth.report.subjects import Cast, Setting, Subject
from edgesynth.report.words import in_words

_OPEN_UP_TO = 15

_EXPLANATION = (
    "Nothing in this section was measured. A model of each board gives these figures; how far it "
    "is off on published measurements stands below."
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
    blocks += [fold for setting in settings for fold in _layers(cast, setting)]
    blocks += _models(cast, settings)
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


def _layers(cast: Cast, setting: Setting) -> list[Fold]:
    """The layer tables of every network in `setting`, side by side; empty without layers."""
    found = [(subject, subject.finding(setting)) for subject in cast.everyone]
    tables = [_table(subject, f.record) for subject, f in found if f and f.record.layers]
    if not tables:
        return []
    summary = f"Layers on {setting.where}: {setting.how}"
    short = max(len(table.rows) for table in tables) <= _OPEN_UP_TO
    return [Fold(summary, tables, open=short, kind="predicted")]


def _table(subject: Subject, record: Record) -> Table:
    columns = [
        Column("Layer"),
        Column("Kind"),
        Column("MACs", number=True),
        Column("ms", number=True),
        Column("Share"),
        Column("Bound by"),
    ]
    total = sum(layer.latency_ms for layer in record.layers) or 1.0
    decimals = numbers.decimals_for(max(layer.latency_ms for layer in record.layers))
    times = numbers.column([layer.latency_ms for layer in record.layers], decimals)
    rows = [
        _row(layer, time, layer.latency_ms / total, subject.ink)
        for layer, time in zip(record.layers, times, strict=True)
    ]
    mean = numbers.milliseconds(record.latency_ms.mean)
    return Table(columns, rows, caption=f"{subject.name}: {mean}", ink=subject.ink)


def _row(layer: Layer, time: str, share: float, ink: str) -> list[Cell]:
    return [
        Cell(layer.name, tip=layer.name),
        Cell(layer.kind),
        Cell("–" if layer.macs is None else numbers.count(layer.macs)),
        Cell(time),
        Cell(numbers.percent(share, 0), share=share, ink=ink),
        Cell(layer.bound),
    ]


def _models(cast: Cast, settings: list[Setting]) -> list[Block]:
    """What the records say about the models behind them: the fit, and its errors."""
    pairs = []
    for setting in settings:
        found = [one.finding(setting) for one in cast.everyone]
        models = [in_words(finding.record.model) for finding in found if finding is not None]
        texts = dict.fromkeys(text for text in models if text)
        pairs += [(f"{setting.where}, {setting.precision}", Cell(text)) for text in texts]
    return [Facts(pairs, "The models and their errors")] if pairs else []
