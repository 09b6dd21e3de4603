"""Recorded answers: the logits of every exit or network for labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgesynth_rt.policy import Policy

Floats = npt.NDArray[np.float32]
Costs = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What every stage would have answered."""

    stages: tuple[str, ...]
    """Ids, in the order of running; the last one is the reference."""
    logits: tuple[Floats, ...]
    """Of each stage, (n, classes)."""
    labels: Indices
    """True classes, (n,)."""

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def right(self) -> Flags:
        """Which answers are right, (stages, n)."""
        right: Flags = np.stack([each.argmax(axis=1) == self.labels for each in self.logits])
        return right

    @cached_property
    def excess(self) -> Flags:
        """Which answers are wrong where the last stage's is right, (stages, n)."""
        excess: Flags = self.right[-1] & ~self.right
        return excess

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors with the logits, as stages call them."""
        return tuple(f"{stage}_logits" for stage in self.stages)

    def recorded(self) -> Mapping[str, Floats]:
        """For `Policy.simulate`."""
        return dict(zip(self.names, self.logits, strict=True))

    def take(self, indices: Indices) -> Answers:
        """The answers for some of the images."""
        logits = tuple(each[indices] for each in self.logits)
        return replace(self, logits=logits, labels=self.labels[indices])

    def only(self, stages: Sequence[int]) -> Answers:
        """The answers of some of the stages."""
        kept = tuple(self.stages[k] for k in stages)
        return Answers(kept, tuple(self.logits[k] for k in stages), self.labels)


@dataclass(frozen=True)
class Point:
    """What one policy achieves on some answers."""

    accuracy: float
    cost: float
    """Mean of a sample, in the unit of the costs."""
    p50: float
    p99: float
    """Quantiles of the cost over samples."""
    shares: dict[str, float]
    """Where samples left."""


def judge(policy: Policy, answers: Answers) -> Point:
    """Accuracy and cost of `policy`, by the code that also runs on the board."""
    outcome = policy.simulate(answers.recorded())
    costs = outcome.visited.dot(np.asarray(policy.costs))
    return Point(
        accuracy=float((outcome.logits.argmax(axis=1) == answers.labels).mean()),
        cost=float(costs.mean()),
        p50=float(np.percentile(costs, 50)),
        p99=float(np.percentile(costs, 99)),
        shares=policy.shares(outcome.left),
    )
