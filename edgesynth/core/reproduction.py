"""What a reproduction of a paper finds: one row per network, and what the rows say together.

A *rival* is one way to make a network smaller. Each has one lineage per seed, and all lineages of a
seed descend from the same trained ancestor, which is generation 1.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError

ANCESTOR = "ancestor"
"""The rival of the row that every lineage of a seed begins with."""
SIZES = ("synapses", "clusters", "params", "macs", "weight_bytes", "weight_bytes_with_index")
"""What is given as "times fewer than the ancestor has"."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One network of one lineage, a line of `rows.jsonl`."""

    seed: int
    rival: str
    generation: int
    synapses: int
    """Live weights of convolutions and linear layers."""
    clusters: int
    params: int
    """Dense, after physical shrink."""
    macs: int
    """Dense, for one inference."""
    weight_bytes: int
    """Live weights in their format."""
    weight_bytes_with_index: int
    """With what says which weights live, and scales."""
    quantized_zeros: int = 0
    precision: str = "fp32"
    accuracy_at_birth: float | None = None
    """Before any training; None for an ancestor."""
    accuracy: float
    """After training. Both on validation data, fractions."""
    test_accuracy: float
    latency_p50_ms: float | None = None
    """Measured here with ONNX Runtime on one thread, batch 1."""
    ancestor_latency_p50_ms: float | None = None
    """The ancestor's, measured in turns with it."""
    latency_not_measured: str = ""
    predicted: dict[str, dict[str, dict[str, float]]] = {}
    """Board -> precision of the engine -> predicted measurements."""
    not_predicted: dict[str, str] = {}
    """Board -> why its energy is not."""
    onnx_params: int | None = None
    onnx_macs: int | None = None
    logits_error: float | None = None
    """Largest difference, relative to the largest logit, between the shrunken network in ONNX
    Runtime and the unshrunken one with its dead clusters masked."""
    drawn: dict[str, float] = {}
    """What the draw should have kept by the rule: `kept`, `expected` and `sigma`, in synapses."""
    epochs: int
    seconds: float
    network: str
    """Its `.edgenet`, relative to the folder of the results."""
    weights_sha256: str


def read_rows(path: Path) -> list[Row]:
    """All complete lines of `rows.jsonl`; none when there is no such file.

    Raises UserError naming the line that is malformed.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise UserError(f"results {path} cannot be read: {error.strerror}") from None
    rows = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            rows.append(msgspec.json.decode(line, type=Row))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UserError(f"results {path}, line {number}: {error}; delete that line") from None
    return rows


class Spread(msgspec.Struct, frozen=True):
    """One figure over seeds."""

    mean: float
    low: float
    high: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One rival at one generation, over all seeds that have it."""

    rival: str
    generation: int
    seeds: list[int]
    fewer: dict[str, Spread]
    """Times fewer than the ancestor of the same seed, by `SIZES`."""
    sizes: dict[str, float]
    """Means, by `SIZES`."""
    accuracy_at_birth: Spread | None
    accuracy: Spread
    test_accuracy: Spread
    lost_points: Spread
    """Test accuracy below the ancestor of the same seed."""
    faster: Spread | None
    """Measured p50 latency of the ancestor over its own."""


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """One `Summary` per rival and generation, the ancestor first, then in the order of the rows.

    Rows of a seed whose ancestor is not there are left out.
    """
    ancestors = {row.seed: row for row in rows if row.rival == ANCESTOR}
    known = [row for row in rows if row.seed in ancestors]
    order = list(dict.fromkeys([ANCESTOR, *(row.rival for row in known)]))
    found = []
    for rival in order:
        mine = [row for row in known if row.rival == rival]
        for generation in sorted({row.generation for row in mine}):
            here = [row for row in mine if row.generation == generation]
            found.append(_summary(here, ancestors))
    return found


def _summary(rows: Sequence[Row], ancestors: dict[int, Row]) -> Summary:
    births = [row.accuracy_at_birth for row in rows if row.accuracy_at_birth is not None]
    faster = [
        row.ancestor_latency_p50_ms / row.latency_p50_ms
        for row in rows
        if row.ancestor_latency_p50_ms and row.latency_p50_ms
    ]
    return Summary(
        rival=rows[0].rival,
        generation=rows[0].generation,
        seeds=sorted(row.seed for row in rows),
        fewer={
            key: spread(getattr(ancestors[row.seed], key) / getattr(row, key) for row in rows)
            for key in SIZES
        },
        sizes={key: statistics.mean(getattr(row, key) for row in rows) for key in SIZES},
        accuracy_at_birth=spread(births) if births else None,
        accuracy=spread(row.accuracy for row in rows),
        test_accuracy=spread(row.test_accuracy for row in rows),
        lost_points=spread(
            100 * (ancestors[row.seed].test_accuracy - row.test_accuracy) for row in rows
        ),
        faster=spread(faster) if faster else None,
    )


def spread(values: Iterable[float]) -> Spread:
    """Mean and ends of `values`, of which there is at least one."""
    kept = list(values)
    return Spread(statistics.mean(kept), min(kept), max(kept))


@dataclass(frozen=True)
class Check:
    """One claim that a reproduction checks."""

    name: str
    claim: str
    holds: bool | None
    """None where the rows do not tell, see `found`."""
    found: str

    def document(self) -> dict[str, object]:
        """As it stands in `result.json`."""
        return {"check": self.name, "claim": self.claim, "holds": self.holds, "found": self.found}


def of_rival(summaries: Sequence[Summary], rival: str) -> dict[int, Summary]:
    """The generations of `rival`, by number."""
    return {one.generation: one for one in summaries if one.rival == rival}
