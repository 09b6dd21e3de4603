"""Sets the knobs of all layers: greedily, under a bound on the accuracy lost, without training.

1. Every setting is tried alone on some calibration images: which operations it saves, and how far
   the network's answers move (mean Kullback-Leibler divergence). What saves nothing, overhead
   included, is rejected here, and what another setting of the knob beats in both.
2. The rest are taken in the order of operations saved per divergence. Each is judged on all
   calibration images together with what was taken before, and stays when the accuracy holds and the
   network's operations fall by at least half a percent. Where one fails by accuracy, bolder ones of
   that knob and layer are not asked.
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

LEAST_GAIN = 0.005
"""Of the network's operations, by which a setting must lower them to stay."""
_NOTHING_MOVES = 1e-7
"""Divergence below which a setting counts as harmless."""
_BATCH = 64


@dataclass(frozen=True)
class Trial:
    """One setting, alone."""

    layer: str
    change: Change
    saved: int
    """Operations of the layer, per image; negative where deciding costs more than it saves."""
    divergence: float


@dataclass(frozen=True)
class Judged:
    """The network with some knobs, on labelled images."""

    accuracy: float
    n: int
    tallies: dict[str, Tally]
    """By layer, of all images."""
    logits: torch.Tensor = field(repr=False)

    @property
    def operations(self) -> float:
        """Per image, of the convolutions with knobs."""
        return sum(tally.operations for tally in self.tallies.values()) / self.n

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
    tallies = {name: Tally() for name in network.modules}
    for name, module in network.modules.items():
        module.tally = tallies[name]
    try:
        logits = answers(network, inputs)
    finally:
        for module in network.modules.values():
            module.tally = None
    accuracy = float((logits.argmax(dim=1).numpy() == labels).mean())
    return Judged(accuracy, len(inputs), tallies, logits)


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
    progress: Progress | None = None,
) -> Tuned:
    """Set the knobs of `network` for the least operations.

    inputs, labels: calibration images that the network was not trained on; max_loss: fraction of
    them that may be classified wrong besides; trial_images: of them, for settings alone.
    """
    progress = progress or Silent()
    for module in network.modules.values():
        module.set(Knobs())
    few = inputs[:trial_images]
    trials, rejected = _try_all(network, few, progress)
    before = judge(network, inputs, labels)
    least = before.accuracy - max_loss
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
                found = judge(network, inputs, labels)
                reason = _reason(found, best, least)
                if found.accuracy < least:
                    limits[knob] = trial.divergence
            if not reason:
                taken[trial.layer], best = new, found
            else:
                module.set(old)
                rejected.append(_rejection(trial, reason))
            task.advance(note=f"{before.operations / best.operations:.2f} times fewer operations")
    return Tuned(taken, before, best, rejected)


def _reason(found: Judged, best: Judged, least: float) -> str:
    """Why a setting does not stay; empty where it does."""
    if found.accuracy < least:
        return f"leaves an accuracy of {found.accuracy:.4f}"
    if found.operations > (1 - LEAST_GAIN) * best.operations:
        return "saves less than 0.5 % beside the others"
    return ""


def _rejection(trial: Trial, reason: str) -> dict[str, Any]:
    name, knobs = trial.change
    return {"layer": trial.layer, "knob": name, **knobs.document(), "reason": reason}


def _try_all(
    network: EffortNetwork, inputs: torch.Tensor, progress: Progress
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
                trial = _try(network, name, change, inputs, expected)
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
    network: EffortNetwork, name: str, change: Change, inputs: torch.Tensor, expected: torch.Tensor
) -> Trial:
    module = network.modules[name]
    module.set(change[1])
    module.tally = Tally()
    try:
        found = functional.log_softmax(answers(network, inputs), dim=1)
        saved = (module.tally.dense - module.tally.operations) // len(inputs)
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
