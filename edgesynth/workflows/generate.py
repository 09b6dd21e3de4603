"""Generative synthesis: learn a generator of networks that meet a requirement, and use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.metric import metric_of
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.core.requirement import Requirement
from edgesynth.core.search import Candidate, Search
from edgesynth.data.source import parse_spec
from edgesynth.networks.network import Network
from edgesynth.synthesis.executor import Executor, ExecutorPlan, open_executor
from edgesynth.synthesis.generative.blueprint import Blueprint, build
from edgesynth.synthesis.generative.evaluation import Evaluator
from edgesynth.synthesis.generative.family import Draft, Nursery
from edgesynth.synthesis.generative.generator import Card, Generator, Theta, save_generator
from edgesynth.synthesis.generative.pair import GeneratorInquisitor
from edgesynth.synthesis.generative.probe import stimuli
from edgesynth.synthesis.generative.problem import Problem, Utility
from edgesynth.synthesis.generative.search import Effort, obstacles, run_search
from edgesynth.synthesis.generative.search_folder import SearchFolder
from edgesynth.synthesis.generative.searchers import Searcher, rival_search
from edgesynth.synthesis.generative.space import Space, SpaceOptions, derive_space
from edgesynth.synthesis.generative.trainings import Trainings, ranked
from edgesynth.synthesis.generative.update import Update
from edgesynth.synthesis.raising import fixed_threads
from edgesynth.synthesis.selection import COUNTED
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.generated import BOARDS, deliver, score_test
from edgesynth.workflows.measured_cost import MeasuredCost
from edgesynth.workflows.train import resolve_for
from edgesynth.workflows.unseen import validation_seed
from edgesynth.workflows.world import DataWorld, WorldSettings, make_world

PAIR = "generator"
"""The search of this house; the others are `searchers.RIVALS`."""


@dataclass(frozen=True, kw_only=True)
class GenerationPlan:
    """What a search is asked to do."""

    requirements: tuple[Requirement, ...]
    utility: Utility = field(default_factory=lambda: Utility("netscore"))
    margin: float = 1.0
    """See `Problem.margin`."""
    effort: Effort = field(default_factory=Effort)
    networks: int = 4
    """Fully trained at the end."""
    space: SpaceOptions = field(default_factory=SpaceOptions)
    update: Update = field(default_factory=Update)
    search: str = PAIR
    """`generator`, or a rival search of the same space."""
    proxy: TrainingPlan
    """The short training of candidates."""
    proxy_images: int | None = None
    """Train images of it; None takes all."""
    training: TrainingPlan
    """Of the networks that are delivered."""
    distill: float = 0.0
    """Share of the prototype's outputs in the loss of full trainings; short ones learn faster from
    the true answers."""
    inherit: bool = True
    threads: int = 1
    seed: int = 0

    def document(self) -> dict[str, Any]:
        """The settings as `search.json` keeps them."""
        return {
            "requirements": [requirement.text for requirement in self.requirements],
            "utility": self.utility.name,
            "margin": self.margin,
            "evaluations": self.effort.evaluations,
            "per_cycle": self.effort.per_cycle,
            "full": self.effort.full,
            "networks": self.networks,
            "space": msgspec.to_builtins(self.space),
            "update": msgspec.to_builtins(self.update),
            "search": self.search,
            "proxy": msgspec.to_builtins(self.proxy),
            "proxy_images": self.proxy_images,
            "training": msgspec.to_builtins(self.training),
            "distill": self.distill,
            "inherit": self.inherit,
            "threads": self.threads,
            "seed": self.seed,
        }

    def devices(self) -> tuple[str, ...]:
        """Boards that predictions are needed for."""
        named = {r.device for r in self.requirements if r.device} | {self.utility.device}
        return tuple(sorted(name for name in named if name))


def generate(
    parent: str,
    data: str,
    out: Path,
    *,
    plan: GenerationPlan,
    weights: Path | None = None,
    executor: ExecutorPlan | None = None,
    measure: MeasuredCost | None = None,
    resume: bool = False,
    trust: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Learn a generator from the prototype `parent` on `data` in the folder `out`; see
    `GenerationPlan`.

    `out/NAME.generator` makes further networks with `generate_from`; `out/networks` holds the
    family, fully trained; `out/best.edgenet` is the member that meets the requirement with the
    greatest U. Where none does, "obstacles" says what stands in the way.

    Raises UserError for a prototype without trained weights, or a folder of other settings.
    """
    progress = progress or Silent()
    data_seed, told = validation_seed(parent, data, plan.seed)
    full, short = worlds_of(data, plan, data_seed)
    with fixed_threads(plan.threads):
        world = make_world(msgspec.to_builtins(full), progress)
        prototype = resolve_for(parent, world.dataset, weights=weights, trust=trust)
        if not parent.endswith(".edgenet") and weights is None:
            raise UserError(
                f"{parent} is not trained; train it first (edgesynth train {parent} --data {data} "
                "--out parent.edgenet), or give --weights"
            )
        if not told:
            progress.say(
                f"warning: {parent} does not say that it was trained on {data}: validation images "
                "may be among those that it has seen, and it may seem better than it is"
            )
        refuse_unjudgeable(plan, world.predict(prototype), measure)
        trust = trusted(prototype, trust)
        space = derive_space(prototype, plan.space)
        search = _search(prototype, plan, world, space)
        opened = SearchFolder.resume if resume and (out / "search.json").exists() else (
            SearchFolder.create
        )  # fmt: skip
        with opened(out, search) as folder:
            work = Undertaking(folder, plan, prototype, space, trust, progress, measure, executor)
            with work.nursery(full, world) as nursery:
                _save(work, work.search(short, world, nursery), full)
            return deliver(folder, trust)


