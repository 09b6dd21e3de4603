"""What a search or a saved generator delivers: the family, the best of it, and how many hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.metric import metric_of
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.core.requirement import parse_requirements
from edgesynth.core.search import Member, Search, wilson
from edgesynth.networks import edgenet
from edgesynth.synthesis.executor import ExecutorPlan, open_executor
from edgesynth.synthesis.generative.admission import Admission
from edgesynth.synthesis.generative.blueprint import Blueprint, build
from edgesynth.synthesis.generative.family import (
    PROTOTYPE,
    Nursery,
    best_member,
    drafts_of,
)
from edgesynth.synthesis.generative.generator import Generator, load_generator
from edgesynth.synthesis.generative.problem import Utility
from edgesynth.synthesis.generative.search_folder import SearchFolder
from edgesynth.synthesis.raising import fixed_threads
from edgesynth.tasks.source import task_named
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.measured_cost import MeasuredCost
from edgesynth.workflows.world import DataWorld, WorldSettings, make_world

SCHEMA = "edgesynth.generation/1"
BOARDS = ("tx1", "tx2")
"""Predicted for every delivered network, whatever the requirement names."""


@dataclass(frozen=True, kw_only=True)
class FamilyPlan:
    """What a saved generator is asked for; None takes what it was learned with."""

    networks: int
    """Seeds that are drawn."""
    seed: int = 0
    data: str | None = None
    training: TrainingPlan | None = None
    distill: float | None = None
    requirements: tuple[str, ...] | None = None
    threads: int = 1


def generate_from(
    folder: Path,
    out: Path,
    *,
    plan: FamilyPlan,
    executor: ExecutorPlan | None = None,
    measure: MeasuredCost | None = None,
    resume: bool = False,
    trust: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make networks of new seeds with the generator in `folder`, without searching again.

    A seed whose network costs more than the requirement allows draws again; seeds that give the
    same network are merged. Every distinct one is trained fully and judged; `share` says how many
    meet the requirement, with Wilson's interval.

    Raises UserError when the generator is damaged or its factory is not in `trust`.
    """
    progress = progress or Silent()
    generator = load_generator(folder, trust=trust)
    card = generator.card
    requirements = parse_requirements(
        tuple(card.requirements) if plan.requirements is None else plan.requirements
    )
    utility = Utility(card.utility)
    devices = {r.device for r in requirements if r.device} | {utility.device}
    settings = WorldSettings(
        data=plan.data or card.data,
        data_seed=card.seed,
        training=plan.training or msgspec.convert(card.training, TrainingPlan),
        devices=tuple(sorted({*BOARDS, *(name for name in devices if name)})),
    )
    seeds = [(plan.seed, number) for number in range(plan.networks)]
    with fixed_threads(plan.threads):
        world = make_world(msgspec.to_builtins(settings), progress)
        admission = Admission(generator, requirements, world.predict)
        drafts = drafts_of([admission.point(seed) for seed in seeds], card.space, plan.seed)
        progress.say(f"{len(drafts)} distinct networks of {plan.networks} seeds")
        search = _search(generator, plan, settings, world, [r.text for r in requirements])
        opened = SearchFolder.resume if resume and (out / "search.json").exists() else (
            SearchFolder.create
        )  # fmt: skip
        with (
            opened(out, search) as kept,
            open_executor(
                executor or ExecutorPlan(), world, settings.spec(),
                offspring=len(drafts), threads=plan.threads, progress=progress,
            ) as raising,
        ):  # fmt: skip
            Nursery(
                prototype=generator.prototype, space=card.space, world=world,
                score_test=lambda network: score_test(network, world), utility=utility,
                requirements=requirements, folder=kept, executor=raising, progress=progress,
                command=search.command, trust=trust, measure=measure,
                distill=card.distill if plan.distill is None else plan.distill,
                make=lambda blueprint: made(generator, blueprint),
            ).raise_all(drafts)  # fmt: skip
            return deliver(kept, trust)


def made(generator: Generator, blueprint: Blueprint) -> Any:
    """A network to be measured: the same weights whenever it is made."""
    return build(generator.prototype, blueprint, seed=0)


