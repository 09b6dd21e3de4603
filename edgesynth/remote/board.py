"""A board and its remote folder: run programs there, fetch files, remove what was made."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgesynth.core.errors import DeviceError, UserError, shown
from edgesynth.remote.conversation import Event, converse
from edgesynth.remote.transport import Transport
from edgesynth_rt.fields import Field

REMOTE_FOLDER = "~/.cache/edgesynth/deploy"
SHORT_S = 60.0
"""For what needs no computing on the board."""


@dataclass(frozen=True)
class Finished:
    """What a program left: its exit code and all of its standard output."""

    exit_code: int
    out: str


class Board:
    """One board through `transport`, working in the folder `root` there (made when needed).

    python: the board's interpreter, 3.6 or newer. timeout_s: the limit of one step, see
    `converse`. cancel: set it to end whatever runs. Use as a context manager.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        root: str = REMOTE_FOLDER,
        python: str = "python3",
        timeout_s: float = 1800.0,
        cancel: threading.Event | None = None,
    ) -> None:
        if python.startswith("-") or not python.isprintable() or not python:
            raise UserError(f'"{shown(python)}" is no program; name the Python of the board')
        if not root or not root.isprintable():
            raise UserError(f'"{shown(root)}" is no folder; name one with --remote-dir')
        self.transport = transport
        self.root = root
        self.python = python
        self.timeout_s = timeout_s
        self._cancel = cancel

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *exception: object) -> None:
        self.transport.close()

    @property
    def name(self) -> str:
        """The board as the user wrote it."""
        return self.transport.name

    def ask(
        self,
        request: Event,
        *,
        hear: Callable[[Event], None] = lambda event: None,
        payload: Iterable[bytes] = (),
        timeout_s: float | None = None,
        heed_cancel: bool = True,
    ) -> Event:
        """One conversation about the remote folder; see `converse` for what it raises."""
        return converse(
            self.transport,
            self.python,
            {**request, "root": self.root},
            timeout_s=timeout_s or self.timeout_s,
            hear=hear,
            payload=payload,
            cancel=self._cancel if heed_cancel else None,
        )

    def answer(self, event: Event) -> Field:
        """The fields of what the board said, which nobody has checked yet."""
        return Field(event, f"the answer of {self.name}", "run again")

    def run(
        self,
        argv: Sequence[str],
        *,
        hear: Callable[[str], None] = lambda line: None,
        env: Mapping[str, str] | None = None,
        results: str | None = None,
    ) -> Finished:
        """Run `argv` in the remote folder; `hear` receives each line of its standard error.

        env: further variables; results: a folder below the remote one that is made beforehand.

        The program and its children end with the conversation: done, timed out or cancelled.
        """
        done = self.ask(
            {"do": "run", "argv": list(argv), "env": dict(env or {}), "results": results},
            hear=lambda event: hear(shown(str(event.get("talk", "")), 200)),
        )
        return Finished(self.answer(done)["exit"].integer(0, 255), str(done.get("out", "")))

    def names(self, path: str) -> set[str]:
        """The names of the files in the folder at `path` below the remote folder."""
        done = self.ask({"do": "list", "path": path}, timeout_s=SHORT_S)
        return {name for name, _ in self.answer(done)["files"].members()}

    def get(self, path: str, *, most: int) -> bytes:
        """The file at `path` below the remote folder, at most `most` bytes, hash verified."""
        data = bytearray()

        def hear(event: Event) -> None:
            try:
                data.extend(base64.b64decode(event["data"], validate=True))
            except (KeyError, TypeError, ValueError):
                raise DeviceError(f"{path} arrived damaged from {self.name}; run again") from None
            if len(data) > most:
                raise DeviceError(f"{self.name} sends more of {path} than the {most} bytes allowed")

        done = self.ask({"do": "get", "path": path, "most": most}, hear=hear)
        if hashlib.sha256(data).hexdigest() != done.get("sha256"):
            raise DeviceError(f"{path} arrived damaged from {self.name}; run again")
        return bytes(data)

    def remove(self, path: str) -> None:
        """Remove the file or folder at `path` below the remote folder."""
        self.ask({"do": "remove", "path": path}, timeout_s=SHORT_S)

    def clean(self) -> None:
        """Remove the remote folder, and the folders above it that were made for it.

        Does so after an interruption as well.
        """
        self.ask({"do": "clean"}, timeout_s=SHORT_S, heed_cancel=False)
