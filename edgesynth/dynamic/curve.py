"""Budget curves: policies over the price of an error, and the one that a goal asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesynth.core.requirement import Requirement
from edgesynth.dynamic.answers import Answers, Point, judge
from edgesynth.dynamic.learned import CHAIN, learn
from edgesynth.dynamic.thresholds import polish, screen, screen_gates, undominated
from edgesynth_rt.policy import KINDS, Policy

LEARNED = "learned"
METHODS = (LEARNED, "entropy", "maximum", "margin")
"""Ways to choose a policy: learned gates, or one threshold for each exit."""
PENALTIES = tuple(float(each) for each in np.geomspace(0.5, 200.0, 14))
"""Prices of an error, in units of running the whole network."""
_FOLDS = 2
_FAMILIES = 6
"""Sets of learned gates whose thresholds are screened."""
_FINER = 7
"""Further prices between the two that a goal lies between."""


@dataclass(frozen=True)
class Candidate:
    """A policy, and what it is expected to achieve on images that it was not made from."""

    method: str
    penalty: float | None
    """Price of an error that it was learned for; None for screened thresholds."""
    policy: Policy
    expected: Point


@dataclass(frozen=True)
class Goal:
    """What a policy is chosen for."""

    reference: float
    """Accuracy that losses are counted from, on the same images."""
    max_loss: float = 1.0
    """Points."""
    requirements: tuple[Requirement, ...] = ()
    """Further bounds, on the keys that `Choice` measurements have."""
    cost_key: str = "macs"
    """What the mean cost is called in requirements."""

    def measurements(self, point: Point) -> Mapping[str, float]:
        """`point` by the keys of requirements."""
        return {
            "accuracy": point.accuracy,
            "accuracy_loss_points": 100 * (self.reference - point.accuracy),
            self.cost_key: point.cost,
        }

    def holds(self, point: Point) -> bool:
        """Whether `point` loses little enough and meets the requirements that are about it."""
        found = self.measurements(point)
        lost = 100 * (self.reference - point.accuracy)
        verdicts = [each.judge(found).holds for each in self.requirements]
        return lost <= self.max_loss + 1e-9 and all(each is not False for each in verdicts)


def learned_curve(
    answers: Answers,
    costs: Sequence[float],
    *,
    kind: str = "exits",
    shape: str = CHAIN,
    kinds: Sequence[str] = KINDS,
    unit: str = "macs",
    penalties: Sequence[float] = PENALTIES,
    watch: Callable[[], None] = lambda: None,
) -> list[Candidate]:
    """One learned policy for each price of an error.

    Its expectation comes from halves of `answers` on each of which gates are judged that were
    learned on the other; the policy itself is learned on all.
    """

    def make(some: Answers, penalty: float) -> Policy:
        policy = learn(some, costs, penalty, kind=kind, shape=shape, kinds=kinds, unit=unit)
        return polish(policy, some, costs, penalty) if shape == CHAIN else policy

    found = []
    for penalty in penalties:
        expected = _unseen(answers, lambda some, p=penalty: make(some, p))  # type: ignore[misc]
        found.append(Candidate(LEARNED, penalty, make(answers, penalty), expected))
        watch()
    return found


def refined(make: Callable[[Sequence[float]], list[Candidate]], goal: Goal) -> list[Candidate]:
    """`make(PENALTIES)`, and more of them where the goal is just met: the budget is solved for."""
    curve = make(PENALTIES)
    best = choose(curve, goal)
    if best is None or best.penalty is None:
        return curve
    place = PENALTIES.index(best.penalty)
    if place == 0:
        return curve
    between = np.geomspace(PENALTIES[place - 1], best.penalty, _FINER + 2)[1:-1]
    return sorted([*curve, *make([float(each) for each in between])], key=_price)


def densified(
    curve: Sequence[Candidate],
    answers: Answers,
    costs: Sequence[float],
    unit: str = "macs",
    kind: str = "exits",
) -> list[Candidate]:
    """`curve`, learned chains, and what other thresholds of their gates give.

    A price of an error leads to policies on the convex hull of cost and errors only; budgets in
    between are met by screening thresholds, as the baselines are, and judged as they are. What no
    other policy beats is kept of these.
    """
    families = {
        tuple((gate.kind, gate.weights, gate.bias) for gate in gates): (gates, each.penalty)
        for each in curve
        for gates in [[node.gates[0] for node in each.policy.nodes[:-1]]]
    }
    chosen = list(families.values())
    step = -(-len(chosen) // _FAMILIES)
    found = []
    for gates, penalty in chosen[::step]:
        for policy in screen_gates(answers, costs, gates, unit, kind):
            found.append(Candidate(LEARNED, penalty, policy, judge(policy, answers)))
    return [*curve, *front(found)]


def _price(candidate: Candidate) -> float:
    return candidate.penalty or 0.0


def threshold_curve(
    answers: Answers,
    costs: Sequence[float],
    method: str,
    unit: str = "macs",
    kind: str = "exits",
) -> list[Candidate]:
    """The screened thresholds of one kind; few numbers were chosen, so all answers judge them."""
    policies = screen(answers, costs, method, unit, kind)
    return [Candidate(method, None, policy, judge(policy, answers)) for policy in policies]


def choose(candidates: Sequence[Candidate], goal: Goal) -> Candidate | None:
    """The cheapest candidate that meets `goal`, None when there is none."""
    meeting = [each for each in candidates if goal.holds(each.expected)]
    return min(meeting, key=lambda each: each.expected.cost, default=None)


def front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that no other one beats in accuracy and cost, from the cheapest on."""
    points = [(each.expected.accuracy, each.expected.cost) for each in candidates]
    return [candidates[index] for index in undominated(points)]


def with_expectation(candidate: Candidate, answers: Answers) -> Policy:
    """The candidate's policy, which tells where samples of the calibration data leave."""
    point = judge(candidate.policy, answers)
    known = candidate.policy
    return Policy(
        known.kind, known.stages, known.nodes, known.costs, known.unit, point.shares, len(answers)
    )


def _unseen(answers: Answers, make: Callable[[Answers], Policy]) -> Point:
    """Means over halves that the policy was not made from."""
    places = np.arange(len(answers))
    points = []
    for fold in range(_FOLDS):
        mine = places % _FOLDS == fold
        points.append(judge(make(answers.take(places[~mine])), answers.take(places[mine])))
    shares = {
        stage: float(np.mean([each.shares[stage] for each in points])) for stage in answers.stages
    }
    return Point(
        accuracy=float(np.mean([each.accuracy for each in points])),
        cost=float(np.mean([each.cost for each in points])),
        p50=float(np.mean([each.p50 for each in points])),
        p99=float(np.mean([each.p99 for each in points])),
        shares=shares,
    )
