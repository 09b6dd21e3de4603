"""The contract of a transport: it starts a program on a board and explains why it could not.

Everything else (sending, fetching, running with a time limit) is said over the standard streams
of that one program, so every transport offers the same, see `conversation` and `board`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO, Protocol

from edgesynth.core.errors import DeviceError, EdgesynthError


class Transport(Protocol):
    """A way to start programs on one board."""

    @property
    def name(self) -> str:
        """The board as the user wrote it, for messages."""

    def start(self, argv: Sequence[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start `argv` on the board, stdin and stdout as unbuffered pipes, stderr into the file.

        Every word of `argv` arrives as it is, whatever characters it holds.
        """

    def explain(self, exit_code: int, stderr: str) -> EdgesynthError:
        """The error for a program that ended without having answered."""

    def close(self) -> None:
        """End what the transport keeps open; safe to call twice."""


class UnreachableError(DeviceError):
    """There was no connection at all: nothing has happened on the board."""


class LostError(DeviceError):
    """The connection broke after it had worked: what was sent so far is kept on the board."""


class Cancelled(Exception):  # noqa: N818 - not an error: the user wants to stop
    """The user interrupted; the program on the board has been ended."""
