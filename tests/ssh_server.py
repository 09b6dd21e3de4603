"""A real OpenSSH server on loopback, and an ssh configuration that knows only it.

Nothing of the user's is read or written: own keys, own configuration files, a free high port, and
a home folder of its own for whoever logs in.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
ABSENT = "no sshd: deployment over SSH is not tested; run: sudo apt-get install openssh-server"
PRIVILEGE_SEPARATION = Path("/run/sshd")


class SshServer:
    """A running server. `config` is for `ssh -F`; `home` is where its users land.

    Aliases in `config`: board (works), changed (another host key is known), unknown (no host key
    is known), stranger (a key that the server does not know), closed (nothing listens).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.port = free_port()
        self.config = folder / "ssh_config"
        for name in ("host_key", "other_host_key", "user_key", "stranger_key"):
            _make_key(folder / name)
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        self._write_server_config()
        self._write_client_config()
        if os.getuid() == 0:
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        self._log = (folder / "sshd.log").open("wb")
        assert SSHD is not None
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
            stderr=self._log,
            start_new_session=True,
        )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """End the server and every session it still has."""
        self.cut()
        self.process.terminate()
        self.process.wait(10)
        self._log.close()

    def cut(self) -> None:
        """Kill the server's side of every connection, as a board does that loses its power."""
        for pid in descendants(self.process.pid):
            if "sshd" in command_of(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def add_alias(self, name: str, port: int) -> None:
        """Another way to this server, for instance through a proxy."""
        with self.config.open("a") as stream:
            stream.write(_alias(self.folder, name, port))

    def _write_server_config(self) -> None:
        path = os.environ["PATH"]
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/sshd.pid",
            "StrictModes no",  # the folders above are the test's own
            "UsePAM no",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            f'SetEnv HOME={self.home} "PATH={self.folder}/bin:{path}"',
        ]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")

    def _write_client_config(self) -> None:
        key = (self.folder / "host_key.pub").read_text()
        other = (self.folder / "other_host_key.pub").read_text()
        (self.folder / "known").write_text(f"loopback {key}")
        (self.folder / "known_changed").write_text(f"loopback {other}")
        (self.folder / "known_none").write_text("")
        folder = self.folder
        self.config.write_text(
            _alias(folder, "board", self.port)
            + _alias(folder, "changed", self.port, known="known_changed")
            + _alias(folder, "unknown", self.port, known="known_none")
            + _alias(folder, "stranger", self.port, key="stranger_key")
            + _alias(folder, "closed", free_port())
        )

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError("sshd does not start: " + (self.folder / "sshd.log").read_text())


class CuttingProxy:
    """Forwards connections to `port` and breaks the first `times` after `after` bytes sent there.

    `cuts` counts what it has broken; further connections pass whole. `after=0` never answers.
    """

    def __init__(self, port: int, after: int, times: int = 1) -> None:
        self.cuts = 0
        self._target, self._after, self._times = port, after, times
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._clients: list[socket.socket] = []
        self._start(self._accept)

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *exception: object) -> None:
        for side in (self._listener, *self._clients):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for side in (self._listener, *self._clients):
            side.close()

    def _start(self, work: Callable[..., object], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                if self._after:
                    self._start(self._forward, client)

    def _forward(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            back = self._start(_pump, server, client, None)
            doomed = self.cuts < self._times
            if _pump(client, server, self._after if doomed else None):
                self.cuts += 1
            back.join()


def _pump(source: socket.socket, sink: socket.socket, most: int | None) -> bool:
    """Copy until the end, or cut both sides after `most` bytes; returns whether it cut."""
    passed = 0
    with suppress(OSError):
        while block := source.recv(1 << 14):
            passed += len(block)
            if most is not None and passed > most:
                break
            sink.sendall(block)
    for side in (source, sink):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
    return most is not None and passed > most


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Every process below `pid`."""
    found, level = [], [pid]
    while level:
        level = [child for parent in level for child in _children(parent)]
        found += level
    return found


def _children(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listing.stdout.split()]


def command_of(pid: int) -> str:
    """The words of a process's command, joined by blanks."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def _make_key(path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True
    )


def _alias(
    folder: Path, name: str, port: int, *, key: str = "user_key", known: str = "known"
) -> str:
    lines = [
        f"Host {name}",
        "  HostName 127.0.0.1",
        f"  Port {port}",
        f"  User {getpass.getuser()}",
        f"  IdentityFile {folder}/{key}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {folder}/{known}",
        "  GlobalKnownHostsFile none",
        "  HostKeyAlias loopback",
    ]
    return "\n".join(lines) + "\n"
