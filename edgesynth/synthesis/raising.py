"""Raises one offspring: synthesis, score at birth, training, score, count.

This is all that executors do, in whichever process; what is random comes from the job's seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec
import numpy as np
import torch

from edgesynth.core.network import Lineage, NetworkDescription
from edgesynth.core.precision import PrecisionPolicy
from edgesynth.core.progress import Progress
from edgesynth.core.provenance import versions
from edgesynth.hardware.counting import count
from edgesynth.networks.grid import storage_of
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.blueprint import MidwayHook, build, policy_of
from edgesynth.synthesis.generative.probe import probe, stimuli
from edgesynth.synthesis.generative.settle import settle
from edgesynth.synthesis.heredity import Cost, live_clusters, live_synapses, synthesize
from edgesynth.synthesis.jobs import Job, Raised
from edgesynth.synthesis.parcel import pack, unpack
from edgesynth.synthesis.precision import PrecisionHook, as_parent, restrict
from edgesynth.synthesis.selection import Predictions
from edgesynth.synthesis.stress_hook import StressHook
from edgesynth.tasks.hooks import AfterStep, Hook


@dataclass(frozen=True)
class Lesson:
    """What an offspring learns beside the true answers."""

    teacher: Network
    share: float
    """Of the teacher's outputs in the loss."""


class World(Protocol):
    """What a synthesis needs from outside."""

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
        """Train `network` in place; `hooks` see every step."""

    def accuracy(self, network: Network) -> float:
        """On validation data, a fraction."""

    def predict(self, network: Network) -> Predictions:
        """Predicted measurements on the devices that requirements name."""

    def calibration(self, network: Network) -> Iterable[torch.Tensor]:
        """Batches of inputs of `network`, to measure the range of its activations on."""

    def costs(self) -> Mapping[str, Cost]:
        """What budgets on predicted costs are solved for, such as `latency@tx2`."""


def raise_offspring(job: Job, world: World, progress: Progress) -> Raised:
    """Do `job`: the same job gives the same weights on any machine with the same versions.

    Raises UserError when the parent has nothing to synthesize from or the training diverges.
    """
    started = time.monotonic()
    parents = [unpack(parcel, job.trust) for parcel in job.parents]
    child, precision = _conceive(job, parents, world)
    score = partial(_score, child, job, world)
    at_birth = score()
    midway = MidwayHook(score, job.blueprint.needed_midway if job.blueprint else None)
    world.train(
        child,
        seed=training_seed(job.seeds),
        hooks=[
            *_hooks(child, job, precision, world.costs()),
            *([midway] if job.blueprint else []),
        ],
        lesson=_lesson(job),
        progress=progress,
        label=job.identity,
    )
    restrict(child, precision, world.calibration(child))
    accuracy = score()
    made_with = versions("torch", "numpy")
    child.description = _described(child, parents[0], job, made_with, accuracy)
    parcel = pack(child)
    return Raised(
        identity=job.identity,
        parcel=parcel,
        weights_sha256=_weights_sha256(parcel),
        accuracy_at_birth=at_birth,
        accuracy=accuracy,
        counted=counted(child),
        precision=storage_of(child).precision,
        predictions={device: dict(values) for device, values in world.predict(child).items()},
        seconds=round(time.monotonic() - started, 3),
        versions=made_with,
        reactions=_reactions(child, job, world),
        accuracy_midway=midway.accuracy,
        stopped=midway.stopped,
    )


def _score(child: Network, job: Job, world: World) -> float:
    """Accuracy on validation data."""
    if job.blueprint is not None and job.blueprint.settle:
        settle(child.module, world.calibration(child))
    return world.accuracy(child)


def _conceive(
    job: Job, parents: Sequence[Network], world: World
) -> tuple[Network, PrecisionPolicy]:
    """The untrained offspring, and what its training restricts."""
    if job.blueprint is not None:
        child = build(parents[0], job.blueprint, training_seed((*job.seeds, 1)))
        return child, policy_of(child, job.blueprint)
    encoded = [as_parent(parent, job.precision) for parent in parents]
    child = synthesize(encoded, job.genome, job.seeds, world.costs(), whole=parents[0])
    return child, job.precision


def _reactions(child: Network, job: Job, world: World) -> list[list[float]]:
    if job.blueprint is None:
        return []
    stages = job.blueprint.space.stages
    found: list[list[float]] = probe(
        child.module, stimuli(world.calibration(child)), stages
    ).tolist()
    return found


def _described(
    child: Network, mother: Network, job: Job, made_with: dict[str, str], accuracy: float
) -> NetworkDescription:
    return msgspec.structs.replace(
        child.description,
        name=job.name,
        lineage=Lineage(
            generation=job.generation,
            parent=mother.description.weights_sha256,
            seed=job.seeds[0],
            command=job.command,
            versions=made_with,
        ),
        accuracy={"validation": accuracy},
    )


def _lesson(job: Job) -> Lesson | None:
    if not job.distill or job.teacher is None:
        return None
    return Lesson(unpack(job.teacher, job.trust), job.distill)


def _hooks(
    child: Network, job: Job, precision: PrecisionPolicy, costs: Mapping[str, Cost]
) -> list[Hook]:
    """What acts on every training step of `child`."""
    hooks: list[Hook] = [AfterStep(child.apply_masks)]
    if job.stress.kind != "none":
        hooks.append(StressHook(child, job.stress, job.genome, costs))
    return [*hooks, PrecisionHook(child, precision)]


def counted(network: Network) -> dict[str, int]:
    """What is counted of every network alike, by the keys of requirements."""
    cost, storage = count(network.module, network.description.input_shape), storage_of(network)
    return {
        "synapses": live_synapses(network),
        "clusters": live_clusters(network),
        "params": cost.params,
        "macs": cost.macs,
        "size_bytes": cost.size_bytes,
        "weight_bytes": storage.weight_bytes,
        "weight_bytes_with_index": storage.bytes_with_index,
        "quantized_zeros": storage.zeros,
    }


def training_seed(seeds: tuple[int, ...]) -> int:
    """The seed of an offspring's training, one of its own for every tuple of seeds."""
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])


@contextmanager
def fixed_threads(threads: int) -> Iterator[None]:
    """Torch computes with this many threads: sums are added in another order with others."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _weights_sha256(parcel: dict[str, bytes]) -> str:
    description = msgspec.json.decode(parcel["network.json"])
    return str(description["weights_sha256"])
