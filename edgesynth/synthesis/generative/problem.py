"""The constrained problem: maximize U(G(s)) subject to 1_r(G(s)) = 1 (arXiv:1809.05989).

U is NetScore or another measure; 1_r are requirements. A short training says little about the
accuracy that a full one ends with, so accuracy is judged against the prototype after the same
short training; and of what a candidate loses to it there, a full training leaves a share, which a
few networks that are trained fully during the search tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.factory import import_factory, is_factory
from edgesynth.core.netscore import energy_netscore, netscore_of
from edgesynth.core.requirement import Requirement

Figures = Mapping[str, float]
"""By the keys of requirements: accuracy, params, macs, ..."""
Predictions = Mapping[str, Figures]
"""Device -> figures; "" stands for this network itself and for the board that measures."""

DB_PER_POINT = 8.0
"""Penalty of a point of accuracy below the floor: more than what NetScore gives for it, as about
2.5 times fewer parameters or MACs gain 4 dB."""
DB_PER_EXCESS_DB = 2.0
"""Penalty of every dB that a cost is above its limit: twice what NetScore could give for it."""
LEAST_RECOVERY = 0.02
"""So that no network seems to lose nothing."""
USUAL_RECOVERY, USUAL_POINTS = 0.25, 2.0
"""What is assumed of the share that a full training leaves, before it is known."""
HOPELESS = -1000.0
"""Score of a network whose U is not defined."""
_NAMES = ["netscore", "netscore-energy@tx2"]


@dataclass(frozen=True)
class Utility:
    """U: how good a network is, in dB."""

    name: str

    def __post_init__(self) -> None:
        kind, _, device = self.name.partition("@")
        known = self.name == "netscore" or (kind == "netscore-energy" and device)
        if not known and not is_factory(self.name):
            raise UserError(
                f'no utility "{self.name}"; {nearest(self.name, _NAMES)}, '
                "or give package.module:function"
            )

    @property
    def device(self) -> str | None:
        """Whose predictions it needs."""
        return self.name.partition("@")[2] or None

    def __call__(self, figures: Figures, predictions: Predictions) -> float | None:
        """The utility; None where it is not defined, as for an accuracy of zero.

        Raises UserError where the board's energy is not known.
        """
        try:
            if self.name == "netscore":
                return netscore_of(figures["accuracy"], figures["params"], figures["macs"])
            if self.device is None:
                return float(import_factory(self.name)(dict(figures), dict(predictions)))
            return self._energy(figures, predictions.get(self.device, {}))
        except ValueError:
            return None

    def _energy(self, figures: Figures, there: Figures) -> float:
        if "energy_mj" not in there:
            raise UserError(f"no energy is predicted for {self.device}; use netscore")
        watts = there["energy_mj"] / there["latency_mean_ms"]
        return energy_netscore(100 * figures["accuracy"], there["latency_mean_ms"] / 1e3, watts)


@dataclass(frozen=True)
class Judgement:
    """What a candidate is worth."""

    utility: float | None
    score: float
    feasible: bool
    gaps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a search is to solve."""

    utility: Utility
    requirements: Sequence[Requirement]
    margin: float = 1.0
    """Points of accuracy that a candidate should keep above the floor: what maximizes U ends at
    the border, where chance decides."""
    prototype_accuracy: float
    """On validation data, fully trained."""
    reference: float | None = None
    """The prototype's after the short training of candidates; None judges absolutely."""
    recovery: float = 1.0
    """Share of what is lost after a short training that is still lost after a full one."""

    def with_reference(self, accuracy: float) -> Problem:
        """The problem for candidates, whose prototype reached `accuracy`."""
        return replace(self, reference=accuracy)

    def with_recovery(self, pairs: Sequence[tuple[float, float]]) -> Problem:
        """The problem as `pairs` teach it: (accuracy after the short training, after the full one)
        of each network that had both.

        A single pair is no law: `USUAL_RECOVERY` counts as much as a network that loses
        `USUAL_POINTS`, and networks near the border count for more than those far below it.
        """
        if self.reference is None or not pairs:
            return self
        short = full = 0.0
        for before, after in pairs:
            lost, left = self.reference - before, max(0.0, self.prototype_accuracy - after)
            weight = 1 / (1 + 100 * left)
            short += weight * max(0.0, lost)
            full += weight * left
        usual = USUAL_POINTS / 100
        share = (full + USUAL_RECOVERY * usual) / (short + usual)
        return replace(self, recovery=min(max(share, LEAST_RECOVERY), 1.0))

    def floor(self) -> float:
        """The accuracy that a candidate needs, without the margin; 0 where none is asked for."""
        limits = [self._limit(each) for each in self.requirements if is_accuracy(each)]
        return max([limit for limit in limits if limit is not None], default=0.0)

    def judge(self, figures: Figures, predictions: Predictions) -> Judgement:
        """`figures` with `accuracy`; those of a device are in `predictions`."""
        gaps, penalty = {}, 0.0
        utility = self.utility(figures, predictions)
        for requirement in self.requirements:
            gap, cost = self._gap(requirement, figures, predictions)
            if gap > 0:
                gaps[requirement.text] = round(gap, 3)
            penalty += cost
        score = HOPELESS if utility is None else utility - penalty
        return Judgement(utility, score, not gaps and utility is not None, gaps)

    def _gap(
        self, requirement: Requirement, figures: Figures, predictions: Predictions
    ) -> tuple[float, float]:
        """How far it is missed in dB, and the penalty for that, the margin included."""
        if is_accuracy(requirement):
            limit = self._limit(requirement)
            if limit is None:
                return 0.0, 0.0
            below = 100 * (limit - figures["accuracy"]) * self.recovery
            return max(0.0, below), DB_PER_POINT * max(0.0, below + self.margin)
        where = predictions.get(requirement.device or "", {}) if requirement.device else figures
        value = where.get(requirement.key, predictions.get("", {}).get(requirement.key))
        if value is None:
            return math.inf, 100.0
        over, under = (value, requirement.limit)
        if requirement.relation.startswith(">"):
            over, under = under, over
        if requirement.judge({requirement.key: value}).holds:
            return 0.0, 0.0
        excess = 20 * math.log10(max(over, 1e-30) / max(under, 1e-30))
        return max(excess, 1e-3), DB_PER_EXCESS_DB * max(excess, 1e-3)

    def _limit(self, requirement: Requirement) -> float | None:
        """The lowest accuracy allowed to a candidate; None for an upper bound on accuracy."""
        loss = requirement.metric == "accuracy_loss"
        if requirement.relation.startswith(">") == loss:
            return None
        allowed = requirement.limit / 100 if loss else self.prototype_accuracy - requirement.limit
        base = self.prototype_accuracy if self.reference is None else self.reference
        return base - (allowed / self.recovery if allowed > 0 else allowed)


def is_accuracy(requirement: Requirement) -> bool:
    """True for a bound on what training decides."""
    return requirement.metric.startswith("accuracy")
