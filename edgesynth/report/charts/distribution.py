"""How latencies spread: the share of inferences that took at most so long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesynth.report import numbers
from edgesynth.report.charts.chart import Chart
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Mark, Series, Shape, scatter
from edgesynth.report.scale import Linear, Scale, linear, logarithmic

_MOST_POINTS = 160
_LONGEST_LABEL = 20


@dataclass(frozen=True)
class Distribution:
    """Latencies of one network, in milliseconds.

    `samples_ms` are all measured latencies where the record kept them; `quantiles_ms` are its
    known (fraction, latency) pairs, ascending.
    """

    name: str
    ink: str
    quantiles_ms: Sequence[tuple[float, float]]
    samples_ms: Sequence[float] = ()


def distribution(
    title: str, networks: Sequence[Distribution], *, note: str = "", kind: str = ""
) -> Chart:
    """The empirical distribution function of every network, dots at its stated percentiles.

    Without the raw latencies a dashed line joins the stated percentiles: that is all that is known.
    """
    curves = [_curve(network) for network in networks]
    across = _across([value for curve in curves for value, _ in curve])
    series = []
    for network, curve in zip(networks, curves, strict=True):
        marks = [Mark(value, share) for value, share in curve]
        raw = len(network.samples_ms) > 0
        series.append(Series("", network.ink, marks, "none", "straight", dashed=not raw))
        stated = [_stated(network.name, share, value) for share, value in network.quantiles_ms]
        shape: Shape = "square" if network.ink == "parent" else "dot"
        series.append(Series(network.name, network.ink, stated, shape))
    return scatter(
        title,
        Axis("Latency (ms)", across, _write_ms),
        Axis("Inferences done within this time", Linear(0.0, 1.0), _write_share),
        series,
        note=note,
        kind=kind,
    )


def ecdf(samples: Sequence[float], most: int = _MOST_POINTS) -> list[tuple[float, float]]:
    """(value, share of samples at most as large), thinned to about `most` points.

    The first and the last sample are always there; thinning takes evenly spaced ranks, and every
    rank of the slowest ones, so that the tail keeps its shape.
    """
    ordered = sorted(samples)
    total = len(ordered)
    tail = max(0, total - most // 4)
    stride = max(1, tail // most)
    ranks = sorted({*range(0, tail, stride), *range(tail, total)})
    return [(ordered[rank], (rank + 1) / total) for rank in ranks]


def _curve(network: Distribution) -> list[tuple[float, float]]:
    if len(network.samples_ms) > 0:
        return ecdf(network.samples_ms)
    return [(value, share) for share, value in network.quantiles_ms]


def _across(values: Sequence[float]) -> Scale:
    """A long tail needs a logarithmic axis; a narrow spread reads better on a linear one."""
    if min(values, default=0.0) > 0 and max(values) > 3 * min(values):
        return logarithmic(values)
    return linear(values, floor=0.0)


def _stated(name: str, share: float, value: float) -> Mark:
    words = {0.0: "fastest", 1.0: "slowest"}.get(share, f"p{numbers.plain(share * 100)}")
    label = name if share == 0.5 and len(name) <= _LONGEST_LABEL else ""
    return Mark(value, share, f"{name}, {words}: {numbers.milliseconds(value)}", label)


def _write_ms(ticks: Sequence[float]) -> list[str]:
    return [numbers.count(tick) for tick in ticks]


def _write_share(ticks: Sequence[float]) -> list[str]:
    return [numbers.percent(tick, 0) for tick in ticks]
