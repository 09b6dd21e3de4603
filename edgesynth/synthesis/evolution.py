"""Evolutionary synthesis: generation after generation of smaller networks.

Evolutionary deep intelligence (arXiv:1606.04393) with cluster-driven encoding (arXiv:1609.01360).
Generation 1 is the ancestor. The loop receives its world (training, accuracy, cost) as arguments.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from edgesynth.core.history import SCHEMA, Offspring
from edgesynth.core.network import Lineage
from edgesynth.core.progress import Progress
from edgesynth.core.requirement import Requirement
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import Cost, live_clusters, live_synapses, synthesize
from edgesynth.synthesis.run_folder import RunFolder
from edgesynth.synthesis.selection import Predictions, best, holds, judge, ranked
from edgesynth.synthesis.stress import NO_STRESS, Stress


@dataclass(frozen=True)
class EvolutionPlan:
    """What a run is asked to do."""

    generations: int
    """Of which the first is the ancestor."""
    offspring: int
    """Per generation."""
    genome: Genome
    """How each offspring is drawn."""
    epochs: int
    """Of training per offspring."""
    requirements: tuple[Requirement, ...]
    seed: int
    stress: Stress = NO_STRESS
    """During every training."""
    parents: int = 1
    """Of each offspring; with 2, the second is the next fittest of the parents' generation."""


class World(Protocol):
    """What the loop needs from outside."""

    def train(self, network: Network, *, seed: int, label: str) -> None:
        """Train `network` in place, masks respected."""

    def accuracy(self, network: Network) -> float:
        """On validation data, a fraction."""

    def predict(self, network: Network) -> Predictions:
        """Predicted measurements on the devices that requirements name."""

    def costs(self) -> Mapping[str, Cost]:
        """What budgets on predicted costs are solved for, such as `latency@tx2`."""


def evolve(
    ancestor: Network,
    plan: EvolutionPlan,
    world: World,
    folder: RunFolder,
    *,
    trust: tuple[str, ...] = (),
    progress: Progress,
) -> Offspring:
    """Run or resume the whole evolution and return the offspring that it delivers.

    Finished offspring in `folder` are not made again; the result is the same as without a break.
    """
    first = folder.find("g01-0") or _add_ancestor(ancestor, plan, world, folder)
    selected = chosen = [first]
    stopped = f"all {plan.generations} generations are done"
    with progress.track("evolve", (plan.generations - 1) * plan.offspring) as task:
        for generation in range(2, plan.generations + 1):
            parents = [folder.load(offspring, trust) for offspring in chosen]
            litter = []
            for index in range(1, plan.offspring + 1):
                identity = f"g{generation:02d}-{index}"
                child = folder.find(identity)
                if child is None:
                    origin = (selected[-1], first.accuracy, identity)
                    child = _raise(parents, origin, plan, world, folder)
                    progress.say(_line(child, first))
                litter.append(child)
                task.advance(note=f"{identity} {child.accuracy:.4f}")
            fit = [o for o in litter if holds(o, floors_only=True)]
            chosen = ranked(fit or litter)[: plan.parents]
            selected = [*selected, chosen[0]]
            _keep_selection(folder, selected)
            if plan.requirements and not fit:
                stopped = f"no offspring of generation {generation} keeps the accuracy asked for"
                break
            if _has_goals(plan.requirements) and holds(selected[-1]):
                stopped = f"generation {generation} meets every requirement"
                break
    delivered = best(folder.history)
    folder.run.status, folder.run.stopped, folder.run.best = "finished", stopped, delivered.id
    _keep_selection(folder, selected)
    return delivered


def _has_goals(requirements: Sequence[Requirement]) -> bool:
    return any(not requirement.key.startswith("accuracy") for requirement in requirements)


def _keep_selection(folder: RunFolder, selected: list[Offspring]) -> None:
    folder.run.selected = [offspring.id for offspring in selected]
    folder.save()


def _add_ancestor(
    ancestor: Network, plan: EvolutionPlan, world: World, folder: RunFolder
) -> Offspring:
    accuracy = world.accuracy(ancestor)
    facts = _facts(ancestor, accuracy, accuracy, plan, world)
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
        **facts,  # type: ignore[arg-type]
    )
    folder.add(offspring, ancestor)
    return offspring


def _raise(
    parents: list[Network],
    origin: tuple[Offspring, float, str],
    plan: EvolutionPlan,
    world: World,
    folder: RunFolder,
) -> Offspring:
    """Synthesize, train and keep one offspring; `origin` is (parent, ancestor's accuracy, id)."""
    mother, ancestor_accuracy, identity = origin
    generation, index = mother.generation + 1, int(identity.partition("-")[2])
    started = time.monotonic()
    child = synthesize(parents, plan.genome, (plan.seed, generation, index), world.costs())
    at_birth = world.accuracy(child)
    world.train(child, seed=plan.seed * 10_000 + generation * 100 + index, label=identity)
    accuracy = world.accuracy(child)
    child.description = msgspec.structs.replace(
        child.description,
        name=f"{folder.run.parent}-{identity}",
        lineage=Lineage(
            generation=generation,
            parent=parents[0].description.weights_sha256,
            seed=plan.seed,
            command=folder.run.command,
            versions=folder.run.versions,
        ),
        accuracy={"validation": accuracy},
    )
    offspring = Offspring(
        schema=SCHEMA,
        id=identity,
        generation=generation,
        parent=mother.id,
        seed=plan.seed,
        accuracy_at_birth=at_birth,
        epochs=plan.epochs,
        seconds=round(time.monotonic() - started, 3),
        network=f"networks/{identity}.edgenet",
        **_facts(child, accuracy, ancestor_accuracy, plan, world),  # type: ignore[arg-type]
    )
    folder.add(offspring, child)
    return offspring


def _facts(
    network: Network, accuracy: float, ancestor_accuracy: float, plan: EvolutionPlan, world: World
) -> dict[str, object]:
    """What is counted and judged of every network alike."""
    cost = count(network.module, network.description.input_shape)
    counted: dict[str, float | None] = {
        "accuracy": accuracy,
        "synapses": live_synapses(network),
        "clusters": live_clusters(network),
        "params": cost.params,
        "macs": cost.macs,
        "size_bytes": cost.size_bytes,
    }
    verdicts = judge(counted, ancestor_accuracy, plan.requirements, world.predict(network))
    return {**counted, "requirements": [verdict.document() for verdict in verdicts]}


def _line(child: Offspring, ancestor: Offspring) -> str:
    return (
        f"{child.id}: accuracy {child.accuracy:.4f} (at birth {child.accuracy_at_birth:.4f}), "
        f"{ancestor.params / child.params:.2f}x fewer parameters, "
        f"{ancestor.macs / child.macs:.2f}x fewer MACs"
    )
