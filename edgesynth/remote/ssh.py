"""Boards over the system's own `ssh`: the user's configuration, keys, agent and jump hosts.

Host keys are always checked. Only `ssh` itself is needed, on the board only its server: files
travel over the same connection (see `sync`), because `scp` quotes remote paths in two ways,
depending on its version, and neither it nor `sftp` verifies or reports progress to a program.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edgesynth.core.errors import DeviceError, EdgesynthError, MissingError, UserError, shown
from edgesynth.remote.transport import LostError, UnreachableError

_ADDRESS = re.compile(r"(ssh://)?[A-Za-z0-9_.][A-Za-z0-9_.@:%+\[\]-]*")
_LONGEST_SOCKET_FOLDER = 86
_SSH_FAILED = 255
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127

#: what stands in ssh's own words -> what happened, and what to do; the first that fits is told
_EXPLANATIONS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed",
        "the board's host key has changed{place}; if the board was flashed anew, remove the old "
        "key with `ssh-keygen -R {host}` and run `ssh {name}` once, else somebody may stand "
        "between",
    ),
    (
        "host key is known for|Host key verification failed",
        "the board's host key is not known; run `ssh {name}` once and compare the fingerprint",
    ),
    (
        "Permission denied|Too many authentication failures",
        "it refused the login ({last}); copy your key to it with `ssh-copy-id {name}`, or load "
        "the key with ssh-add",
    ),
    ("Could not resolve hostname", "its name is not known; is it written right?"),
    ("Connection refused", "nothing listens there; is its SSH server running, the port right?"),
    (
        "timed out|not responding",
        "it does not answer; is it switched on and in this network?",
    ),
    ("No route to host|Network is unreachable", "there is no way to it; is it in this network?"),
    ("bad configuration option|Bad owner or permissions", "ssh's own configuration: {last}"),
)

_BROKEN = re.compile(r"closed by|reset by|Broken pipe|mux_client|lost connection")


class SshTransport:
    """Starts programs on one board over one shared connection (OpenSSH's multiplexing).

    destination: what `ssh` takes, `[user@]host` or `ssh://[user@]host[:port]`, aliases of the
    user's configuration included. config: another configuration file (`ssh -F`).
    connect_timeout_s: seconds for a connection to stand. Raises UserError for a destination that
    is none, MissingError where there is no `ssh`.
    """

    def __init__(
        self, destination: str, *, config: Path | None = None, connect_timeout_s: float = 15.0
    ) -> None:
        if not _ADDRESS.fullmatch(destination):
            raise UserError(
                f'"{shown(destination)}" is no address of a board; write USER@HOST, a name from '
                "your ssh configuration, or local:"
            )
        program = shutil.which("ssh")
        if program is None:
            raise MissingError("there is no ssh; run: sudo apt-get install openssh-client")
        self.name = destination
        self._program = program
        self._config = config
        self._connect_timeout_s = max(1, round(connect_timeout_s))
        self._sockets: Path | None = None

    def start(self, argv: Sequence[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """See `Transport.start`; every word is quoted for the login shell of the board."""
        command = " ".join(shlex.quote(word) for word in argv)
        return subprocess.Popen(  # noqa: S603 - a list, no shell here
            [*self._ssh(), "--", self.name, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is ours: the board's side is ended first
        )

    def explain(self, exit_code: int, stderr: str) -> EdgesynthError:
        """See `Transport.explain`: ssh's words turned into one line with the remedy."""
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        last = shown(lines[-1], 200) if lines else "ssh said nothing"
        if exit_code != _SSH_FAILED:
            return self._explain_shell(exit_code, last)
        place = re.search(r"Offending .* in (\S+:\d+)", stderr)
        for pattern, sentence in _EXPLANATIONS:
            if re.search(pattern, stderr):
                text = sentence.format(
                    name=self.name,
                    host=self._host_name(stderr),
                    last=last,
                    place=f" (known one: {place.group(1)})" if place else "",
                )
                return UnreachableError(f"{self.name} cannot be reached: {text}")
        if not lines or _BROKEN.search(stderr):  # the shared connection died under this program
            return LostError(f"the connection to {self.name} broke ({last}); run again to go on")
        return UnreachableError(f"{self.name} cannot be reached: {last}")

    def close(self) -> None:
        """End the shared connection; it would end by itself a little later."""
        if self._sockets is None:
            return
        stop = [*self._ssh(), "-O", "exit", "--", self.name]
        try:
            subprocess.run(stop, capture_output=True, timeout=5, check=False)  # noqa: S603 - a list
        except subprocess.TimeoutExpired:
            pass
        finally:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def _explain_shell(self, exit_code: int, last: str) -> EdgesynthError:
        if exit_code in (_NOT_FOUND, _NOT_EXECUTABLE):
            return MissingError(
                f"{self.name} has no such Python ({last}); run there: sudo apt-get install "
                "python3, or name it with --python"
            )
        return DeviceError(
            f"{self.name} answered with something else (exit code {exit_code}: {last}); "
            f"does `ssh {self.name} python3 --version` work?"
        )

    def _host_name(self, stderr: str) -> str:
        """The name under which ssh keeps the key: `[host]:port` for another port than 22."""
        found = re.search(r"[Hh]ost key for (\S+) has changed", stderr)
        return shlex.quote(found.group(1)) if found else self.name.rpartition("@")[2]

    def _ssh(self) -> list[str]:
        """The program and its options; what the user's configuration must not undo stands here."""
        if self._sockets is None:
            self._sockets = _socket_folder()
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": str(self._connect_timeout_s),
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
            "ControlMaster": "auto",
            "ControlPath": f"{self._sockets}/c",
            "ControlPersist": "30",
            "RequestTTY": "no",
            "RemoteCommand": "none",
            "ClearAllForwardings": "yes",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "PermitLocalCommand": "no",
            "LogLevel": "ERROR",
        }
        words = [self._program]
        if self._config is not None:
            words += ["-F", str(self._config)]
        for key, value in options.items():
            words += ["-o", f"{key}={value}"]
        return words


def _socket_folder() -> Path:
    """A private folder for the connection's socket, whose path may only be short."""
    folder = Path(tempfile.mkdtemp(prefix="edgesynth-"))
    if len(str(folder)) <= _LONGEST_SOCKET_FOLDER:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="edgesynth-", dir="/tmp"))
