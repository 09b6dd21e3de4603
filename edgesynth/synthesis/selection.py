"""Natural selection: which offspring lives on, when a run is done, and what it delivers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgesynth.core.history import Offspring
from edgesynth.core.requirement import Requirement, Verdict, parse_requirement

Predictions = Mapping[str, Mapping[str, float]]
"""Device -> predicted measurements."""

COUNTED = frozenset(
    "accuracy accuracy_loss_points params synapses clusters macs size_bytes".split()
)
"""Keys of requirements that a run judges on what it counts itself."""

RULES = ("fittest", "tournament")
"""How natural selection ranks a generation, see `ranked`."""


def judge(
    counted: Mapping[str, float | None],
    ancestor_accuracy: float,
    requirements: Sequence[Requirement],
    predictions: Predictions,
) -> list[Verdict]:
    """Every requirement beside what was `counted` here or predicted for the device it names."""
    here = dict(counted)
    if here["accuracy"] is not None:
        here["accuracy_loss_points"] = 100 * (ancestor_accuracy - here["accuracy"])
    return [
        requirement.judge(predictions.get(requirement.device, {}) if requirement.device else here)
        for requirement in requirements
    ]


def facts(
    counted: Mapping[str, int],
    accuracy: float,
    ancestor_accuracy: float,
    requirements: Sequence[Requirement],
    predictions: Predictions,
) -> dict[str, Any]:
    """What an `Offspring` says of every network alike: accuracy, counts, and the verdicts."""
    known = {**counted, "accuracy": accuracy}
    verdicts = judge(known, ancestor_accuracy, requirements, predictions)
    return {**known, "requirements": [verdict.document() for verdict in verdicts]}


def holds(offspring: Offspring, *, floors_only: bool = False) -> bool:
    """True when all requirements recorded with `offspring` hold."""
    return all(
        verdict["holds"]
        for verdict in offspring.requirements
        if not floors_only or is_floor(verdict)
    )


def is_floor(verdict: Mapping[str, object]) -> bool:
    """True for a verdict on a bound that smaller networks can only come closer to breaking."""
    return str(verdict["key"]).startswith("accuracy")


def eligible(litter: Sequence[Offspring]) -> list[Offspring]:
    """Those of a generation that may become parents: neither rejected nor below a floor.

    Where there are none, those that keep the floors; where there are none, all.
    """
    sound = [offspring for offspring in litter if holds(offspring, floors_only=True)]
    return [offspring for offspring in sound if not offspring.rejected] or sound or list(litter)


def ranked(litter: Sequence[Offspring], rule: str) -> list[Offspring]:
    """`litter` from the fittest on, by `rule` of `RULES`; the first one wins a tie.

    `fittest` goes by accuracy. `tournament` goes by the requirement: the lowest worst ratio of
    what is spent to what is allowed over all goals (bounds on cost), then by accuracy.
    """
    if rule == "fittest":
        return sorted(litter, key=lambda one: -one.accuracy)
    return sorted(litter, key=lambda one: (worst_ratio(one), -one.accuracy))


def worst_ratio(offspring: Offspring) -> float:
    """Of what is spent to what is allowed, over the goals recorded with `offspring`; at most 1
    when all of them are met, 0 when there are none."""
    return max((_ratio(v) for v in offspring.requirements if not is_floor(v)), default=0.0)


def _ratio(verdict: Mapping[str, object]) -> float:
    """How far a goal is away, at most 1 when it is met; infinite where nothing was predicted."""
    requirement = parse_requirement(str(verdict["requirement"]))
    value, limit = verdict["value"], requirement.limit
    if not isinstance(value, (int, float)):
        return math.inf
    spent, allowed = (value, limit) if requirement.relation.startswith("<") else (limit, value)
    return spent / allowed if allowed > 0 else math.inf


def fittest(litter: Sequence[Offspring]) -> Offspring:
    """The most accurate of a generation; the first one wins a tie."""
    return ranked(litter, "fittest")[0]


def best(history: Sequence[Offspring]) -> Offspring:
    """What a run delivers.

    With goals (bounds on cost): the most accurate network that meets everything. Without, or where
    none does: the network with the fewest MACs among those that keep the floors.
    """
    has_goals = any(not is_floor(v) for o in history for v in o.requirements)
    complete = [offspring for offspring in history if holds(offspring)]
    if has_goals and complete:
        return fittest(complete)
    sound = [offspring for offspring in history if holds(offspring, floors_only=True)]
    return min(sound or history, key=lambda offspring: (offspring.macs, -offspring.accuracy))
