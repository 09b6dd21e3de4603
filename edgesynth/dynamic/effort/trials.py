"""Every setting of every knob alone: what it saves, and how far it moves the network's answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from edgesynth.core.progress import Progress, Silent
from edgesynth.dynamic.effort.candidates import Change, changes, channel_order
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork

OPERATIONS, TIME = "operations", "time"
"""What is to fall: operations of a machine that decides output by output, or the work of the
compiled operator, whose vectors decide together and which skips zeros."""
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Trial:
    """One setting, alone."""

    layer: str
    change: Change
    before: Tally
    """Of the layer without knobs."""
    tally: Tally
    """With this one."""
    images: int
    divergence: float
    """Mean Kullback-Leibler divergence of the network's answers from those without knobs."""

    def saved(self, objective: str) -> int:
        """Of the objective, by the layer, per image; below 0 where deciding costs more."""
        return (cost_of(self.before, objective) - cost_of(self.tally, objective)) // self.images


def cost_of(tally: Tally, objective: str) -> int:
    """What is to fall; objective: `OPERATIONS` or `TIME`."""
    return tally.work if objective == TIME else tally.operations


def answers(network: EffortNetwork, inputs: torch.Tensor) -> torch.Tensor:
    """The network's outputs, in batches."""
    with torch.inference_mode():
        return torch.cat([network.module(part) for part in inputs.split(_BATCH)])


def counted(network: EffortNetwork, inputs: torch.Tensor) -> tuple[torch.Tensor, dict[str, Tally]]:
    """The network's outputs, and what every layer did for them."""
    tallies = {name: Tally() for name in network.modules}
    for name, module in network.modules.items():
        module.tally = tallies[name]
    try:
        return answers(network, inputs), tallies
    finally:
        for module in network.modules.values():
            module.tally = None


def try_settings(
    network: EffortNetwork, inputs: torch.Tensor, progress: Progress | None = None
) -> list[Trial]:
    """Try all settings on some calibration `inputs`; orders the channels of every layer.

    All knobs are off before and after.
    """
    progress = progress or Silent()
    for module in network.modules.values():
        module.set(Knobs())
    seen = _seen(network, inputs)
    for name, module in network.modules.items():
        module.order = channel_order(module.layer, seen[name])
    expected = functional.log_softmax(answers(network, inputs), dim=1)
    _, before = counted(network, inputs)
    trials = []
    with progress.track("try knobs alone", len(network.modules)) as task:
        for name, module in network.modules.items():
            for change in changes(module, seen[name]):
                trials.append(_try(network, name, change, inputs, expected, before[name]))
            task.advance(note=name)
    return trials


def _try(
    network: EffortNetwork,
    name: str,
    change: Change,
    inputs: torch.Tensor,
    expected: torch.Tensor,
    before: Tally,
) -> Trial:
    module = network.modules[name]
    module.set(change[1])
    module.tally = tally = Tally()
    try:
        found = functional.log_softmax(answers(network, inputs), dim=1)
    finally:
        module.tally = None
        module.set(Knobs())
    moved = functional.kl_div(found, expected, reduction="batchmean", log_target=True)
    return Trial(name, change, before, tally, len(inputs), max(0.0, float(moved)))


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
