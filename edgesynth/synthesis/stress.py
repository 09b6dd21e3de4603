"""Stress signals: training that rehearses the coming cull (StressedNets, arXiv:1801.05387).

During part of the training, what is likely to die is weakened, so that the network learns to do
without it before the offspring is drawn. The signal follows the genome: survival is what the
network's current weights would give under the genome's encoding and environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

from edgesynth.core.errors import UserError, nearest, shown

KINDS = ("none", "uniform", "bernoulli", "l1", "cull")
DEFAULT = {"uniform": 0.5, "bernoulli": 0.5, "l1": 1e-4, "cull": 1.0}
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:e-?[0-9]+)?")


@dataclass(frozen=True)
class Stress:
    """What weakens, how much, and when.

    Raises UserError when a value makes no sense.
    """

    kind: str = "none"
    """`bernoulli`: genes that a draw would let die are weakened. `uniform`: all are, the control.
    `l1`: a pull towards zero on the unlikely ones. `cull`: the coming cull itself, the weakest
    first and for good, while the others still learn. `none`."""
    strength: float = 0.0
    """Share of its weight that a stressed gene loses for a step; for `l1` the factor lambda; for
    `cull` the share of the way to the coming environment."""
    start: float = 0.3
    """Share of the training that is done when stress begins."""
    full: float = 0.7
    """Share of the training that is done when stress has grown to its strength."""
    end: float = 1.0
    """Share of the training that is done when stress is over."""
    every: int = 2
    """Every how many steps one is stressed."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f'no stress "{shown(self.kind)}"; {nearest(self.kind, list(KINDS))}')
        highest = 1e3 if self.kind == "l1" else 1.0
        if not (self.strength == 0 if self.kind == "none" else 0 < self.strength <= highest):
            raise UserError(
                f"stress {self.kind} takes a strength above 0 and up to {highest:g}, "
                f"not {self.strength:g}"
                if self.kind != "none"
                else "stress none takes no strength"
            )
        if not 0 <= self.start <= self.full <= 1 or not self.start < self.end <= 1:
            raise UserError(
                f"stress grows from start={self.start:g} to full={self.full:g} and ends at "
                f"end={self.end:g}; they are shares of the training in this order"
            )
        if self.every < 1:
            raise UserError(f"stress every={self.every} steps makes no sense; 1 is every step")

    def at(self, done: float, step: int) -> float:
        """How strong it is at this `step`, with the share `done` of the training behind it."""
        if self.kind == "none" or step % self.every or not self.start <= done < self.end:
            return 0.0
        ramp = self.full - self.start
        return self.strength * (min(1.0, (done - self.start) / ramp) if ramp else 1.0)

    @property
    def text(self) -> str:
        """As the user writes it; what is by default is left out."""
        usual = _usual(self.kind, self.strength)
        when = [
            f"{each.name}={getattr(self, each.name):g}"
            for each in fields(self)[2:]
            if getattr(self, each.name) != getattr(usual, each.name)
        ]
        name = self.kind if self.kind == "none" else f"{self.kind}:{self.strength:g}"
        return ",".join([name, *when])


NO_STRESS = Stress()


def _usual(kind: str, strength: float) -> Stress:
    """When a kind acts by default: a cull takes its time, and what is dead stays dead."""
    if kind == "cull":
        return Stress(kind, strength, start=0.0, full=0.7, every=1)
    return Stress(kind, strength)


def parse_stress(text: str) -> Stress:
    """Read `none`, or a kind, its strength and when: `bernoulli`, `bernoulli:0.5`, `l1:1e-4`,
    `bernoulli:0.5,start=0.2,full=0.5,end=0.9,every=1`.

    Raises UserError when the text is none of these.
    """
    name, *rest = (part.strip() for part in text.split(","))
    kind, colon, strength = name.partition(":")
    value = _number(strength, text) if colon else DEFAULT.get(kind, 0.0)
    stress = _usual(kind, value)
    when = [each.name for each in fields(Stress)[2:]]
    changes: dict[str, float] = {}
    for part in rest:
        key, _, number = part.partition("=")
        if key not in when or kind == "none":
            raise UserError(
                f'stress "{shown(text)}": "{shown(part)}" is not understood; {nearest(key, when)}'
            )
        changes[key] = _number(number, text)
    if changes.get("every", 1.0) % 1:
        raise UserError(f'stress "{shown(text)}": every is a number of steps')
    every = int(changes.pop("every", stress.every))
    return replace(stress, every=every, **changes)  # type: ignore[arg-type]


def _number(part: str, text: str) -> float:
    if not _NUMBER.fullmatch(part):
        raise UserError(
            f'stress "{shown(text)}": "{shown(part)}" is no number; write for example '
            "bernoulli:0.5 or l1:1e-4"
        )
    return float(part)
