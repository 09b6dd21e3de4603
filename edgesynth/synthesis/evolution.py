"""Evolutionary synthesis: generation after generation of smaller networks.

Evolutionary deep intelligence (arXiv:1606.04393) with cluster-driven encoding (arXiv:1609.01360).
Generation 1 is the ancestor. The loop receives its world (training, accuracy, cost) and its
executor as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from edgesynth.core.history import SCHEMA, Offspring, in_birth_order
from edgesynth.core.precision import UNRESTRICTED, PrecisionSchedule
from edgesynth.core.progress import Progress
from edgesynth.core.requirement import Requirement
from edgesynth.networks.grid import storage_of
from edgesynth.networks.network import Network
from edgesynth.synthesis.executor import Executor
from edgesynth.synthesis.generation import Generation
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.jobs import WorldSpec
from edgesynth.synthesis.parcel import pack
from edgesynth.synthesis.raising import World, counted
from edgesynth.synthesis.run_folder import RunFolder
from edgesynth.synthesis.selection import best, eligible, facts, holds, ranked
from edgesynth.synthesis.stress import NO_STRESS, Stress


@dataclass(frozen=True, kw_only=True)
class EvolutionPlan:
    """What a run is asked to do."""

    generations: int
    """Of which the first is the ancestor."""
    offspring: int = 1
    """Per generation."""
    parents: int = 1
    """1, or 2: the two fittest of the last generation, as soon as it has two."""
    genome: Genome
    """How each offspring is drawn."""
    stress: Stress = NO_STRESS
    """During every training."""
    precision: PrecisionSchedule = UNRESTRICTED
    distill: float = 0.0
    """Share of the ancestor's outputs in the loss; 0 trains on the true answers alone."""
    epochs: int
    """Of training per offspring."""
    requirements: tuple[Requirement, ...]
    selection: str = "fittest"
    """One of `selection.RULES`."""
    reject: float | None = None
    """Points of validation accuracy below its parent from which an offspring is sampled again."""
    tries: int = 3
    """How often an offspring is sampled at most."""
    threads: int = 1
    """Of torch, per offspring."""
    seed: int

    def document(self) -> dict[str, object]:
        """The settings as `run.json` keeps them, without what only one of the steps needs."""
        return {
            "generations": self.generations,
            "offspring": self.offspring,
            "parents": self.parents,
            "genome": self.genome.document(),
            "stress": self.stress.text,
            "precision": self.precision.document(),
            "distill": self.distill,
            "requirements": [requirement.text for requirement in self.requirements],
            "selection": self.selection,
            "reject": self.reject,
            "tries": self.tries,
            "threads": self.threads,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Surroundings:
    """What a run takes place in."""

    world: World
    """Here."""
    spec: WorldSpec
    """How others make it."""
    folder: RunFolder
    executor: Executor
    progress: Progress
    trust: tuple[str, ...] = ()


def evolve(ancestor: Network, plan: EvolutionPlan, around: Surroundings) -> Offspring:
    """Run or resume the whole evolution and return the offspring that it delivers.

    Finished offspring in the run's folder are not made again; the result is the same as without a
    break.
    """
    folder = around.folder
    first = folder.find("g01-0") or _add_ancestor(ancestor, plan, around)
    selected, parents = [first], [first]
    stopped = f"all {plan.generations} generations are done"
    with around.progress.track("evolve", (plan.generations - 1) * plan.offspring) as task:
        for number in range(2, plan.generations + 1):
            litter = Generation(number, parents, first, plan, around).raise_all(task)
            parents = ranked(eligible(litter), plan.selection)[: plan.parents]
            selected.append(parents[0])
            _keep_selection(folder, selected)
            if plan.requirements and not holds(selected[-1], floors_only=True):
                stopped = f"no offspring of generation {number} keeps the accuracy asked for"
                break
            if _has_goals(plan.requirements) and holds(selected[-1]):
                stopped = f"generation {number} meets every requirement"
                break
    delivered = best(in_birth_order(folder.history))
    folder.run.status, folder.run.stopped, folder.run.best = "finished", stopped, delivered.id
    _keep_selection(folder, selected)
    return delivered


def _has_goals(requirements: Sequence[Requirement]) -> bool:
    return any(not requirement.key.startswith("accuracy") for requirement in requirements)


def _keep_selection(folder: RunFolder, selected: list[Offspring]) -> None:
    folder.run.selected = [offspring.id for offspring in selected]
    folder.save()


def _add_ancestor(ancestor: Network, plan: EvolutionPlan, around: Surroundings) -> Offspring:
    accuracy = around.world.accuracy(ancestor)
    predictions = around.world.predict(ancestor)
    parcel = pack(ancestor)
    offspring = Offspring(
        schema=SCHEMA,
        id="g01-0",
        generation=1,
        parent=None,
        seed=plan.seed,
        accuracy_at_birth=None,
        epochs=0,
        seconds=0.0,
        network="networks/g01-0.edgenet",
        precision=storage_of(ancestor).precision,
        weights_sha256=str(msgspec.json.decode(parcel["network.json"])["weights_sha256"]),
        **facts(counted(ancestor), accuracy, accuracy, plan.requirements, predictions),
    )
    around.folder.add(offspring, parcel)
    return offspring