def worlds_of(
    data: str, plan: GenerationPlan, data_seed: int
) -> tuple[WorldSettings, WorldSettings]:
    """The worlds of full and of short trainings; `data_seed` chooses the validation images.

    Raises UserError when `data` is cut already and the short training is to cut it again.
    """
    full = WorldSettings(
        data=data,
        data_seed=data_seed,
        training=plan.training,
        devices=tuple(sorted({*plan.devices(), *BOARDS})),
    )
    cut = data
    if plan.proxy_images is not None:
        limit = parse_spec(data).limit
        if limit is not None and limit < plan.proxy_images:
            raise UserError(f"{data} has fewer train images than the {plan.proxy_images} asked for")
        cut = f"{data.removesuffix(f'@{limit}')}@{plan.proxy_images}"
    short = WorldSettings(
        data=cut, data_seed=data_seed, training=plan.proxy, devices=plan.devices()
    )
    return full, short


def trusted(network: Network, trust: tuple[str, ...]) -> tuple[str, ...]:
    """`trust` with the factory of `network`, which the user named."""
    factory = network.description.architecture.source.partition("factory:")[2]
    return (*trust, factory) if factory else trust


def refuse_unjudgeable(
    plan: GenerationPlan, predictions: Mapping[str, Mapping[str, float]], measure: object | None
) -> None:
    """A requirement that nothing counts, predicts or measures would never be met."""
    for requirement in plan.requirements:
        known = predictions[requirement.device] if requirement.device else COUNTED
        if requirement.key in known or (measure is not None and requirement.device is None):
            continue
        raise UserError(
            f'requirement "{requirement.text}": {requirement.metric} is neither counted nor '
            "predicted here; name a board that it is predicted for, as in "
            '"energy<=5mJ@tx2", or give --measure USER@HOST'
        )


