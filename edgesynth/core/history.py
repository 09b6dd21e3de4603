"""`history.jsonl`: one line per offspring of a synthesis run, the ancestor first."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError

SCHEMA = "edgesynth.offspring/1"


class Offspring(msgspec.Struct, frozen=True, kw_only=True):
    """One synthesized network and what it costs. Generation 1 is the ancestor itself."""

    schema: str = SCHEMA
    id: str
    """`g03-2`: generation 3, second offspring."""
    generation: int
    parent: str | None
    """`id` of the parent; None for the ancestor."""
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
    accuracy_at_birth: float | None
    """On validation data, inherited weights, before any training; None for the ancestor."""
    accuracy: float
    """On validation data after training."""
    selected: bool
    """True when this offspring became the parent of the next generation."""
    epochs: int
    seconds: float
    network: str
    """Path of its `.edgenet` folder, relative to the run folder."""
    requirements: list[dict[str, object]] = []
    """Verdicts, see `Verdict.document`."""


def read_history(path: Path) -> list[Offspring]:
    """All complete lines of `history.jsonl`; a last line cut by a crash is dropped.

    Raises UserError naming the line that is malformed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"history {path} cannot be read: {error.strerror}") from None
    offspring = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            offspring.append(msgspec.json.decode(line, type=Offspring))
        except msgspec.DecodeError as error:
            raise UserError(f"history {path}, line {number}: {error}; delete that line") from None
    return offspring
