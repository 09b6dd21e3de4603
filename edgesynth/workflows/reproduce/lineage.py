"""One lineage: a rival's generations, each drawn from the one before and trained like all others'.

Where a network is drawn, trained and judged, no rival is treated otherwise than another.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from typing import Any

import msgspec
import torch

from edgesynth.core.errors import UserError
from edgesynth.core.network import Lineage, NetworkDescription
from edgesynth.core.precision import FULL_PRECISION
from edgesynth.core.progress import Progress
from edgesynth.core.provenance import command_line, versions
from edgesynth.core.reproduction import ANCESTOR, Row
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.synthesis.precision import PrecisionHook, restrict
from edgesynth.synthesis.raising import Lesson, counted, training_seed
from edgesynth.synthesis.stress import NO_STRESS, Stress
from edgesynth.synthesis.stress_hook import StressHook
from edgesynth.tasks.hooks import AfterStep, Hook
from edgesynth.tasks.source import task_named
from edgesynth.workflows.reproduce.folder import Folder
from edgesynth.workflows.reproduce.judging import judge
from edgesynth.workflows.reproduce.recipe import Recipe
from edgesynth.workflows.reproduce.rival import Rival, Scene
from edgesynth.workflows.train import resolve_for
from edgesynth.workflows.world import DataWorld


@dataclasses.dataclass(frozen=True)
class Stage:
    """Where the lineages of one seed are made."""

    seed: int
    recipe: Recipe
    world: DataWorld
    folder: Folder
    progress: Progress


@dataclasses.dataclass(frozen=True)
class _Born:
    """A network before its training."""

    network: Network
    rival: Rival
    generation: int
    accuracy_at_birth: float | None
    since: float
    drawn: dict[str, float] = dataclasses.field(default_factory=dict)


class Extinct(Exception):  # noqa: N818
    """A lineage that has no further generation, and why."""


_COMMON = Rival(
    name=ANCESTOR,
    kind="baseline",
    says="the trained network that all lineages of a seed descend from",
    draw=lambda scene: scene.parent,
)


def ancestor_of(stage: Stage) -> Row:
    """The ancestor of all lineages of the seed, trained now if there is none yet."""
    with stage.folder.lineage(stage.seed, ANCESTOR):
        return stage.folder.find(stage.seed, ANCESTOR, 1) or _train_ancestor(stage, _COMMON)


def follow(stage: Stage, rival: Rival, generations: int) -> None:
    """Make what is missing of the lineage of `rival`, up to generation `generations`.

    Raises UserError when the rival that it takes its sizes from is not there yet.
    """
    ancestor = stage.folder.load(ancestor_of(stage))
    last = min(generations, rival.last or generations)
    with stage.folder.lineage(stage.seed, rival.name):
        row = _first(stage, rival)
        for generation in range(2, last + 1):
            found = stage.folder.find(stage.seed, rival.name, generation)
            if found is None:
                try:
                    found = _raise(stage, rival, generation, stage.folder.load(row), ancestor)
                except Extinct as error:
                    stage.folder.end(stage.seed, rival.name, generation, str(error))
                    stage.progress.say(f"seed {stage.seed} {rival.name} ends: {error}")
                    return
            row = found


def _first(stage: Stage, rival: Rival) -> Row:
    """Generation 1 of a lineage."""
    if not rival.own_ancestor:
        return ancestor_of(stage)
    return stage.folder.find(stage.seed, rival.name, 1) or _train_ancestor(stage, rival)


def _train_ancestor(stage: Stage, rival: Rival) -> Row:
    """Generation 1: every ancestor of a seed has the same initial weights and batches."""
    torch.manual_seed(stage.seed)
    network = resolve_for(stage.recipe.network, stage.world.dataset)
    born = _Born(network, rival, 1, None, time.monotonic())
    return _finish(stage, born, None)


def _raise(stage: Stage, rival: Rival, generation: int, parent: Network, ancestor: Network) -> Row:
    """Draw, train and judge one network."""
    started = time.monotonic()
    seeds = (stage.seed, generation)
    scene = Scene(parent, seeds, generation, _goal(stage, rival, generation))
    torch.manual_seed(training_seed(seeds))
    child = _drawn(rival, scene)
    policy = rival.policy(generation)
    newborn = Network(copy.deepcopy(child.module), child.description, dict(child.masks))
    restrict(newborn, policy)
    at_birth = stage.world.accuracy(newborn)
    drawn = rival.expected(scene) if rival.expected else {}
    return _finish(stage, _Born(child, rival, generation, at_birth, started, drawn), ancestor)


def _drawn(rival: Rival, scene: Scene) -> Network:
    """The next network; a rival that follows another ends with it at the latest."""
    if rival.follows is not None and scene.goal is None:
        raise Extinct(f"{rival.follows} has no generation {scene.generation} to follow")
    try:
        return rival.draw(scene)
    except UserError as error:
        raise Extinct(str(error)) from None


def _goal(stage: Stage, rival: Rival, generation: int) -> int | None:
    if rival.follows is None:
        return None
    leader = stage.folder.find(stage.seed, rival.follows, generation)
    return None if leader is None else round(rival.scale * getattr(leader, rival.measure))


def _finish(stage: Stage, born: _Born, ancestor: Network | None) -> Row:
    """Train, restrict, save and judge what was born; append its row and return it."""
    recipe, rival, generation = stage.recipe, born.rival, born.generation
    network, policy = born.network, rival.policy(generation) if ancestor else FULL_PRECISION
    epochs = recipe.epochs_of(generation)
    _world(stage, epochs, recipe.offspring_augment if ancestor else recipe.augment).train(
        network,
        seed=training_seed((stage.seed, generation)),
        hooks=[*_hooks(network, rival, generation), PrecisionHook(network, policy)],
        lesson=Lesson(ancestor, recipe.distill) if ancestor and recipe.distill else None,
        progress=stage.progress,
        label=f"s{stage.seed} {rival.name} g{generation:02d}",
    )
    restrict(network, policy)
    accuracy, test = stage.world.accuracy(network), _test(stage, network)
    place = stage.folder.network_of(stage.seed, rival.name, generation)
    network.description = _described(stage, born, accuracy, test)
    (stage.folder.path / place).parent.mkdir(parents=True, exist_ok=True)
    saved = edgenet.save(network, stage.folder.path / place)
    counts: dict[str, Any] = {k: v for k, v in counted(network).items() if k != "size_bytes"}
    row = Row(
        seed=stage.seed,
        rival=rival.name,
        generation=generation,
        **counts,
        precision=policy.weights.name,
        accuracy_at_birth=born.accuracy_at_birth,
        accuracy=accuracy,
        test_accuracy=test,
        **judge(network, ancestor or network, stage.world.dataset),
        drawn=born.drawn,
        epochs=epochs,
        seconds=round(time.monotonic() - born.since, 1),
        network=place,
        weights_sha256=saved.weights_sha256,
    )
    stage.folder.add(row)
    stage.progress.say(line_of(row))
    return row


def line_of(row: Row) -> str:
    """A finished row for a person."""
    return (
        f"seed {row.seed} {row.rival} g{row.generation:02d}: {row.synapses:,} synapses, "
        f"{row.params:,} parameters, test accuracy {row.test_accuracy:.4f}"
    )


def _hooks(network: Network, rival: Rival, generation: int) -> list[Hook]:
    hooks: list[Hook] = [AfterStep(network.apply_masks)]
    stress: Stress = rival.stress
    if stress != NO_STRESS and rival.genome is not None:
        hooks.append(StressHook(network, stress, rival.genome(generation + 1)))
    return hooks


def _world(stage: Stage, epochs: int, augment: str) -> DataWorld:
    """The stage's world with so many epochs; what its teacher said is kept."""
    plan = stage.world.settings.training
    training = dataclasses.replace(plan, epochs=epochs, augment=augment)
    settings = msgspec.structs.replace(stage.world.settings, training=training)
    return dataclasses.replace(stage.world, settings=settings)


def _test(stage: Stage, network: Network) -> float:
    dataset = stage.world.dataset
    score = task_named(dataset.task).score
    return score(network.module, dataset.test, network.description.preprocessing)


def _described(stage: Stage, born: _Born, accuracy: float, test: float) -> NetworkDescription:
    description = born.network.description
    return msgspec.structs.replace(
        description,
        name=f"{stage.recipe.network}-{born.rival.name}-s{stage.seed}-g{born.generation:02d}",
        data=stage.world.dataset.name,
        lineage=Lineage(
            generation=born.generation,
            parent=description.weights_sha256 or None,
            seed=stage.seed,
            command=command_line(),
            versions=versions("torch", "numpy"),
        ),
        accuracy={"validation": accuracy, "test": test},
    )