@dataclass(frozen=True)
class Undertaking:
    """One search and where it takes place."""

    folder: SearchFolder
    plan: GenerationPlan
    prototype: Network
    space: Space
    trust: tuple[str, ...]
    progress: Progress
    measure: MeasuredCost | None = None
    executor: ExecutorPlan | None = None

    def search(self, short: WorldSettings, world: DataWorld, nursery: Nursery) -> Theta | None:
        """Run the search and train the best fully; returns the generator, where it learns one."""
        plan = self.plan
        here = replace(world, settings=short)
        if short.data != world.settings.data:
            here = make_world(msgspec.to_builtins(short), self.progress)
        with open_executor(
            self.executor or ExecutorPlan(), here, short.spec(),
            offspring=plan.effort.per_cycle, threads=plan.threads, progress=self.progress,
        ) as raising:  # fmt: skip
            evaluator = self._evaluator(short, world, raising)
            trainings = Trainings(evaluator, lambda chosen: self._raise(nursery, chosen))
            searcher = self._searcher(evaluator, here)
            found = run_search(searcher, evaluator, plan.effort, self.progress, trainings)
        trainings.finish(found, plan.networks)
        search = self.folder.search
        search.recovery = evaluator.problem.recovery
        judged = [evaluator.judged(one) for one in found]
        if not ranked(judged)[0].feasible and not search.obstacles:
            search.obstacles = obstacles(judged, plan.requirements, evaluator)
        return searcher.theta()

    def _evaluator(self, short: WorldSettings, world: DataWorld, raising: Executor) -> Evaluator:
        plan = self.plan
        return Evaluator(
            prototype=self.prototype, space=self.space, problem=self._problem(world),
            folder=self.folder, executor=raising, progress=self.progress,
            budget=f"{plan.proxy.epochs} epochs of {short.data}", seed=plan.seed,
            command=self.folder.search.command, trust=self.trust, inherit=plan.inherit,
            measure=self.measure, make=self.made,
        )  # fmt: skip

    def _raise(self, nursery: Nursery, chosen: Sequence[Candidate]) -> list[float]:
        """Accuracy of candidates after a full training."""
        return [member.accuracy for member in nursery.raise_all(list(map(self._draft, chosen)))]

    def _draft(self, one: Candidate) -> Draft:
        return Draft(one.id, dict(one.choice), self.plan.seed)

    @contextmanager
    def nursery(self, full: WorldSettings, world: DataWorld) -> Iterator[Nursery]:
        """Where networks are trained fully and kept in the folder."""
        plan = self.plan
        with open_executor(
            self.executor or ExecutorPlan(), world, full.spec(),
            offspring=plan.networks, threads=plan.threads, progress=self.progress,
        ) as raising:  # fmt: skip
            yield Nursery(
                prototype=self.prototype, space=self.space, world=world,
                score_test=lambda network: score_test(network, world), utility=plan.utility,
                requirements=plan.requirements, folder=self.folder, executor=raising,
                progress=self.progress, command=self.folder.search.command,
                distill=plan.distill, trust=self.trust, inherit=plan.inherit,
                measure=self.measure, make=self.made,
            )  # fmt: skip

    def made(self, blueprint: Blueprint) -> Network:
        """A network to be measured: the same weights whenever it is made."""
        return build(self.prototype, blueprint, seed=0)

    def _problem(self, world: DataWorld) -> Problem:
        return Problem(
            utility=self.plan.utility,
            requirements=self.plan.requirements,
            margin=self.plan.margin,
            prototype_accuracy=world.accuracy(self.prototype),
        )

    def _searcher(self, evaluator: Evaluator, world: DataWorld) -> Searcher:
        plan = self.plan
        if plan.search != PAIR:
            return rival_search(plan.search, self.space, plan.seed)
        return GeneratorInquisitor(
            self.prototype, self.space, evaluator, stimuli(world.calibration(self.prototype)),
            plan.seed, plan.update,
        )  # fmt: skip


def _search(prototype: Network, plan: GenerationPlan, world: DataWorld, space: Space) -> Search:
    return Search(
        command=command_line(),
        plan=plan.document(),
        prototype=prototype.name,
        prototype_sha256=prototype.description.weights_sha256,
        data=world.dataset.name,
        metric=metric_of(world.dataset.task),
        versions=versions("torch", "numpy"),
        genes=[msgspec.to_builtins(gene) for gene in space.genes],
    )


def _save(work: Undertaking, theta: Theta | None, full: WorldSettings) -> None:
    """Write the learned generator; a rival search has none."""
    if theta is None:
        return
    plan, search = work.plan, work.folder.search
    card = Card(
        name=work.prototype.name,
        space=work.space,
        requirements=[requirement.text for requirement in plan.requirements],
        utility=plan.utility.name,
        data=full.data,
        training=msgspec.to_builtins(plan.training),
        distill=plan.distill,
        seed=full.data_seed,
        prototype_accuracy=work.folder.candidates[0].accuracy,
        cycles=len(search.cycles),
        command=search.command,
        versions=search.versions,
    )
    place = work.folder.folder / f"{work.prototype.name}.generator"
    save_generator(Generator(card, theta, work.prototype), place)
