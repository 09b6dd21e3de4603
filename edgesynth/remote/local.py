"""This machine as if it were a board: the whole way of a deployment without a network."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO

from edgesynth.core.errors import DeviceError, EdgesynthError, MissingError, shown

ADDRESS = "local:"


class LocalTransport:
    """Starts programs here, each in a session of its own as a login on a board would be."""

    name = ADDRESS

    def start(self, argv: Sequence[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """See `Transport.start`. Raises MissingError when the program cannot be started."""
        try:
            return subprocess.Popen(  # noqa: S603 - a list, no shell
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingError(
                f"{argv[0]} cannot be run on this machine: {error.strerror}; "
                "name another Python with --python"
            ) from None

    def explain(self, exit_code: int, stderr: str) -> EdgesynthError:
        """See `Transport.explain`."""
        last = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        return DeviceError(f"python ended with {exit_code} on this machine: {shown(last)}")

    def close(self) -> None:
        """Nothing is kept open."""
