"""Sets the knobs of all layers: greedily, under a bound on the accuracy lost, without training.

1. Every setting is tried alone on some calibration images: which operations it saves, and how far
   the network's answers move (mean Kullback-Leibler divergence). What saves nothing, overhead
   included, is rejected here, and what another setting of the knob beats in both.
2. A path leads from the network without knobs to one with all that are worth it: in the order of
   operations saved per divergence each is set beside those before, and stays where the network's
   operations fall by at least half a percent. It ends where far too much is lost.
3. All calibration images say how far along the path the accuracy holds, half a standard error on
   the safe side. So few networks are judged by their accuracy that none can pass by luck: among a
   hundred that each lose half a point, some seem to lose nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    answers,
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
_ON_THE_WAY = 256
"""Images that lead the path."""
LOSES, SAVES_NOTHING = "loses too much accuracy", "saves less than 0.5 % beside the others"
"""Reasons why a setting does not stay."""


@dataclass(frozen=True)
class Step:
    """A setting that stays on the path, and the layer's knobs from then on."""

    trial: Trial
    knobs: Knobs


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
    set_knobs(network, {})
    wanted, rejected = _worth_judging([t for t in trials if t.change[0] in only], objective)
    before = before or judge(network, inputs, labels)
    few = slice(0, _ON_THE_WAY)
    path, left = _path(network, inputs[few], labels[few], wanted, max_loss, objective, progress)
    held = _longest(network, inputs, labels, before, path, max_loss, progress)
    knobs = _after(path[:held])
    set_knobs(network, knobs)
    return Tuned(
        knobs,
        before,
        judge(network, inputs, labels) if held else before,
        [*rejected, *left, *(_rejection(step.trial, LOSES) for step in path[held:])],
    )


def set_knobs(network: EffortNetwork, knobs: Mapping[str, Knobs]) -> None:
    """Of all layers, by name; one that is not there computes everything."""
    for name, module in network.modules.items():
        if module.knobs != knobs.get(name, Knobs()):
            module.set(knobs.get(name, Knobs()))


def _after(steps: Sequence[Step]) -> dict[str, Knobs]:
    """By layer, at the end of these steps of a path."""
    return {step.trial.layer: step.knobs for step in steps}


def _path(
    network: EffortNetwork,
    inputs: torch.Tensor,
    labels: npt.NDArray[np.int64],
    wanted: Sequence[Trial],
    max_loss: float,
    objective: str,
    progress: Progress,
) -> tuple[list[Step], list[dict[str, Any]]]:
    """Settings one after another, and those that save nothing beside the others."""
    order = sorted(
        wanted, key=lambda each: -each.saved(objective) / max(each.divergence, _NOTHING_MOVES)
    )
    before = best = judge(network, inputs, labels)
    path: list[Step] = []
    rejected = []
    with progress.track("choose knobs", len(order)) as task:
        for i, trial in enumerate(order):
            module = network.modules[trial.layer]
            old = module.knobs
            module.set(merge(old, trial.change))
            found = judge(network, inputs, labels)
            if loss_bound(before.right, found.right, -2.0) > max_loss:
                rejected += [_rejection(each, LOSES) for each in order[i:]]
                break
            if found.cost(objective) > (1 - LEAST_GAIN) * best.cost(objective):
                module.set(old)
                rejected.append(_rejection(trial, SAVES_NOTHING))
            else:
                path.append(Step(trial, module.knobs))
                best = found
            task.advance(note=f"{before.cost(objective) / best.cost(objective):.2f} times less")
    return path, rejected


def _longest(
    network: EffortNetwork,
    inputs: torch.Tensor,
    labels: npt.NDArray[np.int64],
    before: Judged,
    path: Sequence[Step],
    max_loss: float,
    progress: Progress,
) -> int:
    """Steps after which the accuracy holds, by bisection: the further, the more is lost."""
    holds, fails = 0, len(path) + 1
    with progress.track("judge by accuracy", len(path).bit_length()) as task:
        while fails - holds > 1:
            steps = (holds + fails) // 2
            set_knobs(network, _after(path[:steps]))
            right = answers(network, inputs).argmax(dim=1).numpy() == labels
            if loss_bound(before.right, right, 0.5) > max_loss:
                fails = steps
            else:
                holds = steps
            task.advance(note=f"{holds} of {len(path)} settings")
    return holds


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
