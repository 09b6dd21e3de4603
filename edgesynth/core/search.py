"""A search for networks that meet a requirement: `search.json` and `candidates.jsonl`, no torch.

A *candidate* is one network that was tried: trained shortly and judged. The *family* are the
networks that a search delivers, fully trained.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.errors import UserError

SCHEMA = "edgesynth.search/1"
CANDIDATE_SCHEMA = "edgesynth.candidate/1"
SEARCH, CANDIDATES = "search.json", "candidates.jsonl"
PROTOTYPE = "c00-0"
"""Id of the prototype, which is tried like every other network."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of `candidates.jsonl`."""

    schema: str = CANDIDATE_SCHEMA
    id: str
    """`c03-2`: cycle 3, second candidate."""
    cycle: int
    """Counted from 1; 0 is the prototype."""
    architecture: str
    """The same for the same genes."""
    choice: dict[str, float | int | str]
    """Gene -> value."""
    point: list[float]
    """Coordinates in the unit cube."""
    budget: str
    """What its training was."""
    same_as: str | None = None
    """Id of the candidate of the same architecture and budget that it was not tried again for."""
    accuracy: float
    """On validation data after the short training, a fraction."""
    accuracy_at_birth: float
    accuracy_midway: float | None = None
    stopped: bool = False
    """True when half of the training showed that the rest would not help."""
    params: int
    macs: int
    size_bytes: int
    weight_bytes: int
    predictions: dict[str, dict[str, float]] = {}
    """Device -> predicted measurements."""
    measured: dict[str, float] = {}
    """On the board of `--measure`."""
    utility: float | None
    """U, in dB; None where it is not defined."""
    score: float
    """U less the penalties for what the requirement lacks."""
    feasible: bool
    """Whether it meets the requirement as far as a short training tells, without the margin."""
    gaps: dict[str, float] = {}
    """Requirement -> how far it is missed, in dB; those that are met are left out."""
    foretold: float | None = None
    """Accuracy that the inquisitor foretold before it was trained."""
    reactions: list[list[float]] = []
    """Of the trained network, by stage; see `synthesis.generative.probe`."""
    seconds: float


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """What one cycle of a search found, and the generator that it began with."""

    number: int
    mu: list[float] = []
    sd: list[float] = []
    """Of the generator's distribution, by gene; empty where the search has none."""
    mean_utility: float | None
    best_score: float
    feasible: int
    candidates: int
    likely: float | None = None
    """Share of 64 fresh seeds that the inquisitor expects to meet the requirement."""


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fully trained network of the family."""

    id: str
    architecture: str
    choice: dict[str, float | int | str] = {}
    network: str
    """Its `.edgenet`, relative to the folder of the search."""
    accuracy: float
    """On validation data."""
    test_accuracy: float
    params: int
    macs: int
    size_bytes: int
    weight_bytes: int
    precision: str = "fp32"
    predictions: dict[str, dict[str, float]] = {}
    measured: dict[str, float] = {}
    utility: float | None
    netscore: float | None
    """Of the test accuracy."""
    requirements: list[dict[str, Any]] = []
    """Verdicts on validation data."""
    seed: int
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return all(verdict["holds"] is True for verdict in self.requirements)


class Search(msgspec.Struct, kw_only=True):
    """`search.json`: what was asked for, and what was found so far."""

    schema: str = SCHEMA
    status: str = "running"
    """`running` (or killed), or `finished`."""
    stopped: str = ""
    command: str
    plan: dict[str, Any]
    """All settings that shape the result; a resumed search must have the same."""
    prototype: str
    prototype_sha256: str
    data: str
    metric: str
    versions: dict[str, str]
    genes: list[dict[str, Any]] = []
    cycles: list[Cycle] = []
    recovery: float = 1.0
    """Share of what candidates lose after their short training that is lost after a full one."""
    rank_correlation: float | None = None
    """Spearman's, of foretold and found accuracy over candidates that the inquisitor had not
    seen."""
    foretold: int = 0
    """How many those are."""
    family: list[Member] = []
    """The prototype first."""
    best: str | None = None
    obstacles: list[str] = []
    """What stands in the way where nothing meets the requirement."""


def read_search(folder: Path) -> Search:
    """`search.json` in `folder`; raises UserError naming the file and what is wrong."""
    path = folder / SEARCH
    try:
        return msgspec.json.decode(path.read_bytes(), type=Search)
    except OSError as error:
        raise UserError(f"search {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"search {path}: {error}") from None


def read_candidates(path: Path) -> list[Candidate]:
    """All complete lines of `candidates.jsonl`; a last line cut by a crash is dropped.

    Raises UserError naming the line that is malformed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"candidates {path} cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            found.append(msgspec.json.decode(line, type=Candidate))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UserError(
                f"candidates {path}, line {number}: {error}; delete that line"
            ) from None
    return found


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval (95 %) of a share; (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    middle, scale = share + z * z / (2 * trials), 1 + z * z / trials
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def rank_correlation(first: list[float], second: list[float]) -> float | None:
    """Spearman's, ties at their mean rank; None below three pairs or where all are equal."""
    if len(first) < 3:
        return None
    a, b = _ranks(first), _ranks(second)
    mean = (len(a) + 1) / 2
    above = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    below = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return above / below if below else None


def _ranks(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(v) + (ordered.count(v) + 1) / 2 for v in values]
