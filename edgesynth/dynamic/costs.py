"""What the stages of a network with exits cost, and which exits can pay at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edgesynth.hardware.counting import count
from edgesynth.networks.exits import ExitNetwork, Part

Meter = Callable[[Sequence[Part]], list[float]]
"""Cost of each part of a network, its head included, in one unit."""


@dataclass(frozen=True)
class Costs:
    """Costs of one inference, in `unit`, all of one kind: counted, predicted, or measured."""

    unit: str
    """`macs`, `ms@tx2` (predicted), `mJ@tx2` (predicted), or `ms` (measured here)."""
    trunk: tuple[float, ...]
    """Of each stage without its head."""
    heads: tuple[float, ...]
    """Of each head; one less than stages."""
    overhead: float = 0.0
    """Of a gate and of handing the next stage over, for each exit that is reached."""

    @property
    def stages(self) -> list[float]:
        """Of each stage as it runs: with its head, gate and hand-over."""
        early = [t + h + self.overhead for t, h in zip(self.trunk, self.heads, strict=False)]
        return [*early, self.trunk[-1]]

    @property
    def full(self) -> float:
        """Of the network without any exit."""
        return sum(self.trunk)


@dataclass(frozen=True)
class BreakEven:
    """Whether one exit can pay."""

    layer: str
    before: float
    """Share of the whole network that has run when this exit is reached."""
    price: float
    """Cost of head, gate and hand-over, as a share of the whole network."""
    saved: float
    """What an input saves that leaves here, as a share of the whole network."""

    @property
    def share(self) -> float:
        """The exit pays where more than this share of the inputs that reach it leave."""
        return self.price / self.saved if self.saved > 0 else float("inf")


def break_even(layers: Sequence[str], costs: Costs) -> list[BreakEven]:
    """One verdict for each exit, each as if it were the only one."""
    verdicts = []
    spent = 0.0
    for layer, trunk, head in zip(layers, costs.trunk, costs.heads, strict=False):
        spent += trunk
        price = head + costs.overhead
        verdicts.append(
            BreakEven(
                layer, spent / costs.full, price / costs.full, (costs.full - spent) / costs.full
            )
        )
    return verdicts


def costs_by(network: ExitNetwork, meter: Meter, unit: str, overhead: float = 0.0) -> Costs:
    """Costs of `network` by `meter`, which is asked for the stages with and without heads."""
    parts = network.parts()
    bare = [part.headless() for part in parts]
    whole, trunk = meter(parts), meter(bare)
    heads = [max(0.0, a - b) for a, b in zip(whole[:-1], trunk[:-1], strict=True)]
    return Costs(unit, tuple(trunk), tuple(heads), overhead)


def macs_of(network: ExitNetwork, image: tuple[int, int, int]) -> Costs:
    """Multiply-accumulates of each stage and head; a linear gate takes one per class."""
    known = {"input": torch.zeros(1, *image)}
    trunk, heads, classes = [], [], 0
    for stage, head in zip(network.stages, [*network.heads, None], strict=True):
        inputs = [known[name] for name in stage.inputs]
        trunk.append(float(count(_Fixed(stage.module, inputs), image).macs))
        with torch.no_grad():
            made = stage.module.eval()(*inputs)
        known.update(zip(stage.outputs, made, strict=True))
        if head is None:
            classes = made[0].shape[1]
        else:
            heads.append(float(count(_Fixed(head, [made[0]]), image).macs))
    return Costs("macs", tuple(trunk), tuple(heads), float(classes))


class _Fixed(nn.Module):
    """Runs a module on inputs of its own, whatever image it is given."""

    def __init__(self, module: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.module = module
        self._inputs = tuple(inputs)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        made = self.module(*self._inputs)
        result: torch.Tensor = made[0] if isinstance(made, tuple) else made
        return result
