"""What was measured: latency distributions, percentiles, throughput, accuracy, energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgesynth.core.metric import ACCURACY
from edgesynth.report import numbers
from edgesynth.report.blocks import Beside, Block, Cell, Column, Section, Table
from edgesynth.report.charts.distribution import Distribution, distribution
from edgesynth.report.evidence import Finding
from edgesynth.report.record import Record
from edgesynth.report.sections.differences import differences
from edgesynth.report.sections.doubts import doubts
from edgesynth.report.subjects import Cast, Setting, Subject, setting_of
from edgesynth.report.words import capital
from edgesynth_rt.statistics import wilson

_Row = tuple[str, Callable[[Record], float | None]]
_LATENCIES: list[_Row] = [
    ("Mean", lambda r: r.latency_ms.mean),
    ("p50", lambda r: r.latency_ms.p50),
    ("p90", lambda r: r.latency_ms.p90),
    ("p95", lambda r: r.latency_ms.p95),
    ("p99", lambda r: r.latency_ms.p99),
    ("Fastest", lambda r: r.latency_ms.min),
    ("Slowest", lambda r: r.latency_ms.max),
]


def measured(cast: Cast) -> Section | None:
    """A chart and a table for every setting that was measured; None without a measured record."""
    blocks: list[Block] = []
    for setting in cast.settings("measured"):
        blocks += _setting(cast, setting)
    return Section("measured", "Measured", blocks) if blocks else None


def _setting(cast: Cast, setting: Setting) -> list[Block]:
    there = [
        (subject, finding)
        for subject in cast.everyone
        for finding in subject.findings
        if setting_of(finding) == setting
    ]
    chart = distribution(
        f"Latency, {setting.where}",
        [_distribution(subject, finding) for subject, finding in there],
        note=_origin(there),
        kind="measured",
    )
    blocks: list[Block] = [Beside(chart, _table(setting, there)), *differences(there)]
    return blocks + doubts(finding for _, finding in there)


def _distribution(subject: Subject, finding: Finding) -> Distribution:
    quantiles = finding.record.latency_ms.quantiles()
    return Distribution(subject.name, subject.ink, quantiles, finding.times_ms)


def _origin(there: Sequence[tuple[Subject, Finding]]) -> str:
    dots = "Dots: fastest, p50, p90, p95, p99, slowest."
    if all(len(finding.times_ms) for _, finding in there):
        return f"Every iteration counts. {dots}"
    return f"A dashed line joins stated percentiles; the single latencies are not at hand. {dots}"


def _table(setting: Setting, there: Sequence[tuple[Subject, Finding]]) -> Table:
    records = [finding.record for _, finding in there]
    columns = [Column("")] + [Column(s.name, number=True, ink=s.ink) for s, _ in there]
    values = [[read(record) for record in records] for _, read in _LATENCIES]
    known = [value for row in values for value in row if value is not None]
    fastest = min(known)
    unit, per_unit = ("µs", 1e-3) if fastest < 0.1 else ("ms", 1.0)
    decimals = numbers.decimals_for(fastest / per_unit)
    rows = []
    for (name, _), row in zip(_LATENCIES, values, strict=True):
        scaled = [None if value is None else value / per_unit for value in row]
        cells = numbers.column(scaled, decimals)
        rows.append([Cell(f"{name}, {unit}"), *map(Cell, cells)])
    rows.append([Cell("Iterations"), *(Cell(_whole(r.latency_ms.n)) for r in records)])
    rows.append([Cell("Inferences per second"), *(Cell(_rate(r)) for r in records)])
    metric = next((r.accuracy.metric for r in records if r.accuracy.value is not None), ACCURACY)
    rows.append([Cell(capital(metric)), *map(_accuracy, records)])
    for word in ("easy", "moderate", "hard"):
        if any(record.accuracy.kitti for record in records):
            rows.append([Cell(f"KITTI AP, {word}"), *(_kitti(record, word) for record in records)])
    rows.append([Cell("Energy per inference"), *map(_energy, records)])
    return Table(columns, rows, caption=f"{setting.where}: {setting.how}.", kind="measured")


def _whole(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _rate(record: Record) -> str:
    return "–" if record.throughput_per_s is None else numbers.count(record.throughput_per_s)


def _accuracy(record: Record) -> Cell:
    found = record.accuracy
    if found.value is None:
        return Cell("not measured", tip=found.not_measured or "", tone="quiet")
    text, tip = numbers.percent(found.value), f"{found.data or ''} {found.split or ''}".strip()
    if found.n and found.metric != ACCURACY:
        tip = f"{tip}: {found.n:,} images"
    elif found.n:
        low, high = wilson(found.value * found.n, found.n)
        interval = f"95 % interval {numbers.percent(low)} to {numbers.percent(high)}"
        tip = f"{tip}: {found.n:,} images, {interval}"
    return Cell(text, tip=tip)


def _kitti(record: Record, word: str) -> Cell:
    value = getattr(record.accuracy.kitti, word, None)
    if value is None:
        return Cell("–", tip="no object of this difficulty was looked for", tone="quiet")
    return Cell(numbers.percent(value))


def _energy(record: Record) -> Cell:
    if record.energy.gross_mj is None:
        return Cell("not measured", tip=record.energy.not_measured or "", tone="quiet")
    return Cell(numbers.millijoules(record.energy.gross_mj))
