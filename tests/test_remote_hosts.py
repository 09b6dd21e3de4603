"""hosts.toml and addresses; what a board that misbehaves can and cannot do to the host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesynth.core.errors import DeviceError, EdgesynthError, MissingError, UserError
from edgesynth.remote.board import Board
from edgesynth.remote.hosts import Host, check_distinct, named_hosts, read_hosts
from edgesynth.remote.local import LocalTransport
from edgesynth.remote.sync import Outgoing, push
from edgesynth.remote.transport import LostError


def hosts_file(folder: Path, text: str) -> Path:
    path = folder / "hosts.toml"
    path.write_text(text)
    return path


def test_a_hosts_file(tmp_path):
    path = hosts_file(
        tmp_path,
        '[desk]\naddress = "nvidia@tx2.local"\npython = "python3.8"\nremote-dir = "/mnt/a b"\n'
        'timeout = 60\n[roof]\naddress = "roof"\n',
    )
    assert read_hosts(path) == [
        Host("desk", "nvidia@tx2.local", "python3.8", "/mnt/a b", 60),
        Host("roof", "roof"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no board"),
        ("[desk]\n", "[desk] has no address"),
        ("desk = 1\n", "[desk] is not a table"),
        ('[desk]\nadress = "x"\n', 'unknown key "adress"; did you mean "address"?'),
        ("[desk]\naddress = 7\n", "address is 7, not str"),
        ('[desk]\naddress = "x"\ntimeout = true\n', "timeout is True, not int"),
        ('[desk]\naddress = "x"\ntimeout = 0\n', "timeout is 0, not 1 to 86400"),
        ('["../up"]\naddress = "x"\n', "cannot name a folder"),
        ("[desk\n", "is not TOML"),
        ("\xff", "is not TOML"),
    ],
)
def test_a_hosts_file_with_a_mistake(tmp_path, text, words):
    path = tmp_path / "hosts.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        read_hosts(path)
    assert words in str(caught.value) and str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_hosts_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_hosts(tmp_path / "none.toml")


def test_each_board_is_named_once():
    with pytest.raises(UserError, match='address "a" is given twice'):
        check_distinct([Host("one", "a"), Host("two", "a")])
    with pytest.raises(UserError, match='name "one" is given twice'):
        check_distinct([Host("one", "a"), Host("one", "b")])


@given(st.text(max_size=40))
def test_an_address_names_a_folder_that_stays_inside(address):
    (host,) = named_hosts([address])
    assert host.address == address
    assert host.name not in ("", ".", "..") and "/" not in host.name
    assert host.name.isprintable() and not host.name.startswith((".", "-"))


def board(folder: Path, python: str = sys.executable, **options) -> Board:
    return Board(LocalTransport(), root=str(folder / "root"), python=python, **options)


def impostor(folder: Path, script: str) -> str:
    """A "Python" that is something else."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 1", "python ended with 1 on this machine"),
        ("echo 'no module' >&2; exit 9", "ended with 9 on this machine: no module"),
        ("echo edgesynth-agent/1; echo '{'", 'answer is damaged: "{"'),
        ("echo edgesynth-agent/1; echo '[]'", "answer is damaged"),
        ("echo edgesynth-agent/1; echo '{\"done\": true}'", "have is missing"),
        ("echo edgesynth-agent/1; exit 0", "connection to local: broke"),
        ("head -c 2000000 /dev/zero", "a line without end"),
        ("sleep 60", "did not finish within 1 s"),
    ],
)
def test_what_is_no_agent_is_one_line(tmp_path, script, words):
    with (
        board(tmp_path, impostor(tmp_path, script), timeout_s=1) as there,
        pytest.raises(EdgesynthError) as caught,
    ):
        push(there, {}, attempts=1)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_hostile_answer_cannot_ask_for_more_than_was_offered(tmp_path):
    (tmp_path / "file").write_bytes(b"123")
    answer = (
        '{"done": true, "have": [], "partial": {"file": 99}, "root": "/", "free_bytes": 1e9, '
        '"python": "3", "machine": "x"}'
    )
    script = impostor(tmp_path, f"echo edgesynth-agent/1; echo '{answer}'")
    with board(tmp_path, script) as there, pytest.raises(UserError, match=r"partial.file is 99"):
        push(there, {"file": Outgoing.of(tmp_path / "file")})


def test_a_python_that_is_not_there(tmp_path):
    with board(tmp_path, "/no/python") as there, pytest.raises(MissingError, match="--python"):
        push(there, {})


@pytest.mark.parametrize("options", [{"python": "-c"}, {"python": ""}, {"root": ""}])
def test_options_that_cannot_be(tmp_path, options):
    with pytest.raises(UserError):
        Board(LocalTransport(), **options)


def test_a_full_disk_is_noticed_before_anything_is_sent(tmp_path):
    huge = Outgoing(tmp_path / "never opened", "0" * 64, 1 << 50)
    with board(tmp_path) as there, pytest.raises(DeviceError, match=r"MB free and .* MB are to be"):
        push(there, {"huge": huge})


def test_a_file_that_changes_while_it_is_sent(tmp_path):
    source = tmp_path / "file"
    source.write_bytes(b"12345")
    file = Outgoing.of(source)
    source.write_bytes(b"123")
    with board(tmp_path) as there, pytest.raises(UserError, match="changed while it was sent"):
        push(there, {"file": file})
    source.write_bytes(b"54321")
    with board(tmp_path) as there, pytest.raises(EdgesynthError, match="arrived damaged"):
        push(there, {"file": file})


def test_lost_is_a_kind_of_unreachable():
    assert LostError.exit_code == DeviceError.exit_code == 3
