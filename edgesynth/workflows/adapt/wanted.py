"""What an adaptation is asked for: how much may be lost, and what is to be saved."""

from __future__ import annotations

from dataclasses import dataclass

from edgesynth.core.errors import UserError
from edgesynth.core.requirement import Requirement
from edgesynth.dynamic.curve import METHODS, Goal
from edgesynth.hardware.board import load_board
from edgesynth.workflows.export import DEFAULT_TARGET

COSTS = ("macs", "latency", "energy", "measured")


@dataclass(frozen=True)
class CostKind:
    """The unit that is saved."""

    kind: str = "macs"
    """One of `COSTS`; latency and energy are predicted for `device`, `measured` is here."""
    device: str | None = None

    @property
    def unit(self) -> str:
        """As in a manifest."""
        known = {"macs": "macs", "latency": f"ms@{self.device}", "energy": f"mJ@{self.device}"}
        return known.get(self.kind, "ms")

    @property
    def key(self) -> str:
        """What the mean cost is called in requirements."""
        return {"macs": "macs", "energy": "energy_mj"}.get(self.kind, "latency_mean_ms")


@dataclass(frozen=True)
class Wanted:
    """What every method of adaptation is told."""

    max_loss: float = 1.0
    """Points of accuracy below the network as it was."""
    requirements: tuple[Requirement, ...] = ()
    cost: CostKind = CostKind()
    policy: str = "learned"
    """One of `METHODS`."""
    target: str = DEFAULT_TARGET
    batch: int | None = 1
    """Of the bundle; None leaves it open."""

    def __post_init__(self) -> None:
        if self.policy not in METHODS:
            raise UserError(f'no policy "{self.policy}"; one of {", ".join(METHODS)}')
        known = ("accuracy", "accuracy_loss_points", self.cost.key)
        for each in self.requirements:
            if each.key not in known or each.device not in (None, self.cost.device):
                raise UserError(
                    f'requirement "{each.text}" is not about accuracy or the mean cost in '
                    f"{self.cost.unit}; choose another --cost, such as latency@tx2"
                )

    def goal(self, reference: float) -> Goal:
        """The same as a `Goal`; reference: the accuracy that losses are counted from."""
        return Goal(reference, self.max_loss, self.requirements, self.cost.key)


def parse_cost(text: str) -> CostKind:
    """`macs`, `measured`, `latency@tx2` or `energy@tx2`.

    Raises UserError saying how it is written, or that the board is unknown.
    """
    kind, at, device = text.partition("@")
    if kind not in COSTS or bool(at) != (kind in ("latency", "energy")):
        raise UserError(f'cost "{text}" is none of macs, measured, latency@tx2, energy@tx2')
    if not at:
        return CostKind(kind)
    return CostKind(kind, load_board(device).name)
