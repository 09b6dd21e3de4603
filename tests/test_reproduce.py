"""`edgesynth reproduce` on the digits: real rivals, kill and resume, runs that add up."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edgesynth.core.reproduction import Row, read_rows
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.workflows.reproduce.baselines import magnitude, torch_pruning
from edgesynth.workflows.reproduce.judging import masked_twin
from edgesynth.workflows.reproduce.rival import Scene
from evolve_digits import command, edgesynth

ARGUMENTS = (
    "reproduce stressednets --data digits --out r --seeds 1 --generations 2 --epochs 1 "
    "--ancestor-epochs 2 --quiet"
).split()


def rival(*names: str) -> list[str]:
    return [word for name in names for word in ("--rival", name)]


def facts(row: Row) -> tuple[object, ...]:
    return row.seed, row.rival, row.generation, row.weights_sha256, row.test_accuracy


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rivals edgesynth and paper."""
    folder = tmp_path_factory.mktemp("reproduce")
    found = edgesynth(*ARGUMENTS, *rival("edgesynth", "paper"), "--json", cwd=folder)
    assert found.returncode == 1, found.stderr  # 40 times fewer synapses are not reached
    assert json.loads(found.stdout) == json.loads((folder / "r" / "result.json").read_text())
    return folder


@pytest.mark.slow
def test_every_network_is_there_and_counted(first: Path) -> None:
    rows = read_rows(first / "r" / "rows.jsonl")
    assert [(r.rival, r.generation) for r in rows] == [
        ("ancestor", 1), ("paper", 2), ("edgesynth", 2),
    ]  # fmt: skip
    for row in rows:
        network = edgenet.load(first / "r" / row.network)
        assert live_synapses(network) == row.synapses
        assert row.latency_p50_ms and row.predicted["tx2"]["fp16"]["inferences_per_joule"] > 0
        assert row.onnx_macs == row.macs and row.logits_error is not None
        assert row.logits_error < 1e-5
    drawn = rows[1].drawn
    assert abs(drawn["kept"] - drawn["expected"]) < 4 * drawn["sigma"]
    assert 0.25 < drawn["kept"] / drawn["live"] < 0.4
    assert "Test accuracy against synapses" in (first / "r" / "report.html").read_text()


@pytest.mark.slow
def test_runs_add_up_and_finished_networks_are_not_made_again(first: Path) -> None:
    before = [facts(row) for row in read_rows(first / "r" / "rows.jsonl")]
    found = edgesynth(*ARGUMENTS, *rival("magnitude"), cwd=first)
    assert found.returncode == 1, found.stderr
    rows = read_rows(first / "r" / "rows.jsonl")
    assert [facts(row) for row in rows[:3]] == before
    assert [(row.rival, row.generation) for row in rows[3:]] == [("magnitude", 2)]
    assert rows[3].synapses == pytest.approx(rows[2].synapses, rel=0.01)
    other = edgesynth(*ARGUMENTS, "--pressure", "3", cwd=first)
    assert other.returncode == 2
    assert "recipe.pressure" in other.stderr


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_been(first: Path, tmp_path: Path) -> None:
    out = tmp_path / "r" / "rows.jsonl"
    shutil.copytree(first / "r", tmp_path / "r")
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(lines[0] + lines[1][:50])  # killed while the second row was being written
    process = subprocess.Popen(command(*ARGUMENTS, *rival("edgesynth")), cwd=tmp_path)
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = edgesynth(*ARGUMENTS, *rival("edgesynth"), cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    undisturbed = {facts(row) for row in read_rows(first / "r" / "rows.jsonl")}
    resumed = [facts(row) for row in read_rows(out)]
    assert len(resumed) == 2
    assert set(resumed) <= undisturbed


@pytest.fixture(scope="module")
def whole() -> Network:
    return resolve("lenet5", classes=tuple("0123456789"), input_shape=(1, 28, 28))


def test_baselines_meet_their_goal(whole: Network) -> None:
    pytest.importorskip("torch_pruning", reason="torch-pruning is not installed (the dev extra)")
    kept = magnitude(Scene(whole, (0, 2), 2, 100_000))
    assert 99_000 <= live_synapses(kept) <= 100_000
    again = magnitude(Scene(kept, (0, 3), 3, 50_000))
    assert 49_500 <= live_synapses(again) <= 50_000
    for whole_network in (False, True):
        cut = torch_pruning(whole_network=whole_network)(Scene(whole, (0, 2), 2, 100_000))
        params = sum(parameter.numel() for parameter in cut.module.parameters())
        assert 80_000 <= params <= 100_000


def test_the_masked_twin_computes_what_the_shrunken_network_does(whole: Network) -> None:
    import torch

    genome = Genome(parse_environment("synapses=0.3"))
    child = synthesize([synthesize([whole], genome, (0, 2))], genome, (0, 3))
    twin = masked_twin(child)
    assert twin is not None
    images = torch.randn(4, *child.description.input_shape)
    with torch.no_grad():
        torch.testing.assert_close(twin(images), child.module(images))
    assert sum(p.numel() for p in twin.parameters()) == 431_080
