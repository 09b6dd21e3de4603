"""The folder of a synthesis run: `run.json`, `history.jsonl`, `networks/`, `best.edgenet`.

An offspring's network is in place before its line is appended, and a line is appended in one
write, so a killed run loses at most the offspring in training. The history is locked while a
process works on the run.
"""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.history import Offspring, Run, read_history, read_run
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.synthesis.ledger import Ledger, drop_unfinished_writes, refuse_other_settings
from edgesynth.synthesis.parcel import Parcel, read_parcel, write_parcel
from edgesynth_rt.files import write_bytes


class RunFolder(AbstractContextManager["RunFolder"]):
    """One run on disk, locked until the context is left."""

    def __init__(self, folder: Path, run: Run) -> None:
        """Raises UserError when the folder cannot be written or another process works on it."""
        self.folder = folder
        self.run = run
        self.history: list[Offspring] = []
        try:
            (folder / "networks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}") from None
        self._ledger = Ledger(folder / "history.jsonl")

    def __exit__(self, *_: object) -> None:
        self._ledger.__exit__()

    @classmethod
    def create(cls, folder: Path, run: Run) -> RunFolder:
        """A new run in `folder`.

        Raises UserError when there is one already.
        """
        if (folder / "run.json").exists():
            raise UserError(f"{folder} holds a run; add --resume, or choose another --out")
        created = cls(folder, run)
        created.save()
        return created

    @classmethod
    def resume(cls, folder: Path, run: Run) -> RunFolder:
        """The run in `folder`, to go on; more generations than before may be asked for.

        Raises UserError when it was started with other settings.
        """
        before = read_run(folder)
        asked = {**msgspec.to_builtins(run.plan), "generations": before.plan.get("generations")}
        different = [name for name, value in before.plan.items() if asked.get(name) != value]
        if before.parent_sha256 != run.parent_sha256:
            different.append("parent")
        refuse_other_settings(folder, different)
        before.plan, before.status, before.stopped = run.plan, "running", ""
        resumed = cls(folder, before)
        resumed._drop_unfinished()
        resumed.save()
        return resumed

    def find(self, identity: str) -> Offspring | None:
        """The finished offspring called `identity`."""
        return next((o for o in self.history if o.id == identity), None)

    def add(self, offspring: Offspring, parcel: Parcel) -> None:
        """Keep a finished offspring: its network first, then its line."""
        write_parcel(parcel, self.folder / offspring.network)
        self._ledger.append(msgspec.json.encode(offspring))
        self.history.append(offspring)

    def parcel(self, offspring: Offspring) -> dict[str, bytes]:
        """The network of a finished offspring, to be sent to a worker."""
        return read_parcel(self.folder / offspring.network)

    def load(self, offspring: Offspring, trust: tuple[str, ...]) -> Network:
        """The network of a finished offspring."""
        return edgenet.load(self.folder / offspring.network, trust=trust)

    def save(self) -> None:
        """Write `run.json`."""
        text = msgspec.json.format(msgspec.json.encode(self.run), indent=2)
        write_bytes(self.folder / "run.json", text + b"\n")

    def _drop_unfinished(self) -> None:
        """Cut a half line off the history, and remove networks and files without one."""
        path = self.folder / "history.jsonl"
        self.history = read_history(path)
        self._ledger.cut()
        finished = {Path(one.network).name for one in self.history}
        for network in (self.folder / "networks").iterdir():
            if network.name not in finished:  # saved, but killed before its line was written
                shutil.rmtree(network, ignore_errors=True)
        drop_unfinished_writes(self.folder)
