"""Meets a budget: the largest share that an offspring may have and still cost little enough."""

from __future__ import annotations

from collections.abc import Callable

from edgesynth.core.errors import UserError

_STEPS = 24
_CLOSE = 0.002


def largest_share(cost: Callable[[float], float], limit: float, what: str) -> float:
    """The largest share in [0, 1] with `cost(share)` at most `limit`, by bisection.

    `cost` must not fall when the share grows. `what` names the budget in messages. Ends early when
    the cost is within 0.2 % below the limit.

    Raises UserError when even the smallest share costs too much.
    """
    if cost(1.0) <= limit:
        return 1.0
    low, high = 0.0, 1.0
    reached = least = cost(0.0)
    if least > limit:
        raise UserError(
            f"{what} cannot be met in one synthesis: {limit:.6g} is asked for, {least:.6g} is the "
            "least that is possible here; give a larger share, or lower --round-to"
        )
    for _ in range(_STEPS):
        if reached >= limit * (1 - _CLOSE):
            break
        middle = (low + high) / 2
        value = cost(middle)
        if value <= limit:
            low, reached = middle, value
        else:
            high = middle
    return low
