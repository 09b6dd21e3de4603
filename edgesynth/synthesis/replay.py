"""Raises an offspring of a finished or running run again, from its record alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.history import Offspring, Recipe, read_history
from edgesynth.core.precision import PrecisionPolicy
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.jobs import Job
from edgesynth.synthesis.parcel import read_parcel
from edgesynth.synthesis.stress import parse_stress


@dataclass(frozen=True)
class Replay:
    """What was recorded of an offspring, and the job that raised it."""

    offspring: Offspring
    recipe: Recipe
    job: Job


def read_replay(run: Path, identity: str, trust: tuple[str, ...] = ()) -> Replay:
    """The offspring `identity` of the run in the folder `run`, ready to be raised again.

    Raises UserError when there is none, or a parent is not the one that it was raised from.
    """
    history = {one.id: one for one in read_history(run / "history.jsonl")}
    if identity not in history:
        raise UserError(
            f'{run} holds no offspring "{identity}"; {nearest(identity, list(history))}'
        )
    offspring = history[identity]
    recipe = offspring.recipe
    if recipe is None:
        raise UserError(f"{run}: {identity} was not synthesized, or before records said how")
    parents = []
    for parent, sha256 in zip(offspring.parents, recipe.parents_sha256, strict=True):
        parcel = read_parcel(run / history[parent].network)
        if msgspec.json.decode(parcel["network.json"])["weights_sha256"] != sha256:
            raise UserError(f"{run}: {identity} descends from other weights than {parent} has now")
        parents.append(parcel)
    ancestor = next(one for one in history.values() if one.parent is None)
    job = Job(
        identity=identity,
        name=identity,
        generation=offspring.generation,
        parents=tuple(parents),
        genome=Genome.read(recipe.genome),
        stress=parse_stress(recipe.stress),
        precision=msgspec.convert(recipe.precision, PrecisionPolicy),
        teacher=read_parcel(run / ancestor.network) if recipe.distill else None,
        distill=recipe.distill,
        seeds=recipe.seeds,
        command="",
        trust=trust,
    )
    return Replay(offspring, recipe, job)
