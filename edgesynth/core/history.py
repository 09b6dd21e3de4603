"""`history.jsonl`: one line per offspring of a synthesis run, the ancestor first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError

SCHEMA = "edgesynth.offspring/1"
RUN_SCHEMA = "edgesynth.run/1"


class Recipe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is needed to raise an offspring again, besides its parents' networks."""

    seeds: tuple[int, ...]
    """Run, generation, index, and from the second try on its number."""
    parents_sha256: tuple[str, ...]
    """Of the parents' weights, in the order of `Offspring.parent` and `Offspring.mate`."""
    genome: dict[str, object]
    """How it was drawn."""
    stress: str
    """During its training, as after `--stress`."""
    precision: dict[str, object]
    """That its weights were restricted to."""
    distill: float = 0.0
    """Share of the ancestor's outputs in the loss."""
    world: dict[str, object]
    """Data, their seed, and training."""
    threads: int
    """Of torch; sums are added in another order with another number."""
    versions: dict[str, str]


class Offspring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One synthesized network and what it costs. Generation 1 is the ancestor itself."""

    schema: str
    id: str
    """`g03-2`: generation 3, second offspring."""
    generation: int
    parent: str | None
    """`id` of the parent; None for the ancestor."""
    mate: str | None = None
    """`id` of the second parent, where there were two."""
    seed: int
    synapses: int
    """Live weights of convolutions and linear layers."""
    clusters: int
    """Live output channels and neurons of those layers."""
    params: int
    """Dense parameters after physical shrink, biases and normalization included."""
    macs: int
    """Dense multiply-accumulates of convolutions and linear layers for one inference."""
    size_bytes: int
    """Of the dense float32 parameters and buffers."""
    precision: str = "fp32"
    """The format that most weights have."""
    quantized_zeros: int = 0
    """Synapses that precision has rounded to zero; they count as live until the next synthesis."""
    weight_bytes: int | None = None
    """Of the live synapses alone in their format: no index, scales, biases. None in old runs."""
    weight_bytes_with_index: int | None = None
    """Of the live synapses, what says which they are, and scales. None in old runs."""
    accuracy_at_birth: float | None
    """On validation data, inherited weights, before any training; None for the ancestor."""
    accuracy: float
    """On validation data after training."""
    epochs: int
    seconds: float
    network: str
    """Path of its `.edgenet` folder, relative to the run folder."""
    weights_sha256: str = ""
    """Of `weights.safetensors` in that folder."""
    recipe: Recipe | None = None
    """None for the ancestor."""
    rejected: bool = False
    """True when it lost so much accuracy that it was sampled again."""
    requirements: list[dict[str, object]] = []
    """Verdicts, see `Verdict.document`."""
    selected: bool = False
    """True when natural selection chose it; not in the line itself, but from `run.json`."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of the parents: none, one or two."""
        return tuple(one for one in (self.parent, self.mate) if one is not None)


def in_birth_order(history: Iterable[Offspring]) -> list[Offspring]:
    """By generation, index and try, whichever of them was finished first."""
    return sorted(history, key=lambda one: (one.generation, one.recipe.seeds if one.recipe else ()))


class Run(msgspec.Struct, kw_only=True):
    """`run.json`: what a synthesis run was asked for and what it chose so far."""

    schema: str = RUN_SCHEMA
    status: str = "running"
    """`running` (or killed), or `finished`."""
    stopped: str = ""
    """Why it ended, in words."""
    command: str
    plan: dict[str, object]
    """All settings that shape the result; a resumed run must have the same."""
    parent: str
    """Name of the ancestor."""
    parent_sha256: str
    data: str
    versions: dict[str, str]
    selected: list[str] = []
    """Ids chosen by natural selection, one per generation, the ancestor first."""
    best: str | None = None
    """Id of the network that the run delivers, copied to `best.edgenet`."""
    test_accuracy: dict[str, float] = {}
    """Final figures on test data, by id: the ancestor and the best."""


def read_run(folder: Path) -> Run:
    """`run.json` of a run folder.

    Raises UserError naming the file and the field that is wrong.
    """
    path = folder / "run.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as error:
        raise UserError(f"run {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"run {path}: {error}") from None


def read_history(path: Path) -> list[Offspring]:
    """All complete lines of `history.jsonl`; a last line cut by a crash is dropped.

    `selected` is filled in from the `run.json` beside it, where there is one.

    Raises UserError naming the line that is malformed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"history {path} cannot be read: {error.strerror}") from None
    chosen = set(read_run(path.parent).selected) if (path.parent / "run.json").exists() else set()
    offspring = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            read = msgspec.json.decode(line, type=Offspring)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UserError(f"history {path}, line {number}: {error}; delete that line") from None
        offspring.append(msgspec.structs.replace(read, selected=read.id in chosen))
    return offspring
