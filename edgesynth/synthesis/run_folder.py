"""The folder of a synthesis run: `run.json`, `history.jsonl`, `networks/`, `best.edgenet`.

An offspring's network is in place before its line is appended, and a line is appended in one
write, so a killed run loses at most the offspring in training.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.history import Offspring, Run, read_history, read_run
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth_rt.files import write_bytes


class RunFolder:
    """One run on disk."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.run = run
        self.history: list[Offspring] = []

    @classmethod
    def create(cls, folder: Path, run: Run) -> RunFolder:
        """A new run in `folder`.

        Raises UserError when there is one already.
        """
        if (folder / "run.json").exists():
            raise UserError(f"{folder} holds a run; add --resume, or choose another --out")
        try:
            (folder / "networks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder} cannot be made: {error.strerror}") from None
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
        if different:
            raise UserError(
                f"{folder} was started with another {', '.join(different)}; "
                "resume with the same settings, or choose another --out"
            )
        before.plan, before.status, before.stopped = run.plan, "running", ""
        resumed = cls(folder, before)
        path = folder / "history.jsonl"
        if path.exists():
            resumed.history = read_history(path)
            resumed._drop_cut_line(path)
        resumed.save()
        return resumed

    def find(self, identity: str) -> Offspring | None:
        """The finished offspring called `identity`."""
        return next((o for o in self.history if o.id == identity), None)

    def add(self, offspring: Offspring, network: Network) -> None:
        """Keep a finished offspring: its network first, then its line."""
        edgenet.save(network, self.folder / offspring.network)
        line = msgspec.json.encode(offspring) + b"\n"
        try:
            with (self.folder / "history.jsonl").open("ab") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written: {error.strerror}") from None
        self.history.append(offspring)

    def load(self, offspring: Offspring, trust: tuple[str, ...]) -> Network:
        """The network of a finished offspring."""
        return edgenet.load(self.folder / offspring.network, trust=trust)

    def save(self) -> None:
        """Write `run.json`."""
        text = msgspec.json.format(msgspec.json.encode(self.run), indent=2)
        write_bytes(self.folder / "run.json", text + b"\n")

    def _drop_cut_line(self, path: Path) -> None:
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            write_bytes(path, whole)
        finished = {Path(o.network).name for o in self.history}
        for folder in (self.folder / "networks").glob("*"):
            if folder.name not in finished:  # saved, but killed before its line was written
                shutil.rmtree(folder, ignore_errors=True)
