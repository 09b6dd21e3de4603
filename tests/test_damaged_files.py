"""Damaged manifests, bundles, records, hosts and trtexec files: one line, or they are taken.

The first rounds of what `python tests/mutate.py SUBJECT --seconds 600` does for longer.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesynth_rt.errors import EdgesynthError
from mutate import Files
from mutate_files import SUBJECTS, Subject, Trial

ROUNDS = 25


@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_files_are_taken_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    files = Files(name, tmp_path)
    taken = 0  # the whole files are: the first thing that a trial makes sure of
    for number in range(ROUNDS):
        try:
            taken += files.round(number)
        except BaseException:
            print(f"python tests/mutate.py {name} --first {number}")
            raise
    assert taken < ROUNDS


def prepare(folder: Path) -> None:
    (folder / "x").write_bytes(b"whole")


def leave_half(folder: Path, out: Path) -> None:
    (out / ".part-x").write_bytes(b"half")


def say_two_lines(folder: Path, out: Path) -> None:
    raise EdgesynthError("one\ntwo")


def fail(folder: Path, out: Path) -> None:
    raise KeyError("x")


def hang(folder: Path, out: Path) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "error", "words"),
    [
        (leave_half, AssertionError, "left behind"),
        (say_two_lines, AssertionError, "not one printable line"),
        (fail, KeyError, "x"),
        (hang, TimeoutError, "still reading"),
    ],
)
def test_what_the_rounds_look_for(
    read: object,
    error: type[BaseException],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mutate_files.LIMIT_S", 0.2)
    with pytest.raises(error, match=words):
        Trial(Subject(prepare, ("x",), read), tmp_path)  # type: ignore[arg-type]
