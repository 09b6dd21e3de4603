"""What no policy can beat, and what every policy should: an oracle and chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgesynth.dynamic.answers import Answers, Costs, Indices, Point
from edgesynth.dynamic.learned import CHAIN


def oracle(answers: Answers, costs: Sequence[float], shape: str = CHAIN) -> Point:
    """Knows which answers are right: the cheapest way that adds no error to the last stage's.

    Where even the last stage is wrong it leaves at once, as nothing is lost.
    """
    spent = ways(costs, shape)
    prices = np.where(answers.excess, np.inf, spent[:, None])
    left = prices.argmin(axis=0)
    return _point(answers, spent, left)


def chance(answers: Answers, costs: Sequence[float], shares: Mapping[str, float]) -> Point:
    """Lets as many samples leave at each stage as `shares` say, whichever they are: a chain.

    Expected values, nothing is drawn.
    """
    spent = ways(costs, CHAIN)
    given = np.array([shares.get(stage, 0.0) for stage in answers.stages])
    order = np.argsort(spent)
    reached = np.cumsum(given[order])
    p50, p99 = (float(spent[order][int(np.searchsorted(reached, q - 1e-9))]) for q in (0.5, 0.99))
    accuracy = float(given @ answers.right.mean(axis=1))
    return Point(accuracy, float(given @ spent), p50, p99, dict(shares))


def ways(costs: Sequence[float], shape: str) -> Costs:
    """Least cost of an answer by each stage: all before it in a chain, the first one in a tree."""
    each = np.asarray(costs, np.float64)
    if shape == CHAIN:
        return np.cumsum(each)
    return np.concatenate([each[:1], each[0] + each[1:]])


def _point(
    answers: Answers,
    spent: Costs,
    left: Indices,
) -> Point:
    costs = spent[left]
    counts = np.bincount(left, minlength=len(answers.stages)) / len(answers)
    return Point(
        accuracy=float(answers.right[left, np.arange(len(answers))].mean()),
        cost=float(costs.mean()),
        p50=float(np.percentile(costs, 50)),
        p99=float(np.percentile(costs, 99)),
        shares=dict(zip(answers.stages, counts.tolist(), strict=True)),
    )
