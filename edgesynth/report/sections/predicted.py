"""What was predicted for boards: latency and energy, and where the time of every layer goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgesynth.report import numbers
from edgesynth.report.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Fold,
    Paragraph,
    Section,
    Table,
)
from edgesynth.report.charts import Chart
from edgesynth.report.charts.bars import Bar, Group, bars
from edgesynth.report.record import Layer, Record
from edgesynth.report.sections.doubts import doubts
from edgesynth.report.subjects import Cast, Setting, Subject

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
    charts = [_bars(cast, settings, quantity) for quantity in (_LATENCY, _ENERGY)]
    shown = [chart for chart in charts if chart is not None]
    blocks: list[Block] = [Paragraph(_EXPLANATION), Charts(shown)]
    folds = [fold for setting in settings for fold in _layers(cast, setting)]
    blocks += [replace(fold, open=fold.open and fold is folds[0]) for fold in folds]
    findings = [one.finding(setting) for setting in settings for one in cast.everyone]
    blocks.append(_models(cast, settings))
    blocks += doubts(finding for finding in findings if finding is not None)
    return Section("predicted", "Predicted", blocks)


@dataclass(frozen=True)
class _Quantity:
    """A predicted figure: its value, its mean error in per cent, and how it is written."""

    title: str
    value: Callable[[Record], float | None]
    error_percent: Callable[[Record], float | None]
    write: Callable[[float], str]


_LATENCY = _Quantity(
    "Latency",
    lambda record: record.latency_ms.mean,
    lambda record: record.model.latency_error_percent,
    numbers.milliseconds,
)
_ENERGY = _Quantity(
    "Energy per inference",
    lambda record: record.energy.gross_mj,
    lambda record: record.model.energy_error_percent,
    numbers.millijoules,
)


def _bars(cast: Cast, settings: list[Setting], quantity: _Quantity) -> Chart | None:
    """A group of bars for every board that has this quantity; None when none has."""
    groups = []
    for setting in settings:
        found = [(one, one.finding(setting)) for one in cast.everyone]
        bars_here = [bar for one, f in found if f and (bar := _bar(one, f.record, quantity))]
        if bars_here:
            groups.append(Group(f"{setting.where}, {setting.precision}", bars_here))
    if not groups:
        return None
    whiskers = any(bar.error for group in groups for bar in group.bars)
    note = "Whiskers: the mean absolute error of the model, either way." if whiskers else ""
    return bars(quantity.title, groups, quantity.write, note=note, kind="predicted")


def _bar(subject: Subject, record: Record, quantity: _Quantity) -> Bar | None:
    value = quantity.value(record)
    if value is None:
        return None
    error = (quantity.error_percent(record) or 0.0) / 100
    return Bar(subject.name, subject.ink, value, hatched=True, error=error)


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


def _models(cast: Cast, settings: list[Setting]) -> Table:
    """How far the models are off, and on which measurements that is known."""
    columns = [
        Column("Board"),
        Column("Latency error", number=True),
        Column("It rests on", prose=True),
        Column("Energy error", number=True),
        Column("It rests on", prose=True),
    ]
    rows = []
    for setting in settings:
        found = [one.finding(setting) for one in cast.everyone]
        record = next(finding.record for finding in found if finding is not None)
        rows.append([Cell(f"{setting.where}, {setting.precision}"), *_model_cells(record)])
    return Table(columns, rows, caption="Mean absolute errors of the models.", kind="predicted")


def _model_cells(record: Record) -> list[Cell]:
    model, energy = record.model, record.energy
    rail = f", at the {energy.rail}" if energy.rail else ""
    known = f"{_basis(model.energy_status, model.energy_basis)}{rail}"
    return [
        Cell(numbers.error(model.latency_error_percent)),
        Cell(_basis(model.latency_status, model.latency_basis)),
        Cell("–" if energy.gross_mj is None else numbers.error(model.energy_error_percent)),
        Cell(energy.not_predicted or "" if energy.gross_mj is None else known),
    ]


def _basis(status: str, basis: str) -> str:
    return ": ".join(filter(None, (status, basis)))
