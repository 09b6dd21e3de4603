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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from edgesynth.core.progress import Progress, Silent
from edgesynth.dynamic.effort.candidates import Change, changes, channel_order, merge
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork

OPERATIONS, TIME = "operations", "time"
"""What is to fall: operations of a machine that decides output by output, or the work of the
compiled operator, whose vectors decide together."""
LEAST_GAIN = 0.005
"""Of the network's operations, by which a setting must lower them to stay."""
_NOTHING_MOVES = 1e-7
"""Divergence below which a setting counts as harmless."""
_BATCH, _FIRST = 64, 500
LOSES, SAVES_NOTHING = "loses too much accuracy", "saves less than 0.5 % beside the others"
"""Reasons why a setting does not stay."""


@dataclass(frozen=True)
class Bounds:
    """What a setting is judged by."""

    max_loss: float
    objective: str


@dataclass(frozen=True)
class Trial:
    """One setting, alone."""

    layer: str
    change: Change
    saved: int
    """Of the objective, by the layer, per image; below 0 where deciding costs more than that."""
    divergence: float


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
        return sum(_cost(tally, objective) for tally in self.tallies.values()) / self.n

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


def _cost(tally: Tally, objective: str) -> int:
    return tally.work if objective == TIME else tally.operations


def judge(network: EffortNetwork, inputs: torch.Tensor, labels: npt.NDArray[np.int64]) -> Judged:
    """Accuracy and operations with the knobs as they are."""
    tallies = {name: Tally() for name in network.modules}
    for name, module in network.modules.items():
        module.tally = tallies[name]
    try:
        logits = answers(network, inputs)
    finally:
        for module in network.modules.values():
            module.tally = None
    right = logits.argmax(dim=1).numpy() == labels
    return Judged(float(right.mean()), right, tallies, logits)


def loss_bound(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], errors: float) -> float:
    """The share of images that `after` gets wrong besides, plus so many of its standard errors."""
    lost = before.astype(np.int64) - after
    return float(lost.mean() + errors * np.sqrt(np.square(lost).sum()) / len(lost))


def answers(network: EffortNetwork, inputs: torch.Tensor) -> torch.Tensor:
    """The network's outputs, in batches."""
    with torch.inference_mode():
        return torch.cat([network.module(part) for part in inputs.split(_BATCH)])


def tune(
    network: EffortNetwork,
    inputs: torch.Tensor,
    labels: npt.NDArray[np.int64],
    *,
    max_loss: float,
    trial_images: int = 128,
    objective: str = OPERATIONS,
    progress: Progress | None = None,
) -> Tuned:
    """Set the knobs of `network` for the least `objective`.

    inputs, labels: calibration images that the network was not trained on; max_loss: fraction of
    them that may be classified wrong besides; trial_images: of them, for settings alone.
    """
    progress = progress or Silent()
    for module in network.modules.values():
        module.set(Knobs())
    few = inputs[:trial_images]
    trials, rejected = _try_all(network, few, objective, progress)
    before = judge(network, inputs, labels)
    taken: dict[str, Knobs] = {}
    best = before
    order = sorted(trials, key=lambda each: -each.saved / max(each.divergence, _NOTHING_MOVES))
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
    found = judge(network, inputs, labels)
    if loss_bound(before.right, found.right, 0.5) > asked.max_loss:
        return found, LOSES
    if found.cost(asked.objective) > (1 - LEAST_GAIN) * best.cost(asked.objective):
        return found, SAVES_NOTHING
    return found, ""


def _rejection(trial: Trial, reason: str) -> dict[str, Any]:
    name, knobs = trial.change
    return {"layer": trial.layer, "knob": name, **knobs.document(), "reason": reason}


def _try_all(
    network: EffortNetwork, inputs: torch.Tensor, objective: str, progress: Progress
) -> tuple[list[Trial], list[dict[str, Any]]]:
    seen = _seen(network, inputs)
    for name, module in network.modules.items():
        module.order = channel_order(module.layer, seen[name])
    expected = functional.log_softmax(answers(network, inputs), dim=1)
    trials: list[Trial] = []
    rejected: list[dict[str, Any]] = []
    with progress.track("try knobs alone", len(network.modules)) as task:
        for name, module in network.modules.items():
            for change in changes(module, seen[name]):
                trial = _try(network, name, change, inputs, expected, objective)
                if trial.saved > 0:
                    trials.append(trial)
                else:
                    rejected.append(_rejection(trial, "costs more than it saves"))
            task.advance(note=name)
    kept = [each for each in trials if not any(_beats(other, each) for other in trials)]
    gone = [each for each in trials if each not in kept]
    return kept, rejected + [_rejection(each, "another setting is better") for each in gone]


def _beats(one: Trial, other: Trial) -> bool:
    """Does `one` save as much of the same by the same knob, and move the answers less?"""
    if (one.layer, one.change[0]) != (other.layer, other.change[0]) or one is other:
        return False
    return (one.saved, -one.divergence) > (other.saved, -other.divergence) and (
        one.saved >= other.saved and one.divergence <= other.divergence
    )


def _try(
    network: EffortNetwork,
    name: str,
    change: Change,
    inputs: torch.Tensor,
    expected: torch.Tensor,
    objective: str,
) -> Trial:
    module = network.modules[name]
    module.set(change[1])
    module.tally = Tally()
    try:
        found = functional.log_softmax(answers(network, inputs), dim=1)
        saved = (module.tally.dense - _cost(module.tally, objective)) // len(inputs)
    finally:
        module.tally = None
        module.set(Knobs())
    moved = functional.kl_div(found, expected, reduction="batchmean", log_target=True)
    return Trial(name, change, saved, max(0.0, float(moved)))


def _seen(network: EffortNetwork, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """The input of every layer."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in network.modules}

    def keep(name: str) -> Callable[[Any, Sequence[torch.Tensor]], None]:
        return lambda _, given: seen[name].append(given[0].detach())

    handles = [
        module.register_forward_pre_hook(keep(name)) for name, module in network.modules.items()
    ]
    try:
        answers(network, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.cat(parts) for name, parts in seen.items()}
