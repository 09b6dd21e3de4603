"""Which networks nobody beats: no other one costs less or as little and is as accurate."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (cost, accuracy) `points` that no other point dominates, cheapest first.

    A point dominates another when it costs no more and is at least as accurate, and differs.
    Equal points are kept once, the first of them.
    """
    front: list[int] = []
    by_cost = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    for index in by_cost:
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front
