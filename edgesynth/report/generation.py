"""A generative search, as a report reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.search import (
    CANDIDATES,
    PROTOTYPE,
    Candidate,
    Member,
    Search,
    read_candidates,
    read_search,
)
from edgesynth.report.record import Verdict


@dataclass(frozen=True)
class Generation:
    """One search or one family of a saved generator."""

    path: Path
    """Of `search.json`."""
    name: str
    search: Search
    candidates: tuple[Candidate, ...]
    """In order, the prototype first where there was a search."""

    @property
    def tried(self) -> list[Candidate]:
        """Every candidate but the prototype."""
        return [one for one in self.candidates if one.id != PROTOTYPE]

    @property
    def reference(self) -> Candidate | None:
        """The prototype after the short training."""
        return next((one for one in self.candidates if one.id == PROTOTYPE), None)

    @property
    def family(self) -> list[Member]:
        """The delivered networks, without the prototype."""
        return self.search.family[1:]

    @property
    def prototype(self) -> Member | None:
        """The prototype, fully trained."""
        return self.search.family[0] if self.search.family else None


def read_generation(path: Path) -> Generation:
    """The search in the folder of `search.json`.

    Raises UserError naming the file and the place when something in it is malformed.
    """
    folder = path.parent
    search = read_search(folder)
    lines = folder / CANDIDATES
    candidates = read_candidates(lines) if lines.exists() else []
    for one in candidates:
        if not 0 <= one.accuracy <= 1 or one.macs < 0 or one.params < 0:
            raise UserError(f"candidates {lines}: {one.id} has figures that cannot be")
    for member in search.family:
        try:
            msgspec.convert(member.requirements, list[Verdict])
        except msgspec.ValidationError as error:
            raise UserError(
                f"search {path}: {member.id} has a verdict that is none: {error}"
            ) from None
    ordered = sorted(candidates, key=lambda one: (one.cycle, int(one.id.rpartition("-")[2])))
    return Generation(path, folder.absolute().name, search, tuple(ordered))
