"""Full trainings: which candidates deserve one, and what it tells of all others.

After each, the share of a candidate's loss that a full training leaves is known better, and the
next is chosen by that: a network that was too small makes the search more careful, one that lost
nothing makes it bolder. All searches that are compared choose in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgesynth.core.search import Candidate
from edgesynth.synthesis.generative.evaluation import Evaluator

TrainFully = Callable[[Sequence[Candidate]], Sequence[float]]
"""Trains candidates fully, side by side; returns the validation accuracy of each."""


@dataclass
class Trainings:
    """Which candidates of a search were trained fully, and what became of them."""

    evaluator: Evaluator
    train: TrainFully
    pairs: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Architecture -> accuracy after the short training and after the full one."""

    def look(self, candidates: Sequence[Candidate], count: int = 1) -> None:
        """Train the best `count` of those that were not, and let the problem learn from it."""
        judged = [self.evaluator.judged(one) for one in candidates]
        fresh = [one for one in ranked(judged) if one.architecture not in self.pairs][:count]
        for one, accuracy in zip(fresh, self.train(fresh), strict=True):
            self.pairs[one.architecture] = one.accuracy, accuracy
        problem = self.evaluator.problem
        self.evaluator.problem = problem.with_recovery(list(self.pairs.values()))

    def finish(self, candidates: Sequence[Candidate], count: int) -> None:
        """Go on until `count` are trained, half of what is left at a time: side by side where
        there are many, and the last ones with all that is known by then."""
        distinct = len({one.architecture for one in candidates})
        while (left := min(count, distinct) - len(self.pairs)) > 0:
            self.look(candidates, (left + 1) // 2)


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Distinct networks from the best on: those that meet all by U, then the others by score."""
    distinct: dict[str, Candidate] = {}
    for one in candidates:
        distinct.setdefault(one.architecture, one)
    return sorted(distinct.values(), key=lambda one: (not one.feasible, -one.score, one.id))
