"""The figures of a reproduction: accuracy against size per rival, and stress on against off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from edgesynth.core.reproduction import ANCESTOR, Spread, Summary, of_rival
from edgesynth.report import numbers
from edgesynth.report.charts import Chart
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Mark, Series, Shape, scatter
from edgesynth.report.scale import WholeNumbers, linear, logarithmic


class Look(NamedTuple):
    """How a rival is drawn in every figure."""

    ink: str
    shape: Shape = "dot"
    dashed: bool = False


LOOKS = {
    "edgesynth": Look("child"),
    "edgesynth+stress": Look("third", "diamond"),
    "halving": Look("faint"),
    "halving+stress": Look("faint", "diamond", True),
    "edgesynth-dense": Look("child", "square", True),
    "paper": Look("fifth"),
    "random": Look("parent", "ring"),
    "magnitude": Look("front"),
    "nncf": Look("front", "ring", True),
    "torch-pruning": Look("fourth"),
    "torch-pruning-global": Look("fourth", "ring", True),
    "evolve-fp32": Look("child"),
    "evolve-fp16": Look("faint"),
    "evolve-int8": Look("fifth"),
    "evolve-int4": Look("third", "diamond"),
    "evolve-ternary": Look("fourth"),
    "evolve-schedule": Look("third", "ring", True),
    "magnitude-fp32": Look("front"),
    "magnitude-int4": Look("front", "ring", True),
}
_LOWEST = 0.12
"""Networks that lost more than this share of accuracy are left out, or nothing else is seen."""


def figures(paper: str, summaries: Sequence[Summary]) -> list[Chart]:
    """The figures of the paper `paper`."""
    if paper == "precision":
        return [against("weight_bytes", "weight bytes", summaries, numbers.size)]
    return [
        against("synapses", "synapses", summaries, numbers.count),
        *stress_on_and_off(summaries, "halving", "the papers' rule for clusters"),
        *stress_on_and_off(summaries, "edgesynth", "edgesynth"),
        against("params", "dense parameters", summaries, numbers.count),
    ]


def against(
    key: str, name: str, summaries: Sequence[Summary], write: Callable[[float], str]
) -> Chart:
    """Test accuracy against a size, one line per rival, shaded from worst to best seed."""
    ancestor = of_rival(summaries, ANCESTOR)[1]
    floor = ancestor.test_accuracy.mean - _LOWEST
    series = []
    for rival in dict.fromkeys(one.rival for one in summaries):
        mine = [one for one in of_rival(summaries, rival).values()
                if one.generation > 1 and one.test_accuracy.mean >= floor]  # fmt: skip
        if not mine or rival not in LOOKS:
            continue
        look = LOOKS[rival]
        line = [ancestor, *mine]
        marks = [_mark(one, one.sizes[key], one.test_accuracy, write(one.sizes[key]))
                 for one in line]  # fmt: skip
        band = [_ends(one.sizes[key], one.test_accuracy) for one in line]
        series.append(Series(rival, look.ink, marks, look.shape, "straight", look.dashed, band))
    values = [mark for one in series for mark in one.marks]
    return scatter(
        f"Test accuracy against {name}",
        Axis(f"{name[0].upper()}{name[1:]} (log)", logarithmic([m.x for m in values]),
             lambda ticks: [write(tick) for tick in ticks]),
        Axis("Test accuracy", linear(_heights(series), floor=0, ceiling=1), _percent),
        series,
        note="Mean of the seeds; the shade runs from the worst to the best one. Networks more than "
        f"{100 * _LOWEST:.0f} points below the ancestor are left out.",
    )  # fmt: skip


def stress_on_and_off(summaries: Sequence[Summary], off: str, name: str) -> list[Chart]:
    """Accuracy at birth and after training by generation, with stress and without; none where
    one of the two lineages is not there."""
    series = []
    for rival, ink in ((off, "child"), (f"{off}+stress", "third")):
        mine = [one for g, one in of_rival(summaries, rival).items() if g > 1]
        if not mine:
            return []
        word = "with stress" if rival.endswith("stress") else "without"
        born = [one for one in mine if one.accuracy_at_birth is not None]
        series += [
            Series(f"at birth, {word}", ink,
                   [_mark(o, o.generation, s) for o in born if (s := o.accuracy_at_birth)],
                   "ring", "straight", True,
                   [_ends(o.generation, s) for o in born if (s := o.accuracy_at_birth)]),
            Series(f"trained, {word}", ink,
                   [_mark(o, o.generation, o.accuracy) for o in mine], "dot", "straight", False,
                   [_ends(o.generation, o.accuracy) for o in mine]),
        ]  # fmt: skip
    last = max(mark.x for one in series for mark in one.marks)
    return [
        scatter(
            f"Stress on against off, {name}",
            Axis("Generation", WholeNumbers(1.7, last + 0.3), _whole),
            Axis("Validation accuracy", linear(_heights(series), floor=0, ceiling=1), _percent),
            series,
            note="At birth a network has only the weights that it inherited. Mean of the seeds; "
            "the shade runs from the worst to the best one.",
        )
    ]


def _mark(one: Summary, x: float, accuracy: Spread, size: str = "") -> Mark:
    where = f", {size}" if size else ""
    return Mark(
        x,
        accuracy.mean,
        f"{one.rival} g{one.generation:02d}{where}: {numbers.percent(accuracy.mean)} "
        f"({numbers.percent(accuracy.low)} to {numbers.percent(accuracy.high)})",
    )


def _ends(x: float, accuracy: Spread) -> tuple[Mark, Mark]:
    return Mark(x, accuracy.low), Mark(x, accuracy.high)


def _heights(series: Sequence[Series]) -> list[float]:
    return [mark.y for one in series for pair in one.band for mark in pair]


def _percent(ticks: Sequence[float]) -> list[str]:
    step = min((b - a for a, b in pairwise(ticks)), default=0.01)
    return [numbers.percent(tick, 0 if step >= 0.0099 else 1) for tick in ticks]


def _whole(ticks: Sequence[float]) -> list[str]:
    return [f"{tick:.0f}" for tick in ticks]
