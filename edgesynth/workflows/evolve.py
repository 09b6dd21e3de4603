"""Evolutionary synthesis of smaller networks from a trained parent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.history import Offspring, Run
from edgesynth.core.metric import metric_of
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.synthesis.evolution import EvolutionPlan, Surroundings
from edgesynth.synthesis.evolution import evolve as run_evolution
from edgesynth.synthesis.executor import ExecutorPlan, open_executor
from edgesynth.synthesis.precision import check_schedule
from edgesynth.synthesis.raising import fixed_threads
from edgesynth.synthesis.run_folder import RunFolder
from edgesynth.synthesis.selection import COUNTED, Predictions, holds
from edgesynth.tasks.source import task_named
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.train import resolve_for
from edgesynth.workflows.world import WorldSettings, make_world

SCHEMA = "edgesynth.evolution/1"


def evolve(
    parent: str,
    data: str,
    out: Path,
    *,
    plan: EvolutionPlan,
    training: TrainingPlan,
    weights: Path | None = None,
    executor: ExecutorPlan | None = None,
    resume: bool = False,
    trust: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evolve `parent` on `data` in the run folder `out`; see `EvolutionPlan`.

    `executor` says where offspring are raised, which changes no result. With `resume`, a run that
    `out` holds is gone on with. `out/best.edgenet` is the network that the run delivers: with
    bounds on cost, the most accurate that meets all; else the one with the fewest MACs that keeps
    the accuracy asked for. Test data are used once, for the final accuracy of the ancestor and of
    the delivered network.

    Raises UserError for a parent without trained weights, or a run folder of other settings.
    """
    progress = progress or Silent()
    settings = _world_settings(data, plan, training)
    with fixed_threads(plan.threads):
        world = make_world(msgspec.to_builtins(settings), progress)
        ancestor = resolve_for(parent, world.dataset, weights=weights, trust=trust)
        if not parent.endswith(".edgenet") and weights is None:
            raise UserError(
                f"{parent} is not trained; train it first (edgesynth train {parent} --data {data} "
                "--out parent.edgenet), or give --weights"
            )
        check_schedule(ancestor, plan.precision)
        for cost in world.costs().values():
            cost(ancestor)  # a board that is unknown, or that nothing is predicted for, is told now
        _refuse_unjudgeable(plan, world.predict(ancestor))
        factory = ancestor.description.architecture.source.partition("factory:")[2]
        trust = (*trust, factory) if factory else trust
        run = _run(ancestor, plan, training, world.dataset)
        opened = RunFolder.resume if resume and (out / "run.json").exists() else RunFolder.create
        with (
            opened(out, run) as folder,
            open_executor(
                executor or ExecutorPlan(),
                world,
                settings.spec(),
                offspring=plan.offspring,
                threads=plan.threads,
                progress=progress,
            ) as raising,
        ):
            _warn_of_other_versions(folder.run, run, progress)
            around = Surroundings(world, settings.spec(), folder, raising, progress, trust)
            delivered = run_evolution(ancestor, plan, around)
            return _deliver(folder, delivered, world.dataset, trust)


def _warn_of_other_versions(before: Run, now: Run, progress: Progress) -> None:
    """A resumed run ends as an undisturbed one only with the versions that it began with."""
    for name, version in before.versions.items():
        if now.versions.get(name) != version:
            progress.say(
                f"warning: the run began with {name} {version}, here is {now.versions.get(name)}; "
                "what is raised now may differ in its last bits"
            )


def _world_settings(data: str, plan: EvolutionPlan, training: TrainingPlan) -> WorldSettings:
    devices = tuple(sorted({r.device for r in plan.requirements if r.device}))
    environment = plan.genome.environment.kind
    return WorldSettings(
        data=data,
        data_seed=plan.seed,
        training=training,
        devices=devices,
        budgets=(environment,) if "@" in environment else (),
    )


def _refuse_unjudgeable(plan: EvolutionPlan, predictions: Predictions) -> None:
    """A goal that nothing here counts or predicts would never be met."""
    for requirement in plan.requirements:
        known = predictions[requirement.device] if requirement.device else COUNTED
        if requirement.key in known:
            continue
        if requirement.device is None:
            raise UserError(
                f'requirement "{requirement.text}": evolve counts and predicts; name the board '
                f'that {requirement.metric} is predicted for, as in "{requirement.text}@tx2"'
            )
        raise UserError(
            f'requirement "{requirement.text}": no {requirement.metric} is predicted for '
            f"{requirement.device}; predicted are {', '.join(sorted(known)) or 'none'}"
        )


def _run(ancestor: Network, plan: EvolutionPlan, training: TrainingPlan, dataset: Dataset) -> Run:
    settings = {**plan.document(), "training": msgspec.to_builtins(training)}
    return Run(
        command=command_line(),
        plan=settings,
        parent=ancestor.name,
        parent_sha256=ancestor.description.weights_sha256,
        data=dataset.name,
        metric=metric_of(dataset.task),
        versions=versions("torch", "numpy"),
    )


def _deliver(
    folder: RunFolder, delivered: Offspring, dataset: Dataset, trust: tuple[str, ...]
) -> dict[str, Any]:
    """Save `best.edgenet` with its accuracy on test data and say what was reached."""
    ancestor = folder.history[0]
    task = task_named(dataset.task)
    tested = {}
    for offspring in {ancestor.id: ancestor, delivered.id: delivered}.values():
        network = folder.load(offspring, trust)
        preprocessing = network.description.preprocessing
        tested[offspring.id] = task.score(network.module, dataset.test, preprocessing)
    description = network.description
    network.description = msgspec.structs.replace(
        description,
        data=dataset.name,
        accuracy={**description.accuracy, "test": tested[delivered.id]},
    )
    edgenet.save(network, folder.folder / "best.edgenet")
    folder.run.test_accuracy = tested
    folder.save()
    return {
        "schema": SCHEMA,
        "run": str(folder.folder),
        "network": str(folder.folder / "best.edgenet"),
        "metric": folder.run.metric,
        "stopped": folder.run.stopped,
        "holds": holds(delivered),
        "requirements": delivered.requirements,
        "ancestor": _summary(ancestor, tested),
        "best": _summary(delivered, tested),
        "offspring": len(folder.history) - 1,
    }


def _summary(offspring: Offspring, tested: dict[str, float]) -> dict[str, Any]:
    names = (
        "id", "accuracy", "synapses", "clusters", "params", "macs", "size_bytes", "precision",
        "quantized_zeros", "weight_bytes", "weight_bytes_with_index",
    )  # fmt: skip
    facts: dict[str, object] = {name: getattr(offspring, name) for name in names}
    return {**facts, "test_accuracy": tested[offspring.id]}
