"""The folder of a search: `search.json`, `candidates.jsonl`, `networks/`, `NAME.generator`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.search import (
    CANDIDATES,
    SEARCH,
    Candidate,
    Search,
    read_candidates,
    read_search,
)
from edgesynth.synthesis.ledger import Ledger, drop_unfinished_writes, refuse_other_settings
from edgesynth.synthesis.parcel import Parcel, write_parcel
from edgesynth_rt.files import write_bytes


class SearchFolder(AbstractContextManager["SearchFolder"]):
    """One search on disk, locked until the context is left."""

    def __init__(self, folder: Path, search: Search) -> None:
        """Raises UserError when it cannot be written or another process works on it."""
        self.folder, self.search = folder, search
        self.candidates: list[Candidate] = []
        self._ledger = Ledger(folder / CANDIDATES)

    def __exit__(self, *_: object) -> None:
        self._ledger.__exit__()

    @classmethod
    def create(cls, folder: Path, search: Search) -> SearchFolder:
        """A new search in `folder`; raises UserError when there is one already."""
        if (folder / SEARCH).exists():
            raise UserError(f"{folder} holds a search; add --resume, or choose another --out")
        created = cls(folder, search)
        created.save()
        return created

    @classmethod
    def resume(cls, folder: Path, search: Search) -> SearchFolder:
        """The search in `folder`, to go on.

        Raises UserError when it was started with other settings.
        """
        before = read_search(folder)
        asked = msgspec.json.decode(msgspec.json.encode(search.plan))
        different = [name for name, value in before.plan.items() if asked.get(name) != value]
        if before.prototype_sha256 != search.prototype_sha256:
            different.append("prototype")
        refuse_other_settings(folder, different)
        before.plan, before.status, before.stopped = search.plan, "running", ""
        resumed = cls(folder, before)
        resumed._drop_unfinished()
        resumed.save()
        return resumed

    def find(self, identity: str) -> Candidate | None:
        """The finished candidate called `identity`."""
        return next((one for one in self.candidates if one.id == identity), None)

    def add(self, candidate: Candidate) -> None:
        """Keep a finished candidate."""
        self._ledger.append(msgspec.json.encode(candidate))
        self.candidates.append(candidate)

    def keep_network(self, parcel: Parcel, relative: str) -> None:
        """Write a network below the folder; one that is there is replaced."""
        write_parcel(parcel, self.folder / relative)

    def save(self) -> None:
        """Write `search.json`."""
        text = msgspec.json.format(msgspec.json.encode(self.search), indent=2)
        write_bytes(self.folder / SEARCH, text + b"\n")

    def _drop_unfinished(self) -> None:
        path = self.folder / CANDIDATES
        self.candidates = read_candidates(path)
        self._ledger.cut()
        drop_unfinished_writes(self.folder)
