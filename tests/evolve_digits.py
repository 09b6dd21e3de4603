"""`edgesynth evolve` on the digits, as the tests of runs use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgesynth.core.history import in_birth_order, read_history, read_run
from edgesynth.networks import edgenet

COMMON = ["--data", "digits", "--epochs", "1", "--quiet"]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "edgesynth.cli.main", *map(str, arguments)]


def edgesynth(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained LeNet-5."""
    folder = tmp_path_factory.mktemp("parent")
    found = edgesynth("train", "lenet5", "--out", "p.edgenet", *COMMON, "--epochs", "6", cwd=folder)
    assert found.returncode == 0, found.stderr
    return folder / "p.edgenet"


def lineage(run: Path) -> dict[str, object]:
    """All of a run that must not depend on where and when it was done."""
    offspring = []
    for one in in_birth_order(read_history(run / "history.jsonl")):
        found = edgenet.read_description(run / one.network)
        assert found.weights_sha256 == one.weights_sha256
        offspring.append({**msgspec.structs.asdict(one), "seconds": None})
    end = read_run(run)
    best = edgenet.read_description(run / "best.edgenet")
    return {
        "offspring": offspring,
        "selected": end.selected,
        "stopped": end.stopped,
        "status": end.status,
        "test": end.test_accuracy,
        "best": best.weights_sha256,
    }
