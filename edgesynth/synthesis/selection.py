"""Natural selection: which offspring lives on, when a run is done, and what it delivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgesynth.core.history import Offspring
from edgesynth.core.requirement import Requirement, Verdict

Predictions = Mapping[str, Mapping[str, float]]
"""Device -> predicted measurements."""

COUNTED = frozenset(
    "accuracy accuracy_loss_points params synapses clusters macs size_bytes".split()
)
"""Keys of requirements that a run judges on what it counts itself."""


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


def fittest(litter: Sequence[Offspring]) -> Offspring:
    """The most accurate of a generation; the first one wins a tie."""
    return max(litter, key=lambda offspring: offspring.accuracy)


def ranked(litter: Sequence[Offspring]) -> list[Offspring]:
    """A generation from the most accurate to the least; the first ones win ties."""
    return sorted(litter, key=lambda offspring: -offspring.accuracy)


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
