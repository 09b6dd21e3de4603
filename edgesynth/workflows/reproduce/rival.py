"""A rival: one way to draw the next, smaller network of a lineage."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgesynth.core.errors import MissingError
from edgesynth.core.precision import FULL_PRECISION, PrecisionPolicy
from edgesynth.networks.network import Network
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.stress import NO_STRESS, Stress


@dataclass(frozen=True)
class Scene:
    """What a rival draws from."""

    parent: Network
    seeds: tuple[int, ...]
    """All randomness of the draw: seed and generation, the same for all rivals."""
    generation: int
    goal: int | None
    """How large the network of the rival that is followed is at this generation."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One rival. All else (ancestor, epochs, batches, task) is the same for every one."""

    name: str
    kind: Literal["edgesynth", "baseline"]
    says: str
    """What it does, for the report."""
    draw: Callable[[Scene], Network]
    """The next network, untrained."""
    genome: Callable[[int], Genome] | None = None
    """Of a generation; for the stress, which rehearses the next one."""
    stress: Stress = NO_STRESS
    own_ancestor: bool = False
    """Its ancestor is trained under stress too."""
    precision: PrecisionPolicy | Callable[[int], PrecisionPolicy] = FULL_PRECISION
    follows: str | None = None
    """The rival whose size it takes, generation by generation."""
    measure: str = "synapses"
    """The key of `Row` that both then have in common."""
    scale: float = 1.0
    """Of that figure in what the rival is asked for."""
    expected: Callable[[Scene], dict[str, float]] | None = None
    """What its draw should keep by the rule, see `Row.drawn`."""
    last: int | None = None
    """Its last generation, where it does not go on as long as asked for."""
    package: str | None = None
    """An import that it needs."""
    not_run: str = ""
    """Why it cannot be run anywhere this project is tested."""

    def policy(self, generation: int) -> PrecisionPolicy:
        """What its weights are restricted to."""
        if isinstance(self.precision, PrecisionPolicy):
            return self.precision
        return self.precision(generation)

    def gap(self) -> str:
        """Why it cannot be run here; empty when it can."""
        if self.not_run:
            return self.not_run
        if self.package and importlib.util.find_spec(self.package) is None:
            name = self.package.replace("_", "-")
            return f"{name} is not installed; get it with `pip install {name}`"
        return ""

    def require(self) -> None:
        """Raises MissingError when it cannot be run here."""
        if self.gap():
            raise MissingError(f"rival {self.name}: {self.gap()}")
