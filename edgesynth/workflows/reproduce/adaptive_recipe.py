"""The recipe of `reproduce adaptive`: every setting that shapes its results, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesynth.dynamic.training import ExitPlan
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.reproduce.recipe_settings import document_of, settings_of

BUDGETS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.3, 1.6, 2.0)
"""Points that may be lost on validation images; one policy of every method is chosen for each."""
CLAIMED_BUDGET = 0.7
"""The budget whose policies the claims are held against: below 1 point, as test images differ."""


@dataclass(frozen=True, kw_only=True)
class AdaptiveRecipe:
    """How networks are trained; calibration and test are those of the data set's own splits."""

    networks: tuple[str, ...] = ("resnet20", "alexnet:width=0.25")
    """Each gets exits."""
    cascade: tuple[str, ...] = ("lenet5:width=0.5", "resnet20:width=0.5", "resnet20")
    """The cheapest first; those that are among `networks` too are not trained twice."""
    ancestor_epochs: int = 12
    epochs: int = 8
    """Of training with exits, from the trained ancestor on."""
    batch: int = 128
    learning_rate: float = 2e-3
    augment: str = "flip,shift=2"
    distill: float = 0.5
    """Share of the last exit's outputs in the loss of the others."""
    exits: int = 3
    head: tuple[int, int] = (2, 32)
    """Convolutions and channels of each exit's classifier."""
    threads: int = 1

    def ancestor_plan(self) -> TrainingPlan:
        """Of networks without exits."""
        return self._plan(self.ancestor_epochs, self.learning_rate)

    def exit_plan(self) -> ExitPlan:
        """Of all weights together, at half the rate."""
        training = self._plan(self.epochs, self.learning_rate / 2)
        return ExitPlan(training, distill=self.distill)

    def _plan(self, epochs: int, rate: float) -> TrainingPlan:
        return TrainingPlan(epochs, batch=self.batch, learning_rate=rate, augment=self.augment)

    def document(self) -> dict[str, object]:
        """The recipe as JSON data."""
        return document_of(self)


_TAKEN = ("network", "ancestor_epochs", "epochs", "batch", "learning_rate", "augment", "distill",
          "threads")  # fmt: skip


def adaptive_recipe(given: Mapping[str, Any]) -> AdaptiveRecipe:
    """The recipe with what the options of `reproduce` say in place of its defaults.

    Raises UserError for an option that means nothing here.
    """
    return AdaptiveRecipe(**settings_of(given, _TAKEN, "adaptive"))
