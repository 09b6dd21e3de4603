"""The world that offspring are raised in: one data set, its training and scores, predictions.

`make_world` makes it from plain settings in whichever process raises offspring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import torch

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.data.source import load_dataset
from edgesynth.networks.network import Network
from edgesynth.synthesis.heredity import Cost
from edgesynth.synthesis.jobs import WorldSpec
from edgesynth.synthesis.raising import Lesson
from edgesynth.synthesis.selection import Predictions
from edgesynth.tasks.distillation import distillation
from edgesynth.tasks.hooks import Hook
from edgesynth.tasks.source import task_named
from edgesynth.tasks.task import Task
from edgesynth.tasks.training import TrainingPlan, train
from edgesynth.workflows.predict import predict_network
from edgesynth.workflows.train import calibration_batches


class WorldSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that shapes a world, as data."""

    data: str
    """As after `--data`."""
    data_seed: int
    """Chooses validation images and the subset of `@N`."""
    training: TrainingPlan
    devices: tuple[str, ...] = ()
    """Boards that predictions are wanted for."""
    budgets: tuple[str, ...] = ()
    """Predicted costs that a genome has budgets on, such as `latency@tx2`."""

    def spec(self) -> WorldSpec:
        """How another process makes this world."""
        return WorldSpec("edgesynth.workflows.world:make_world", msgspec.to_builtins(self))


@dataclass(frozen=True)
class DataWorld:
    """A `synthesis.raising.World` on one data set."""

    dataset: Dataset
    settings: WorldSettings
    taught: dict[tuple[str, float, bool], Task] = field(default_factory=dict)
    """Tasks with a teacher, which is asked only once."""

    def train(
        self,
        network: Network,
        *,
        seed: int,
        hooks: Sequence[Hook],
        lesson: Lesson | None,
        progress: Progress,
        label: str,
    ) -> None:
        """Train `network` in place."""
        train(
            network.module,
            self.dataset,
            network.description.preprocessing,
            self.settings.training,
            seed=seed,
            task=self._taught(lesson),
            hooks=hooks,
            progress=progress,
            label=label,
        )

    def _taught(self, lesson: Lesson | None) -> Task:
        """The data's task, with the teacher's outputs where there is one."""
        if lesson is None:
            return task_named(self.dataset.task)
        if self.dataset.task != "classification":
            raise UserError("only classification can be distilled; leave out --distill")
        teacher = lesson.teacher
        augmented = self.settings.training.augment != "none"
        key = (teacher.description.weights_sha256, lesson.share, augmented)
        if key not in self.taught:
            self.taught[key] = distillation(
                teacher.module,
                self.dataset.train,
                teacher.description.preprocessing,
                lesson.share,
                augmented=augmented,
            )
        return self.taught[key]

    def accuracy(self, network: Network) -> float:
        """The task's figure of merit on validation data, a fraction."""
        task = task_named(self.dataset.task)
        preprocessing = network.description.preprocessing
        return task.score(network.module, self.dataset.validation, preprocessing)

    def predict(self, network: Network) -> Predictions:
        """Latency and energy on the devices of the settings."""
        return predict_network(network, self.settings.devices)

    def calibration(self, network: Network) -> Iterable[torch.Tensor]:
        """Some of the train split, as inputs of `network`."""
        return calibration_batches(self.dataset, network.description.preprocessing)

    def costs(self) -> Mapping[str, Cost]:
        """The budgets of the settings, as functions of a network."""
        return {budget: predicted_cost(*budget.split("@")) for budget in self.settings.budgets}


def predicted_cost(kind: str, device: str) -> Cost:
    """The predicted `latency` (ms) or `energy` (mJ) of one inference on `device`.

    Calling it raises UserError when the board is unknown or has no such prediction.
    """
    key = {"latency": "latency_mean_ms", "energy": "energy_mj"}[kind]

    def cost(network: Network) -> float:
        known = predict_network(network, (device,))[device]
        if key not in known:
            raise UserError(f"no {kind} is predicted for {device}; give another budget or board")
        return known[key]

    return cost


def make_world(settings: dict[str, Any], progress: Progress | None = None) -> DataWorld:
    """The world of `settings`, see `WorldSettings`; loads its data.

    Raises UserError or MissingError when the data cannot be loaded.
    """
    known = msgspec.convert(settings, WorldSettings)
    dataset = load_dataset(known.data, seed=known.data_seed, progress=progress)
    return DataWorld(dataset, known)
