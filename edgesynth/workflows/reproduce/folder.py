"""The folder of a reproduction: `settings.json`, `rows.jsonl` and one `.edgenet` per row.

Several processes may work in it, each on lineages of its own; their rows add up. A row is appended
in one write after its network is in place, so a killed run loses at most the network in training.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.reproduction import ANCESTOR, Row, read_rows
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth_rt.files import read_json, write_json


class Folder:
    """Results on disk."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        """Makes the folder, or takes up what is in it.

        Raises UserError when it cannot be written or holds results of other settings.
        """
        self.path = path
        try:
            (path / "networks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None
        with _locked(path / "networks", wait=True):
            self._settle(settings)

    def _settle(self, settings: dict[str, Any]) -> None:
        place = self.path / "settings.json"
        if not place.exists():
            write_json(str(place), settings)
            return
        before = read_json(str(place), "settings")
        different = sorted(_differing(before, msgspec.to_builtins(settings)))
        if different:
            raise UserError(
                f"{self.path} holds results with another {', '.join(different)}; give the same "
                "settings, or choose another --out"
            )

    def rows(self) -> list[Row]:
        """Every finished network."""
        return read_rows(self.path / "rows.jsonl")

    def find(self, seed: int, rival: str, generation: int) -> Row | None:
        """The row of one network, if it is finished."""
        wanted = (seed, rival, generation)
        rows = self.rows()
        return next((r for r in rows if (r.seed, r.rival, r.generation) == wanted), None)

    def network_of(self, seed: int, rival: str, generation: int) -> str:
        """Where the network of a row lies, relative to the folder."""
        return f"networks/s{seed}/{rival}/g{generation:02d}.edgenet"

    def load(self, row: Row) -> Network:
        """The network of a finished row."""
        return edgenet.load(self.path / row.network)

    def add(self, row: Row) -> None:
        """Append a row whose network is saved; half a line of a killed process is cut off."""
        place = self.path / "rows.jsonl"
        try:
            with place.open("ab") as lines:
                fcntl.flock(lines, fcntl.LOCK_EX)
                data = place.read_bytes()
                if data and not data.endswith(b"\n"):
                    os.truncate(place, data.rfind(b"\n") + 1)
                lines.write(msgspec.json.encode(row) + b"\n")
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise UserError(f"{place} cannot be written: {error.strerror}") from None

    def end(self, seed: int, rival: str, generation: int, reason: str) -> None:
        """Note that a lineage cannot reach `generation`."""
        place = self.path / "networks" / f"s{seed}" / rival / "ended.json"
        told = {"seed": seed, "rival": rival, "generation": generation, "reason": reason}
        write_json(str(place), told)

    def ended(self) -> list[dict[str, Any]]:
        """The lineages that could not go on, and why."""
        places = sorted(self.path.glob("networks/s*/*/ended.json"))
        return [read_json(str(place), "end of a lineage") for place in places]

    @contextmanager
    def lineage(self, seed: int, rival: str) -> Iterator[None]:
        """Work on one lineage, which no other process then does.

        Raises UserError when another does; the ancestor, which all wait for, is waited for.
        """
        place = self.path / "networks" / f"s{seed}" / rival
        place.mkdir(parents=True, exist_ok=True)
        with _locked(place, wait=rival == ANCESTOR):
            yield


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(f"{folder}: another edgesynth works on this lineage") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _differing(before: dict[str, Any], now: dict[str, Any], path: str = "") -> Iterator[str]:
    """Dotted names of what differs."""
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(old, new, f"{path}{key}.")
        elif old != new:
            yield f"{path}{key}"
