"""Sending files to a board: only what changed, and from where a broken connection left off.

One question finds out which files are there already (by SHA-256) and how far earlier attempts
got. Files grow under temporary names and are renamed when the board has verified their hash.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesynth.core.errors import DeviceError, UserError
from edgesynth.remote.board import Board
from edgesynth.remote.conversation import Event
from edgesynth.remote.transport import LostError
from edgesynth_rt.fields import Field
from edgesynth_rt.files import sha256_of

_PAUSE_S = 0.5
_BLOCK = 1 << 18
_SPARE_BYTES = 16 << 20
"""Left free on the board's disk."""


@dataclass(frozen=True)
class Outgoing:
    """A file to send; `sha256` in hexadecimal."""

    source: Path
    sha256: str
    size: int

    @classmethod
    def of(cls, source: Path) -> Outgoing:
        """The file at `source` as it is now. Raises UserError when it cannot be read."""
        try:
            return cls(source, sha256_of(source), source.stat().st_size)
        except OSError as error:
            raise UserError(f"{source} cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class Sent:
    """What a push did: `files` and `bytes` went over, `kept` files were there already."""

    root: str
    files: int
    bytes: int
    kept: int
    python: str
    machine: str


def push(
    board: Board,
    files: Mapping[str, Outgoing],
    *,
    watch: Callable[[int, int], None] = lambda sent, total: None,
    attempts: int = 4,
) -> Sent:
    """Bring `files` (by their path below the remote folder) to the board.

    A broken connection is taken up again, at most `attempts` - 1 times. `watch` receives
    bytes sent and bytes in all. Raises DeviceError when the board is out of reach, its disk too
    small or the connection hopeless, UserError when a path or a source file is wrong.
    """
    journey = _Journey(watch)
    for attempt in range(1, attempts + 1):
        try:
            return _push_once(board, files, journey)
        except LostError:
            if attempt == attempts:
                raise
            time.sleep(_PAUSE_S * attempt)
    raise ValueError("attempts is at least 1")


@dataclass
class _Journey:
    """What has gone over so far, in all attempts."""

    watch: Callable[[int, int], None]
    files: int = 0
    bytes: int = 0


def _push_once(board: Board, files: Mapping[str, Outgoing], journey: _Journey) -> Sent:
    plan = board.answer(_plan(board, files))
    have = {field.text() for field in plan["have"].items()}
    begun = {path: field.integer(0, files[path].size) for path, field in _partial(plan, files)}
    offsets = {path: begun.get(path, 0) for path in files if path not in have}
    if offsets:
        total = sum(files[path].size - offset for path, offset in offsets.items())
        _refuse_full(board, total, plan["free_bytes"].integer(0, 1 << 62))
        _put(board, files, offsets, journey)
    return Sent(
        root=plan["root"].text(),
        files=journey.files,
        bytes=journey.bytes,
        kept=len(files) - journey.files,
        python=plan["python"].text(),
        machine=plan["machine"].text(),
    )


def _partial(plan: Field, files: Mapping[str, Outgoing]) -> list[tuple[str, Field]]:
    return [(path, field) for path, field in plan["partial"].members() if path in files]


def _plan(board: Board, files: Mapping[str, Outgoing]) -> Event:
    listed = [
        {"path": path, "size": file.size, "sha256": file.sha256} for path, file in files.items()
    ]
    return board.ask({"do": "plan", "files": listed})


def _put(
    board: Board,
    files: Mapping[str, Outgoing],
    offsets: Mapping[str, int],
    journey: _Journey,
) -> None:
    """Send the files of `offsets` from there on."""
    total = journey.bytes + sum(files[path].size - offset for path, offset in offsets.items())

    def payload() -> Iterator[bytes]:
        for path, offset in offsets.items():
            for block in _blocks(files[path], offset):
                yield block
                journey.bytes += len(block)
                journey.watch(journey.bytes, total)

    def hear(event: Event) -> None:
        journey.files += "stored" in event

    listed = [
        {
            "path": path,
            "size": files[path].size,
            "sha256": files[path].sha256,
            "offset": offset,
        }
        for path, offset in offsets.items()
    ]
    board.ask({"do": "put", "files": listed}, payload=payload(), hear=hear)


def _blocks(file: Outgoing, offset: int) -> Iterator[bytes]:
    """The file's bytes from `offset` on, exactly as many as were hashed."""
    left = file.size - offset
    with file.source.open("rb") as stream:
        stream.seek(offset)
        while left:
            block = stream.read(min(left, _BLOCK))
            if not block:
                raise UserError(f"{file.source} was changed while it was sent; run again")
            left -= len(block)
            yield block


def _refuse_full(board: Board, needed: int, free: int) -> None:
    if needed + _SPARE_BYTES > free:
        raise DeviceError(
            f"{board.name} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are to be sent; "
            "free some space there, or give another --remote-dir"
        )
