"""Runs: what they make, requirements as goal and stop, and what they refuse."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edgesynth.core.errors import UserError
from edgesynth.core.history import SCHEMA, Offspring, in_birth_order, read_history, read_run
from edgesynth.networks import edgenet
from edgesynth.synthesis.selection import best, eligible, fittest, ranked, worst_ratio
from evolve_digits import COMMON, edgesynth


def test_a_run_from_start_to_end(parent: Path, tmp_path: Path) -> None:
    arguments = ["evolve", parent, "--out", "run", "--generations", "3", "--offspring", "2"]
    found = edgesynth(*arguments, *COMMON, "--require", "accuracy>=0.2", "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    history = read_history(tmp_path / "run" / "history.jsonl")
    assert [o.id for o in in_birth_order(history)] == "g01-0 g02-1 g02-2 g03-1 g03-2".split()
    ancestor, *children = in_birth_order(history)
    chosen = fittest(children[:2]).id
    assert {o.parent for o in history if o.generation == 3} == {chosen}
    assert read_run(tmp_path / "run").selected[:2] == ["g01-0", chosen]
    assert all(o.synapses < ancestor.synapses and o.macs < ancestor.macs for o in children)
    assert document["best"]["id"] == min(history, key=lambda o: (o.macs, -o.accuracy)).id
    delivered = edgenet.load(tmp_path / "run" / "best.edgenet")
    assert delivered.description.accuracy["test"] == document["best"]["test_accuracy"]
    assert delivered.description.lineage.generation == 3


def test_goals_stop_the_run_and_choose_what_it_delivers(parent: Path, tmp_path: Path) -> None:
    goals = ["--require", "params<=250k", "--require", "accuracy>=0.1"]
    arguments = ["evolve", parent, "--out", "run", "--generations", "9", *goals]
    found = edgesynth(*arguments, *COMMON, "--json", cwd=tmp_path)
    document = json.loads(found.stdout)
    assert found.returncode == 0, found.stderr
    assert "meets every requirement" in document["stopped"]
    assert document["best"]["params"] <= 250_000
    assert document["offspring"] < 8


def test_every_choice_of_a_genome_reaches_the_run(parent: Path, tmp_path: Path) -> None:
    choices = ["--encoding", "cluster", "--environment", "macs=0.7,conv1=0.9"]
    choices += ["--pressure", "4", "--round-to", "2", "--parents", "2", "--offspring", "2"]
    choices += ["--stress", "bernoulli:0.4,start=0.1", "--require", "accuracy>=0.1"]
    arguments = ["evolve", parent, "--out", "run", "--generations", "3", *choices]
    found = edgesynth(*arguments, *COMMON, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    plan = read_run(tmp_path / "run").plan
    assert plan["genome"] == {
        "encoding": "cluster",
        "environment": "macs=0.7,conv1=0.9",
        "pressure": 4.0,
        "round_to": 2,
    }
    assert (plan["stress"], plan["parents"]) == ("bernoulli:0.4,start=0.1", 2)
    for offspring in read_history(tmp_path / "run" / "history.jsonl")[1:]:
        network = edgenet.load(tmp_path / "run" / offspring.network)
        assert (
            offspring.generation > 2 or network.masks == {}
        )  # parents may lack what the other has
        assert len(network.module.get_parameter("conv2.weight")) % 2 == 0
    again = edgesynth(*arguments, *COMMON, "--resume", "--stress", "none", cwd=tmp_path)
    assert again.returncode == 2
    assert "was started with another stress" in again.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--parents", "2"], "add --offspring 2 or more"),
        (["--environment", "latency=0.7@tx3"], "tx3"),
        (["--environment", "macs=0.5", "--encoding", "synapse"], "take the encoding"),
        (["--stress", "bernouli"], 'did you mean "bernoulli"'),
    ],
)
def test_a_genome_that_makes_no_sense_is_refused_before_anything_is_written(
    parent: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    found = edgesynth("evolve", parent, "--out", "run", *options, *COMMON, cwd=tmp_path)
    assert found.returncode == 2
    assert says in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_floor_that_breaks_stops_the_run_with_exit_code_1(parent: Path, tmp_path: Path) -> None:
    goals = ["--require", "accuracy>=1", "--require", "params<=1k"]
    arguments = ["evolve", parent, "--out", "run", "--generations", "9", *goals]
    found = edgesynth(*arguments, *COMMON, "--json", cwd=tmp_path)
    document = json.loads(found.stdout)
    assert found.returncode == 1
    assert "generation 2 keeps the accuracy" in document["stopped"]
    assert document["offspring"] == 1


def test_a_run_is_not_resumed_with_other_settings(parent: Path, tmp_path: Path) -> None:
    arguments = ["evolve", parent, "--out", "run", "--generations", "2", *COMMON]
    edgesynth(*arguments, "--require", "accuracy>=0.1", cwd=tmp_path)
    found = edgesynth(*arguments, "--require", "accuracy>=0.2", "--resume", cwd=tmp_path)
    assert found.returncode == 2
    assert "was started with another requirements" in found.stderr


def test_two_processes_never_work_on_one_run(parent: Path, tmp_path: Path) -> None:
    arguments = ["evolve", parent, "--out", "run", "--generations", "2", *COMMON]
    assert edgesynth(*arguments, "--resume", cwd=tmp_path).returncode in (0, 1)  # none to resume
    with (tmp_path / "run" / "history.jsonl").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        found = edgesynth(*arguments, "--resume", cwd=tmp_path)
    assert found.returncode == 2
    assert "another edgesynth works on this run" in found.stderr


def test_an_untrained_parent_is_refused(tmp_path: Path) -> None:
    found = edgesynth("evolve", "lenet5", "--out", "run", *COMMON, cwd=tmp_path)
    assert found.returncode == 2
    assert "train it first" in found.stderr
    assert not (tmp_path / "run").exists()


def test_ctrl_c_ends_in_one_line_and_leaves_nothing_half_made(parent: Path, tmp_path: Path) -> None:
    arguments = ["train", "lenet5", "--data", "digits", "--epochs", "900", "--out", "t.edgenet"]
    command = [sys.executable, "-m", "edgesynth.cli.main", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "t.edgenet.checkpoint").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=30)
    assert process.returncode == 130
    assert talk.strip().splitlines() == ["edgesynth: interrupted; what was finished is kept"]
    assert [p.name for p in tmp_path.iterdir()] == ["t.edgenet.checkpoint"]


def offspring(identity: str, accuracy: float, macs: int, *holds: tuple[str, bool]) -> Offspring:
    return Offspring(
        schema=SCHEMA,
        id=identity,
        generation=2,
        parent=None,
        seed=0,
        synapses=1,
        clusters=1,
        params=1,
        macs=macs,
        size_bytes=4,
        accuracy_at_birth=None,
        accuracy=accuracy,
        epochs=1,
        seconds=1.0,
        network="",
        requirements=[{"key": key, "holds": held} for key, held in holds],
    )


def test_what_a_run_delivers() -> None:
    floor, goal = "accuracy_loss_points", "macs"
    small = offspring("small", 0.80, 10, (floor, False))
    middle = offspring("middle", 0.89, 50, (floor, True))
    large = offspring("large", 0.90, 100, (floor, True))
    assert best([large, middle, small]).id == "middle"  # fewest MACs that keep the floor
    small = offspring("small", 0.80, 10, (floor, False), (goal, True))
    middle = offspring("middle", 0.88, 40, (floor, True), (goal, True))
    better = offspring("better", 0.89, 50, (floor, True), (goal, True))
    large = offspring("large", 0.90, 100, (floor, True), (goal, False))
    assert best([large, better, middle, small]).id == "better"  # most accurate that meets all
    assert best([large]).id == "large"


def test_a_history_of_another_make_is_named(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b'{"id": "g01-0"}\n')
    with pytest.raises(UserError, match="line 1"):
        read_history(tmp_path / "history.jsonl")


def judged(identity: str, accuracy: float, *verdicts: tuple[str, float, bool]) -> Offspring:
    """An offspring with verdicts of (requirement, value found, whether it holds)."""
    document = [
        {"requirement": text, "key": text.partition("<")[0], "value": value, "holds": holds}
        for text, value, holds in verdicts
    ]
    return msgspec.structs.replace(offspring(identity, accuracy, 1), requirements=document)


def test_a_tournament_is_won_by_the_lowest_worst_ratio() -> None:
    lean = judged("lean", 0.80, ("macs<=100", 80.0, True), ("params<=10", 11.0, False))
    even = judged("even", 0.79, ("macs<=100", 90.0, True), ("params<=10", 9.0, True))
    twin = judged("twin", 0.81, ("macs<=100", 90.0, True), ("params<=10", 5.0, True))
    fast = judged("fast", 0.99, ("throughput>=50", 25.0, False))
    assert [worst_ratio(one) for one in (lean, even, twin, fast)] == [1.1, 0.9, 0.9, 2.0]
    litter = [lean, even, twin, fast]
    assert [one.id for one in ranked(litter, "tournament")] == ["twin", "even", "lean", "fast"]
    assert [one.id for one in ranked(litter, "fittest")] == ["fast", "twin", "lean", "even"]
    unknown = judged("unknown", 1.0, ("macs<=100", None, None))
    assert ranked([unknown, fast], "tournament")[0].id == "fast"  # what is not known is no merit
    plain = [offspring("worse", 0.5, 1), offspring("better", 0.6, 1)]
    assert ranked(plain, "tournament")[0].id == "better"


def test_who_may_become_a_parent() -> None:
    sound = judged("sound", 0.9, ("accuracy_loss<=1", 0.5, True))
    low = judged("low", 0.5, ("accuracy_loss<=1", 40.0, False))
    bad = msgspec.structs.replace(sound, id="bad", rejected=True)
    assert [one.id for one in eligible([low, bad, sound])] == ["sound"]
    assert [one.id for one in eligible([low, bad])] == ["bad"]
    assert [one.id for one in eligible([low])] == ["low"]
