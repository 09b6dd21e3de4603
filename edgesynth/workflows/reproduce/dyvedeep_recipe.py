"""The recipe of `reproduce dyvedeep`: every setting that shapes its results, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.reproduce.recipe_settings import document_of, settings_of


@dataclass(frozen=True, kw_only=True)
class EffortRecipe:
    """Which networks get knobs, how they are trained before that, and how knobs are judged."""

    networks: tuple[str, ...] = (
        "alexnet:width=0.25,lrn=false,dropout=0.1",
        "overfeat:width=0.125,dropout=0.1",
        "vgg16:width=0.25,batch_norm=true,dropout=0.1",
    )
    """Of the zoo, or trained `.edgenet` folders."""
    compressed: str = "alexnet:width=0.25,lrn=false,dropout=0.1"
    """Evolved to fewer channels, then given knobs too; or a run folder of `evolve`, or a
    `.edgenet`, which is taken as it is. Empty for none."""
    environment: str = "params=0.6"
    """What a generation of the compressed network keeps."""
    generations: int = 3
    """Of which the first is the ancestor."""
    ancestor_epochs: int = 5
    epochs: int = 2
    """Of an offspring."""
    batch: int = 64
    learning_rate: float = 2e-3
    augment: str = "none"
    max_loss: float = 0.4
    """Points that may be lost on calibration images: under half a point on others."""
    images: int = 4000
    """Of the validation split, for calibration."""
    trial_images: int = 32
    clocked: int = 40
    """Test images that are timed one by one."""
    threads: int = 1

    def ancestor_plan(self) -> TrainingPlan:
        """Of networks that are trained here."""
        return self.offspring_plan(self.ancestor_epochs)

    def offspring_plan(self, epochs: int) -> TrainingPlan:
        """The same with so many epochs."""
        return TrainingPlan(
            epochs, batch=self.batch, learning_rate=self.learning_rate, augment=self.augment
        )

    def document(self) -> dict[str, object]:
        """The recipe as JSON data."""
        return document_of(self)


_TAKEN = ("network", "compressed", "ancestor_epochs", "epochs", "batch", "learning_rate",
          "augment", "threads")  # fmt: skip


def effort_recipe(given: Mapping[str, Any]) -> EffortRecipe:
    """The recipe with what the options of `reproduce` say in place of its defaults.

    Raises UserError for an option that means nothing here.
    """
    asked = settings_of(given, _TAKEN, "dyvedeep")
    if "networks" in asked:
        asked.setdefault("compressed", "")
    elif asked.get("compressed") == "none":
        asked["compressed"] = ""
    return EffortRecipe(**asked)
