"""Raising one offspring, as plain data: what is asked for and what comes back.

Everything here can be encoded by msgspec, so that a job may be done in this process, in another
one, or on another machine, always with the same result.
"""

from __future__ import annotations

from typing import Any

import msgspec

from edgesynth.core import errors
from edgesynth.core.precision import FULL_PRECISION, PrecisionPolicy
from edgesynth.synthesis.generative.blueprint import Blueprint
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.stress import NO_STRESS, Stress


class WorldSpec(msgspec.Struct, frozen=True):
    """How a process makes the world (data, training, scores) that it raises offspring in."""

    factory: str
    """`package.module:function`; called with `settings`, it returns a `raising.World`."""
    settings: dict[str, Any]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One offspring to be raised."""

    identity: str
    name: str
    """Of the network."""
    generation: int
    parents: tuple[dict[str, bytes], ...]
    """One `.edgenet` or two, see `parcel`."""
    genome: Genome = Genome()
    blueprint: Blueprint | None = None
    """How it is made of the one parent, instead of by the genome; it then has the precision of its
    genes and is probed after training."""
    stress: Stress = NO_STRESS
    precision: PrecisionPolicy = FULL_PRECISION
    teacher: dict[str, bytes] | None = None
    """The ancestor's `.edgenet`, where the offspring learns from its outputs."""
    distill: float = 0.0
    """Their share in the loss."""
    seeds: tuple[int, ...]
    """All randomness of this offspring: run, generation, index, and from 2 on the try."""
    command: str
    trust: tuple[str, ...] = ()
    """Factories that the parents may be built by."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A job with all that another process needs to do it."""

    job: Job
    world: WorldSpec
    threads: int


class Raised(msgspec.Struct, frozen=True, kw_only=True, tag="raised"):
    """A job that is done."""

    identity: str
    parcel: dict[str, bytes]
    """The trained network, see `parcel`."""
    weights_sha256: str
    accuracy_at_birth: float
    accuracy: float
    """Both on validation data, fractions."""
    counted: dict[str, int]
    """See `raising.counted`."""
    precision: str
    """The format that most weights have."""
    predictions: dict[str, dict[str, float]]
    """Device -> predicted measurements."""
    seconds: float
    versions: dict[str, str]
    reactions: list[list[float]] = []
    """Of a network with a blueprint, trained; see `generative.probe`."""
    accuracy_midway: float | None = None
    """Of such a network, after half of its training."""
    stopped: bool = False
    """Whether its training ended there."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A job that ended in an exception, which another attempt would only repeat."""

    identity: str
    kind: str
    """Name of the exception's class."""
    message: str


class Began(msgspec.Struct, frozen=True, tag="began"):
    """A worker begins work of `total` steps."""

    total: int


class Advanced(msgspec.Struct, frozen=True, tag="advanced"):
    """A worker has done `steps` more of it."""

    steps: int
    note: str


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A worker has a line for a person."""

    text: str


Answer = Raised | Failed
Message = Began | Advanced | Said | Raised | Failed


def result_of(answer: Answer) -> Raised:
    """The result, or the exception of the worker raised here."""
    if isinstance(answer, Raised):
        return answer
    if answer.kind == "MemoryError":
        raise MemoryError(answer.message)
    kind = getattr(errors, answer.kind, None)
    if isinstance(kind, type) and issubclass(kind, errors.EdgesynthError):
        raise kind(f"{answer.identity}: {answer.message}")
    raise RuntimeError(f"{answer.identity}: {answer.kind} in a worker:\n{answer.message}")
