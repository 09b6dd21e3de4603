"""Sets the knobs of all layers: greedily, under a bound on the accuracy lost, without training.

1. Every setting is tried alone on some calibration images: which operations it saves, and how far
   the network's answers move (mean Kullback-Leibler divergence). What saves nothing, overhead
   included, is rejected here, and what another setting of the knob beats in both.
2. The rest are taken in the order of operations saved per divergence. Each is judged on all
   calibration images together with what was taken before. It stays when the accuracy holds, half a
   standard error on the safe side, and the network's operations fall by at least half a percent.
   Where one loses too much, bolder ones of that knob and layer are not asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgesynth.core.progress import Progress, Silent
from edgesynth.dynamic.effort.candidates import merge
from edgesynth.dynamic.effort.knobs import KNOBS, Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork
from edgesynth.dynamic.effort.trials import (
    OPERATIONS,
    TIME,
    Trial,
    cost_of,
    counted,
    try_settings,
)

LEAST_GAIN = 0.005
"""Of the network's operations, by which a setting must lower them to stay."""
LEAST_OF_LAYER = {TIME: 0.05}
"""Of the layer's own work: less than that is not worth what it may lose."""
_NOTHING_MOVES = 1e-7
"""Divergence below which a setting counts as harmless."""
_FIRST = 500
LOSES, SAVES_NOTHING = "loses too much accuracy", "saves less than 0.5 % beside the others"
"""Reasons why a setting does not stay."""


@dataclass(frozen=True)
class Bounds:
    """What a setting is judged by."""

    max_loss: float
    objective: str


@dataclass(frozen=True)
class Judged:
    """The network with some knobs, on labelled images."""

    accuracy: float
    right: npt.NDArray[np.bool_] = field(repr=False)
    """Of every image, whether its class was found."""
    tallies: dict[str, Tally] = field(repr=False)
    """By layer, of all images."""
    logits: torch.Tensor = field(repr=False)

    @property
    def n(self) -> int:
        """Images."""
        return len(self.right)

    @property
    def operations(self) -> float:
        """Per image, of the convolutions with knobs."""
        return self.cost(OPERATIONS)

    def cost(self, objective: str) -> float:
        """What is to fall, per image; objective: `OPERATIONS` or `TIME`."""
        return sum(cost_of(tally, objective) for tally in self.tallies.values()) / self.n

    @property
    def total(self) -> Tally:
        """Of all layers and images."""
        total = Tally()
        for each in self.tallies.values():
            total.add(each)
        return total


@dataclass(frozen=True)
class Tuned:
    """What was found. The network is left with these knobs."""

    knobs: dict[str, Knobs]
    before: Judged
    after: Judged
    rejected: list[dict[str, Any]]
    """Settings that did not stay, and why."""


def judge(network: EffortNetwork, inputs: torch.Tensor, labels: npt.NDArray[np.int64]) -> Judged:
    """Accuracy and operations with the knobs as they are."""
    logits, tallies = counted(network, inputs)
    right = logits.argmax(dim=1).numpy() == labels
    return Judged(float(right.mean()), right, tallies, logits)


def loss_bound(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], errors: float) -> float:
    """The share of images that `after` gets wrong besides, plus so many of its standard errors."""
    lost = before.astype(np.int64) - after
    return float(lost.mean() + errors * np.sqrt(np.square(lost).sum()) / len(lost))


def tune(
    network: EffortNetwork,
    inputs: torch.Tensor,
    labels: npt.NDArray[np.int64],
    *,
    max_loss: float,
    trial_images: int = 128,
    objective: str = OPERATIONS,
    only: Collection[str] = KNOBS,
    trials: Sequence[Trial] | None = None,
    before: Judged | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Set the knobs of `network` for the least `objective`.

    inputs, labels: calibration images that the network was not trained on; max_loss: fraction of
    them that may be classified wrong besides; trial_images: of them, for settings alone; only:
    these knobs. What several calls share may be given: trials, of `try_settings` on this very
    `network`; before: the network without knobs on these images.
    """
    progress = progress or Silent()
    if trials is None:
        trials = try_settings(network, inputs[:trial_images], progress)
    for module in network.modules.values():
        module.set(Knobs())
    wanted, rejected = _worth_judging([t for t in trials if t.change[0] in only], objective)
    before = before or judge(network, inputs, labels)
    taken: dict[str, Knobs] = {}
    best = before
    order = sorted(
        wanted, key=lambda each: -each.saved(objective) / max(each.divergence, _NOTHING_MOVES)
    )
    limits: dict[tuple[str, str], float] = {}
    with progress.track("choose knobs", len(order)) as task:
        for trial in order:
            knob = (trial.layer, trial.change[0])
            module = network.modules[trial.layer]
            old, new = module.knobs, merge(module.knobs, trial.change)
            if trial.divergence >= limits.get(knob, float("inf")):
                reason = "a less bold one loses too much"
            else:
                module.set(new)
                asked = Bounds(max_loss, objective)
                found, reason = _judge_beside(network, inputs, labels, before, best, asked)
                if reason == LOSES:
                    limits[knob] = trial.divergence
            if not reason:
                taken[trial.layer], best = new, found
            else:
                module.set(old)
                rejected.append(_rejection(trial, reason))
            task.advance(note=f"{before.cost(objective) / best.cost(objective):.2f} times less")
    return Tuned(taken, before, best, rejected)


def _judge_beside(
    network: EffortNetwork,
    inputs: torch.Tensor,
    labels: npt.NDArray[np.int64],
    before: Judged,
    best: Judged,
    asked: Bounds,
) -> tuple[Judged, str]:
    """The network as it is set now, and why that does not stay; "" where it does.

    Some images are enough to see what is far off.
    """
    some = judge(network, inputs[:_FIRST], labels[:_FIRST])
    if loss_bound(before.right[:_FIRST], some.right, -2.0) > asked.max_loss:
        return some, LOSES
    found = some if len(inputs) <= _FIRST else judge(network, inputs, labels)
    if loss_bound(before.right, found.right, 0.5) > asked.max_loss:
        return found, LOSES
    if found.cost(asked.objective) > (1 - LEAST_GAIN) * best.cost(asked.objective):
        return found, SAVES_NOTHING
    return found, ""


def _rejection(trial: Trial, reason: str) -> dict[str, Any]:
    name, knobs = trial.change
    return {"layer": trial.layer, "knob": name, **knobs.document(), "reason": reason}


def _worth_judging(
    trials: Sequence[Trial], objective: str
) -> tuple[list[Trial], list[dict[str, Any]]]:
    """Trials that save something and that no other beats in everything, and what becomes of the
    rest."""
    least = LEAST_OF_LAYER.get(objective, 0.0)
    saving = [
        each
        for each in trials
        if each.saved(objective) > least * cost_of(each.before, objective) / each.images
    ]
    kept = [each for each in saving if not any(_beats(one, each, objective) for one in saving)]
    reasons = [
        (each, "costs more than it saves" if each not in saving else "another setting is better")
        for each in trials
        if each not in kept
    ]
    return kept, [_rejection(each, reason) for each, reason in reasons]


def _beats(one: Trial, other: Trial, objective: str) -> bool:
    """Does `one` save as much of the same by the same knob, and move the answers less?"""
    if (one.layer, one.change[0]) != (other.layer, other.change[0]) or one is other:
        return False
    mine, others = one.saved(objective), other.saved(objective)
    return (mine, -one.divergence) > (others, -other.divergence) and (
        mine >= others and one.divergence <= other.divergence
    )
