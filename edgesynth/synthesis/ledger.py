"""A file of lines that grows by one finished piece of work at a time, locked by who works on it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edgesynth.core.errors import UserError


class Ledger(AbstractContextManager["Ledger"]):
    """One `.jsonl` file; a line is appended in one write, so a killed process loses the last at
    most."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when it cannot be written or another process works on it."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lines = path.open("ab")
        except OSError as error:
            raise UserError(f"{path.parent} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lines.close()
            raise UserError(
                f"{path.parent}: another edgesynth works on this run; wait for it"
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def append(self, line: bytes) -> None:
        """Write one line, which must hold no line break, and see it to the disk."""
        try:
            self._lines.write(line + b"\n")
            self._lines.flush()
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise UserError(f"{self.path.parent} cannot be written: {error.strerror}") from None

    def cut(self) -> None:
        """Take off a last line that a killed process left unfinished."""
        os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)


def refuse_other_settings(folder: Path, different: Sequence[str]) -> None:
    """Raises UserError naming the settings that a resumed run does not share with its start."""
    if different:
        raise UserError(
            f"{folder} was started with another {', '.join(different)}; "
            "resume with the same settings, or choose another --out"
        )


def drop_unfinished_writes(folder: Path) -> None:
    """Remove what a killed process had not renamed yet."""
    for left in (*folder.glob(".part-*"), *folder.glob(".old-*")):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
