"""What may look into a training step: masks, stress signals, restricted precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Where a training stands. Hooks draw their randomness from `seed` and `step` alone, so that a
    resumed training draws what it would have drawn."""

    seed: int
    step: int
    """Optimizer steps done before this one, from 0."""
    done: float
    """Share of all steps done, in [0, 1)."""


class StopTraining(Exception):  # noqa: N818 (no error, but a way out)
    """Raised by a hook's `after_step` when the rest of the training is not worth its time."""


class Hook:
    """A part of the training that is not the task's loss; what it does not override does nothing.

    A hook may replace the weights by others for the forward and backward pass (straight-through):
    it does so in place in `before_forward` and puts the true weights back in `after_backward`.
    Hooks are called in order, `after_backward` in reverse order.
    """

    def before_forward(self, moment: Moment) -> None:
        """Called before the network runs on a batch."""

    def after_backward(self, moment: Moment) -> None:
        """Called when the gradients are there and before the optimizer uses them."""

    def after_step(self, moment: Moment) -> None:
        """Called after the optimizer has changed the weights."""


class AfterStep(Hook):
    """Calls a function after every step, such as one that applies masks."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    def after_step(self, moment: Moment) -> None:
        """Run the action."""
        self._action()
