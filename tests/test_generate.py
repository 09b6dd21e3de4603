"""`edgesynth generate` as a user runs it: on digits, killed, resumed, from a saved generator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgesynth.cli.main import run
from edgesynth.core.search import read_candidates, read_search
from edgesynth.networks import edgenet
from edgesynth.workflows.measured_cost import cache_key
from evolve_digits import command
from ssh_server import ABSENT, SSHD, SshServer

pytestmark = pytest.mark.timeout(1200)
COMMON = ["--data", "digits", "--proxy-epochs", "1", "--epochs", "1", "--vary", "width"]
SEARCH = ["--evaluations", "8", "--per-cycle", "6", "--networks", "2", "--workers", "1"]
WANTED = ["--require", "accuracy>=0.2", "--require", "macs<=400k"]
ARGUMENTS = [*COMMON, *SEARCH, "--quiet"]


def generated(
    parent: Path, out: Path, *more: str, code: int, capfd: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    words = ["generate", str(parent), "--out", str(out), *ARGUMENTS, "--json", *more]
    assert run(words) == code
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


@pytest.fixture(scope="module")
def searched(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched") / "g"
    assert run(["generate", str(parent), "--out", str(folder), *ARGUMENTS, *WANTED]) == 0
    return folder


def test_what_a_search_leaves(searched: Path) -> None:
    search = read_search(searched)
    assert search.status == "finished" and len(search.cycles) == 2 and search.metric == "accuracy"
    assert search.family[0].id == "prototype" and len(search.family) == 3
    best = next(one for one in search.family if one.id == search.best)
    assert best.holds and best.macs <= 400_000 and best.netscore is not None
    network = edgenet.load(searched / "best.edgenet")
    assert network.description.edits and network.description.accuracy["test"] == best.test_accuracy
    assert network.description.lineage.parent == search.prototype_sha256
    candidates = read_candidates(searched / "candidates.jsonl")
    assert {one.id for one in candidates} == {
        "c00-0", *(f"c01-{n}" for n in range(1, 7)), "c02-1", "c02-2",
    }  # fmt: skip
    assert all((one.foretold is not None) == (one.cycle == 2) for one in candidates)
    assert (searched / "lenet5.generator" / "theta.safetensors").is_file()


def test_what_it_left_is_inspected_and_reported(
    searched: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for place, words in (
        (searched, ("networks tried", "8, ", "accuracy>=0.2")),
        (searched / "lenet5.generator", ("learned in", "2 cycles", "s1.width")),
        (searched / "best.edgenet", ("conv1", "parameters")),
    ):
        assert run(["inspect", str(place)]) == 0
        shown = capfd.readouterr().out
        assert all(word in shown for word in words), shown
    assert run(["report", str(searched), "--out", str(tmp_path / "r.html"), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["sections"] == ["family", "candidates", "generator"]
    page = (tmp_path / "r.html").read_text()
    for words in ("Pareto front", "macs&lt;=400k", "Foretold and found accuracy", "Stage 1",
                  "Inf/J on tx2, predicted", "95 % interval"):  # fmt: skip
        assert words in page, words


def test_a_saved_generator_makes_networks_without_a_search(
    searched: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "--from", str(searched / "lenet5.generator"), "--networks", "3"]
    words += ["--seed", "7", "--out", str(tmp_path / "f"), "--quiet", "--json", "--workers", "1"]
    code = run(words)
    document = json.loads(capfd.readouterr().out)
    share = document["share"]
    assert share["seeds"] == 3 and share["distinct"] == len(document["family"]) >= 2
    assert code == (0 if share["holding"] else 1)
    low, high = share["wilson95"]
    assert 0 <= low <= (share["share"] or 0) <= high <= 1
    assert {one["id"][:3] for one in document["family"]} == {"s7-"}
    assert run([*words, "--resume"]) == code  # nothing is made again
    again = json.loads(capfd.readouterr().out)
    assert again["family"] == document["family"]


def test_a_search_that_was_killed_ends_as_an_undisturbed_one(
    searched: Path, parent: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", str(parent), "--out", str(tmp_path / "k"), *ARGUMENTS, *WANTED]
    lines = tmp_path / "k" / "candidates.jsonl"
    with subprocess.Popen(command(*arguments), cwd=tmp_path) as process:
        deadline = time.monotonic() + 240
        while not (lines.exists() and lines.read_bytes().count(b"\n") >= 3):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    for more, reason in (([], "--resume"), (["--resume", "--margin", "3"], "another margin")):
        assert run([*arguments, *more]) == 2 and reason in capfd.readouterr().err
    assert run([*arguments, "--resume"]) == 0
    assert without_times(tmp_path / "k") == without_times(searched)


def without_times(folder: Path) -> list[Any]:
    search = read_search(folder)
    lines = [
        {**vars_of(one), "seconds": 0.0} for one in read_candidates(folder / "candidates.jsonl")
    ]
    family = [{**vars_of(one), "seconds": 0.0} for one in search.family]
    best = edgenet.read_description(folder / "best.edgenet").weights_sha256
    return [sorted(lines, key=lambda line: line["id"]), family, search.cycles, search.best, best]


def vars_of(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def test_what_cannot_be_met_is_told_with_exit_code_1(
    parent: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    document = generated(parent, tmp_path / "n", "--require", "macs<=100", code=1, capfd=capfd)
    assert document["holds"] is False and document["evaluations"] == 6  # one cycle tells it all
    assert "smallest network that can be made of lenet5" in document["obstacles"][0]
    assert Path(document["network"], "network.json").is_file()  # the best found


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "give PARENT"),
        (["lenet5", "--data", "digits"], "is not trained"),
        (["lenet5"], "--data says"),
        (["PARENT", "--data", "digits", "--require", "latency<=1ms"], "--measure USER@HOST"),
        (["PARENT", "--data", "digits", "--vary", "widht"], "can be varied"),
        (["PARENT", "--data", "digits", "--utility", "best"], 'no utility "best"'),
        (["PARENT", "--data", "digits@50", "--proxy-images", "60"], "fewer train images"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    words: list[str], reason: str, parent: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    told = [str(parent) if word == "PARENT" else word for word in words]
    assert run(["generate", *told, "--out", str(tmp_path / "g")]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and reason in lines[0]


@pytest.mark.skipif(SSHD is None, reason=ABSENT)
def test_networks_are_measured_on_a_board(
    parent: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server = SshServer(tmp_path / "ssh")
    try:
        cache = tmp_path / "measured"
        board = ["--measure", "board", "--ssh-config", str(server.config), "--duration", "0.05",
                 "--remote-dir", str(tmp_path / "remote"), "--python", sys.executable,
                 "--measure-cache", str(cache), "--require", "latency<=1s",
                 "--evaluations", "1", "--networks", "1"]  # fmt: skip
        document = generated(parent, tmp_path / "m", *board, code=0, capfd=capfd)
        assert document["best"]["measured"]["latency_p50_ms"] > 0
        assert document["requirements"][0]["holds"] is True
        files = sorted(cache.glob("*.json"))
        assert len(files) == 2  # the prototype and the network
        stamps = [file.stat().st_mtime_ns for file in files]
        key = json.loads(files[0].read_text())["key"]
        assert {"onnx_sha256", "module", "power_mode", "clocks_mhz", "measuring"} <= set(key)
        generated(parent, tmp_path / "again", *board, code=0, capfd=capfd)
        assert [file.stat().st_mtime_ns for file in sorted(cache.glob("*.json"))] == stamps
    finally:
        server.stop()


class Shown:
    """As much of a bundle as its key needs."""

    manifest = {"stages": [{"sha256": "a"}]}  # noqa: RUF012


def test_another_clock_is_another_measurement() -> None:
    from edgesynth.workflows.measuring import MeasuringPlan

    plan = MeasuringPlan()
    device = {"module": "tx2", "power_mode": "MAXN",
              "clocks": {"gpu_mhz": 114.0, "gpu_max_mhz": 1300.5}}  # fmt: skip
    key = cache_key(Shown, device, plan)  # type: ignore[arg-type]
    idle = {**device, "clocks": {**device["clocks"], "gpu_mhz": 1300.5}}
    assert cache_key(Shown, idle, plan) == key  # type: ignore[arg-type]
    for other in ({**device, "power_mode": "MAXQ"},
                  {**device, "clocks": {"gpu_max_mhz": 850.0}}):  # fmt: skip
        assert cache_key(Shown, other, plan) != key  # type: ignore[arg-type]
    assert cache_key(Shown, device, MeasuringPlan(threads=2)) != key  # type: ignore[arg-type]