def score_test(network: Any, world: DataWorld) -> float:
    """The figure of merit of `network` on test data."""
    task = task_named(world.dataset.task)
    return task.score(network.module, world.dataset.test, network.description.preprocessing)


def deliver(folder: SearchFolder, trust: tuple[str, ...]) -> dict[str, Any]:
    """Choose the best of the family, save it as `best.edgenet`, and say what was reached."""
    search = folder.search
    best = best_member(search.family)
    if not best.holds and not search.obstacles:
        search.obstacles = _missed(search.family)
    if best.holds:
        search.obstacles = []
    network = edgenet.load(folder.folder / best.network, trust=trust)
    accuracy = {"validation": best.accuracy, "test": best.test_accuracy}
    network.description = msgspec.structs.replace(
        network.description, data=search.data, accuracy=accuracy
    )
    edgenet.save(network, folder.folder / "best.edgenet")
    search.status, search.best = "finished", best.id
    search.stopped = (
        f"{best.id} meets every requirement" if best.holds else "nothing meets every requirement"
    )
    folder.save()
    return document(search, folder.folder)


def document(search: Search, folder: Path) -> dict[str, Any]:
    """`edgesynth.generation/1`: what a command prints of a finished search."""
    family = [one for one in search.family if one.id != PROTOTYPE]
    holding = sum(one.holds for one in family)
    low, high = wilson(holding, len(family))
    best = next(one for one in search.family if one.id == search.best)
    generators = sorted(folder.glob("*.generator"))
    return {
        "schema": SCHEMA,
        "search": str(folder),
        "network": str(folder / "best.edgenet"),
        "generator": str(generators[0]) if generators else None,
        "metric": search.metric,
        "stopped": search.stopped,
        "holds": best.holds,
        "obstacles": search.obstacles,
        "requirements": best.requirements,
        "prototype": _summary(search.family[0]),
        "best": _summary(best),
        "family": [_summary(one) for one in family],
        "share": {
            "seeds": search.plan.get("networks"),
            "distinct": len({one.architecture for one in family}),
            "holding": holding,
            "share": holding / len(family) if family else None,
            "wilson95": [round(low, 4), round(high, 4)],
        },
        "evaluations": sum(cycle.candidates for cycle in search.cycles),
        "rank_correlation": search.rank_correlation,
        "foretold": search.foretold,
    }


def _summary(one: Member) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(one)
    return {**facts, "holds": one.holds}


def _missed(family: list[Member]) -> list[str]:
    """For each requirement that no fully trained network meets, the nearest value."""
    made_ones = [one for one in family if one.id != PROTOTYPE]
    told = []
    texts = dict.fromkeys(str(v["requirement"]) for one in made_ones for v in one.requirements)
    for text in texts:
        verdicts = [(v, one.id) for one in made_ones for v in one.requirements
                    if v["requirement"] == text]  # fmt: skip
        if any(verdict["holds"] is True for verdict, _ in verdicts):
            continue
        known = [(v["value"], name) for v, name in verdicts if v["value"] is not None]
        if not known:
            told.append(f"{text}: not known")
            continue
        value, name = (max if ">" in text else min)(known)
        told.append(f"{text}: of {len(known)} trained networks the nearest, {name}, has {value:g}")
    return told or ["no network meets all at once: each requirement is met by another one"]


def _search(
    generator: Generator,
    plan: FamilyPlan,
    settings: WorldSettings,
    world: DataWorld,
    requirements: list[str],
) -> Search:
    if not 0 < plan.networks <= 10_000:
        raise UserError(f"{plan.networks} networks are not possible; give 1 to 10,000")
    return Search(
        command=command_line(),
        plan={
            "from": generator.card.name,
            "networks": plan.networks,
            "seed": plan.seed,
            "requirements": requirements,
            "utility": generator.card.utility,
            "world": msgspec.to_builtins(settings),
            "distill": plan.distill,
            "threads": plan.threads,
        },
        prototype=generator.prototype.name,
        prototype_sha256=generator.prototype.description.weights_sha256,
        data=world.dataset.name,
        metric=metric_of(world.dataset.task),
        versions=versions("torch", "numpy"),
        genes=[msgspec.to_builtins(gene) for gene in generator.card.space.genes],
    )
