"""A run comes out the same wherever it is interrupted, and leaves no process behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from evolve_digits import COMMON, command, edgesynth, lineage

ARGUMENTS = ["--generations", "3", "--offspring", "2", "--reject", "4", "--tries", "2", *COMMON]
ARGUMENTS += ["--require", "accuracy>=0.1"]


def children(process: int) -> list[int]:
    place = Path(f"/proc/{process}/task/{process}/children")
    try:
        return [int(one) for one in place.read_text().split()]
    except OSError:
        return []


def wait_until(holds, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(process: int) -> bool:
    """False for a zombie too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def lines(run: Path) -> int:
    history = run / "history.jsonl"
    return history.read_bytes().count(b"\n") if history.exists() else 0


def test_killed_workers_and_a_killed_run_leave_no_trace(parent: Path, tmp_path: Path) -> None:
    arguments = ["evolve", parent, *ARGUMENTS]
    whole = edgesynth(*arguments, "--workers", "1", "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    run = tmp_path / "killed"
    with subprocess.Popen(
        command(*arguments, "--workers", "2", "--out", "killed"), cwd=tmp_path
    ) as p:
        wait_until(lambda: len(children(p.pid)) == 2)
        os.kill(children(p.pid)[0], signal.SIGKILL)  # costs one offspring, raised again elsewhere
        wait_until(lambda: lines(run) >= 3)
        wait_until(lambda: children(p.pid))
        workers = children(p.pid)
        p.kill()
    wait_until(lambda: not any(map(alive, workers)), 20)
    with (run / "history.jsonl").open("ab") as stream:  # as if the kill had cut a line
        stream.write(b'{"schema":"edgesynth.offs')
    (run / "networks" / "g03-9.edgenet").mkdir()  # as if it had come before the line
    (run / ".part-xyz").touch()
    refused = edgesynth(*arguments, "--out", "killed", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resumed = edgesynth(*arguments, "--workers", "1", "--out", "killed", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert lineage(run) == lineage(tmp_path / "whole")
    assert sorted(p.name for p in run.iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_an_undisturbed_one(
    parent: Path,
    tmp_path: Path,
) -> None:
    arguments = ["evolve", parent, *ARGUMENTS]
    started = time.monotonic()
    assert edgesynth(*arguments, "--workers", "2", "--out", "whole", cwd=tmp_path).returncode == 0
    usual = time.monotonic() - started
    draw = random.Random(7)
    for _ in range(4):
        again = command(*arguments, "--workers", "2", "--out", "killed", "--resume")
        process = subprocess.Popen(again, cwd=tmp_path)
        try:
            process.wait(draw.uniform(0.2, 0.9) * usual)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    found = edgesynth(*arguments, "--out", "killed", "--resume", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert lineage(tmp_path / "killed") == lineage(tmp_path / "whole")


def test_ctrl_c_ends_the_workers_and_says_one_line(parent: Path, tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--epochs", "900", "--workers", "2", "--out", "run"]
    with subprocess.Popen(
        command("evolve", parent, *arguments),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(lambda: len(children(process.pid)) == 2)
        workers = children(process.pid)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, talk = process.communicate(timeout=60)
    assert process.returncode == 130
    assert talk.strip().splitlines() == ["edgesynth: interrupted; what was finished is kept"]
    assert not any(map(alive, workers))
    assert lines(tmp_path / "run") == 1
