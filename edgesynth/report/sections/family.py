"""The family tree of a synthesis run: who descends from whom, and who was chosen."""

from __future__ import annotations

from edgesynth.core.history import Offspring
from edgesynth.report import numbers
from edgesynth.report.charts import Chart
from edgesynth.report.charts.family import Fate, Relative, family
from edgesynth.report.lineage import Evolution


def family_tree(run: Evolution) -> Chart:
    """All offspring of `run`; every row ends with the accuracies of the one that was selected."""
    return family(
        "Family tree",
        [_relative(run, one) for one in run.offspring],
        heading="Selected: at birth → trained",
        note="Accuracy on validation data. A dashed line leads to a second parent."
        if any(one.mate for one in run.offspring)
        else "Accuracy on validation data.",
    )


def _relative(run: Evolution, one: Offspring) -> Relative:
    birth = "" if one.accuracy_at_birth is None else f"{_percent(one.accuracy_at_birth)} → "
    smaller = numbers.change(run.ancestor.params, one.params)
    words = f"{birth}{numbers.percent(one.accuracy, 1)}"
    on_the_line = one.selected or one is run.ancestor
    return Relative(
        id=one.id,
        generation=one.generation,
        parents=one.parents,
        fate=_fate(run, one),
        name=one.id,
        words=words if on_the_line else "",
        tip=f"{one.id}: {words}, {numbers.count(one.params)} parameters"
        + (f", {smaller}" if one.parent else ""),
    )


def _fate(run: Evolution, one: Offspring) -> Fate:
    if one.id == run.best.id and one.parent is not None:
        return "best"
    if one.parent is None:
        return "ancestor"
    if one.selected:
        return "chosen"
    return "rejected" if one.rejected else "other"


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.1f}"
