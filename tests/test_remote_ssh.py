"""Reaching a board over a real OpenSSH server on loopback: keys, quoting, sending, stopping."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesynth.core.errors import DeviceError, EdgesynthError, MissingError, UserError
from edgesynth.remote.board import Board
from edgesynth.remote.ssh import SshTransport
from edgesynth.remote.sync import Outgoing, push
from edgesynth.remote.transport import Cancelled, LostError
from ssh_server import ABSENT, SSHD, CuttingProxy, SshServer

pytestmark = pytest.mark.skipif(SSHD is None, reason=ABSENT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    server = SshServer(tmp_path_factory.mktemp("ssh"))
    yield server
    server.stop()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """The remote folder, under a name that a shell would take apart."""
    return tmp_path / 'on the board\'s "disk" $HOME; `id` *' / "deep"


def board_at(server: SshServer, remote: Path, alias: str = "board", **options) -> Board:
    connect_s = options.pop("connect_s", 15.0)
    transport = SshTransport(alias, config=server.config, connect_timeout_s=connect_s)
    return Board(transport, root=str(remote), **{"python": sys.executable, **options})


def outgoing(folder: Path, **contents: bytes) -> dict[str, Outgoing]:
    files = {}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
        files[f"some bundle/{name} é'.bin"] = Outgoing.of(folder / name)
    return files


def stored(remote: Path, name: str) -> bytes:
    return (remote / "some bundle" / f"{name} é'.bin").read_bytes()


def test_a_second_push_sends_nothing_and_a_change_only_itself(server, remote, tmp_path):
    files = outgoing(tmp_path, one=b"1" * 5000, two=bytes(range(256)) * 4000, empty=b"")
    seen: list[tuple[int, int]] = []
    with board_at(server, remote) as board:
        first = push(board, files, watch=lambda *figures: seen.append(figures))
        again = push(board, files)
        changed = push(board, {**files, **outgoing(tmp_path, one=b"ONE")})
    assert (first.files, first.bytes, first.kept) == (3, 5000 + 1024000, 0)
    assert seen[-1] == (5000 + 1024000, 5000 + 1024000)
    assert (again.files, again.bytes, again.kept) == (0, 0, 3)
    assert (changed.files, changed.bytes, changed.kept) == (1, 3, 2)
    assert stored(remote, "one") == b"ONE"
    assert stored(remote, "two") == bytes(range(256)) * 4000
    assert sorted(entry.name for entry in remote.iterdir()) == [".edgesynth-remote", "some bundle"]
    assert (remote.stat().st_mode & 0o077) == 0  # nobody else on the board may change a bundle


def test_a_file_changed_on_the_board_is_sent_again(server, remote, tmp_path):
    files = outgoing(tmp_path, one=b"abcdef")
    with board_at(server, remote) as board:
        push(board, files)
        (remote / "some bundle" / "one é'.bin").write_bytes(b"abcdeX")  # same size
        assert push(board, files).files == 1
    assert stored(remote, "one") == b"abcdef"


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("changed", ["host key has changed", "known_changed:1", "ssh-keygen -R loopback"]),
        ("unknown", ["host key is not known", "`ssh unknown` once", "fingerprint"]),
        ("stranger", ["refused the login", "Permission denied", "ssh-copy-id stranger"]),
        ("closed", ["nothing listens there"]),
        ("no-such-board.invalid", ["name is not known"]),
    ],
)
def test_out_of_reach(server, remote, alias, words):
    with board_at(server, remote, alias) as board, pytest.raises(DeviceError) as caught:
        push(board, {})
    message = str(caught.value)
    assert message.startswith(f"{alias} cannot be reached: ")
    assert len(message.splitlines()) == 1
    assert [word for word in words if word not in message] == []
    assert not remote.exists()


def test_the_users_configuration_cannot_switch_the_host_check_off(server, remote):
    careless = server.folder / "careless_config"
    careless.write_text("StrictHostKeyChecking no\nBatchMode no\n" + server.config.read_text())
    transport = SshTransport("changed", config=careless)
    with Board(transport, root=str(remote)) as board, pytest.raises(DeviceError, match="changed"):
        push(board, {})


def test_a_server_that_never_answers(server, remote):
    with CuttingProxy(server.port, after=0) as proxy:
        server.add_alias("silent", proxy.port)
        start = time.monotonic()
        with (
            board_at(server, remote, "silent", connect_s=1) as board,
            pytest.raises(DeviceError, match="silent cannot be reached: it does not answer"),
        ):
            push(board, {})
    assert time.monotonic() - start < 20


def test_a_connection_cut_in_the_middle_is_taken_up_again(server, remote, tmp_path):
    size = 12_000_000
    files = outgoing(tmp_path, big=os.urandom(size))
    with CuttingProxy(server.port, after=8_000_000) as proxy:
        server.add_alias("cut", proxy.port)
        with board_at(server, remote, "cut") as board:
            sent = push(board, files)
    assert proxy.cuts == 1
    assert stored(remote, "big") == (tmp_path / "big").read_bytes()
    assert sent.files == 1


def test_what_arrived_before_the_connection_died_is_not_sent_again(server, remote, tmp_path):
    size = 12_000_000
    files = outgoing(tmp_path, big=os.urandom(size))
    with CuttingProxy(server.port, after=8_000_000) as proxy:
        server.add_alias("dying", proxy.port)
        with (
            board_at(server, remote, "dying") as board,
            pytest.raises(LostError, match=r"connection to dying broke.*run again to go on"),
        ):
            push(board, files, attempts=1)
    (partial,) = (remote / ".incoming").iterdir()
    assert 5_000_000 < partial.stat().st_size < 8_000_000  # less what was on its way
    arrived = partial.stat().st_size
    with board_at(server, remote) as board:
        sent = push(board, files)
    assert sent.bytes == size - arrived
    assert stored(remote, "big") == (tmp_path / "big").read_bytes()
    assert not (remote / ".incoming").exists()


def test_a_damaged_remainder_is_noticed(server, remote, tmp_path):
    files = outgoing(tmp_path, big=b"x" * 100_000)
    (file,) = files.values()
    with board_at(server, remote) as board:
        push(board, {})
        (remote / ".incoming").mkdir()
        (remote / ".incoming" / file.sha256).write_bytes(b"y" * 50_000)
        with pytest.raises(DeviceError, match="arrived damaged; run again"):
            push(board, files)
        assert not (remote / "some bundle").exists()
        assert push(board, files).bytes == 100_000
    assert stored(remote, "big") == b"x" * 100_000


def test_a_run_gives_exit_code_output_and_talk(server, remote):
    program = "import sys; print(sys.argv[1:]); print('two\\nlines', file=sys.stderr); sys.exit(5)"
    words = ["a b", "it's", '"$HOME"', "`id`", "\\", "*", "", "é", "a\nb"]
    heard: list[str] = []
    with board_at(server, remote) as board:
        done = board.run([sys.executable, "-c", program, *words], hear=heard.append)
    assert (done.exit_code, done.out) == (5, f"{words!r}\n")
    assert heard == ["two", "lines"]


def test_a_noisy_login_shell_does_no_harm(server, remote):
    (server.home / ".bashrc").write_text("echo Welcome to this board; printf 'no end of line'\n")
    try:
        with board_at(server, remote) as board:
            assert board.run(["echo", "hello"]).out == "hello\n"
    finally:
        (server.home / ".bashrc").unlink()


def test_a_board_without_that_python(server, remote):
    with (
        board_at(server, remote, python="/no/python3") as board,
        pytest.raises(MissingError, match=r"no such Python.*apt-get install python3"),
    ):
        push(board, {})


def test_a_program_that_is_not_there(server, remote):
    with board_at(server, remote) as board, pytest.raises(MissingError, match="cannot be run"):
        board.run(["no-such-program"])


def lives(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_until(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


SLEEPER = (
    "trap 'echo put back >restored; exit 0' INT; sleep 100 & echo $! >child; echo $$ >self; wait"
)


def pids(remote: Path) -> list[int]:
    return [int((remote / name).read_text()) for name in ("self", "child")]


def test_a_hanging_board_is_given_up_and_left_clean(server, remote):
    with board_at(server, remote, timeout_s=2) as board:
        with pytest.raises(DeviceError, match=r"did not finish within 2 s.*--timeout"):
            board.run(["bash", "-c", SLEEPER])
        assert wait_until(lambda: not any(map(lives, pids(remote))))
    assert (remote / "restored").exists()  # it was asked first, as Ctrl-C asks


def test_stopping_ends_what_runs_on_the_board(server, remote):
    cancel = threading.Event()
    with board_at(server, remote, cancel=cancel) as board:
        threading.Timer(1.5, cancel.set).start()
        with pytest.raises(Cancelled):
            board.run(["bash", "-c", SLEEPER])
        assert not any(map(lives, pids(remote)))
        assert (remote / "restored").exists()


def test_a_board_cut_off_while_it_runs_ends_the_program(server, remote):
    threading.Timer(2.0, server.cut).start()
    with board_at(server, remote) as board:
        with pytest.raises(LostError, match="connection to board broke"):
            board.run(["bash", "-c", SLEEPER])
        assert wait_until(lambda: not any(map(lives, pids(remote))))
        assert board.run(["echo", "back"]).out == "back\n"  # a new connection is made


def test_fetching(server, remote):
    with board_at(server, remote) as board:
        push(board, {})
        (remote / "record").write_bytes(bytes(range(256)) * 3000)
        (remote / "link").symlink_to("/etc/passwd")
        assert board.get("record", most=1 << 20) == bytes(range(256)) * 3000
        with pytest.raises(UserError, match="larger than 1000 bytes"):
            board.get("record", most=1000)
        with pytest.raises(UserError, match="cannot be read"):
            board.get("link", most=1 << 20)
        board.remove("record")
        board.remove("record")  # not there: nothing to do
        assert not (remote / "record").exists()


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a//b", "a/../../x", "./x", "", "out/x", "a\0b"]
)
def test_no_path_leaves_the_remote_folder(server, remote, tmp_path, path):
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "outside").mkdir()
    with board_at(server, remote) as board:
        push(board, {})
        (remote / "out").symlink_to(tmp_path / "outside")
        with pytest.raises(UserError, match=r"leaves the remote folder|through a link"):
            push(board, {path: Outgoing.of(tmp_path / "one")})
    assert list((tmp_path / "outside").iterdir()) == []


def test_clean_leaves_nothing_behind(server, remote, tmp_path):
    with board_at(server, remote) as board:
        push(board, outgoing(tmp_path, one=b"1"))
        assert remote.exists()
        board.clean()
        board.clean()  # nothing there: nothing to do
    assert not remote.parent.exists()  # it was made for the deployment
    assert tmp_path.exists()


def test_the_default_folder_is_below_the_home_of_the_board(server, tmp_path):
    with Board(SshTransport("board", config=server.config), python=sys.executable) as board:
        sent = push(board, outgoing(tmp_path, one=b"1"))
        assert sent.root == f"{server.home}/.cache/edgesynth/deploy"
        board.clean()
    assert list(server.home.iterdir()) == []


def test_a_folder_that_holds_something_else_is_not_touched(server, tmp_path):
    (tmp_path / "mine").write_text("precious")
    with board_at(server, tmp_path) as board:
        for attempt in (lambda: push(board, {}), board.clean):
            with pytest.raises(UserError, match=r"holds something else.*--remote-dir"):
                attempt()
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    "address", ["-oProxyCommand=id", "a b", "", "x;id", "$(id)", "a'b", "a\nb"]
)
def test_an_address_that_is_none(address):
    with pytest.raises(UserError, match="is no address of a board"):
        SshTransport(address)


def test_without_ssh(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingError, match="apt-get install openssh-client"):
        SshTransport("board")


def test_nothing_stays_on_the_host(server, remote, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    with board_at(server, remote) as board:
        push(board, {})
        board.clean()
    assert sorted(tmp_path.iterdir()) == before


def test_every_error_of_the_board_is_one_line(server, remote):
    with board_at(server, remote) as board, pytest.raises(EdgesynthError) as caught:
        board.ask({"do": "get", "path": "no\nsuch\x1b[31mfile", "most": 10})
    assert str(caught.value).isprintable()
