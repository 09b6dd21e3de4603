"""The search: what it learns, what it compares with, and what it says when nothing fits."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Silent
from edgesynth.core.search import PROTOTYPE, read_candidates, read_search
from edgesynth.synthesis.generative.evaluation import Proposal
from edgesynth.synthesis.generative.search import Effort, obstacles, run_search
from edgesynth.synthesis.generative.searchers import RIVALS, rival_search
from edgesynth.synthesis.generative.trainings import ranked
from search_worlds import WidthWorld, evaluator_in, searcher_of

EFFORT = Effort(evaluations=32, per_cycle=8)


def searched(folder: Path, name: str, *requirements: str, effort: Effort = EFFORT):
    evaluator = evaluator_in(folder, *requirements)
    searcher = searcher_of(name, evaluator)
    with evaluator.folder:
        return evaluator, searcher, run_search(searcher, evaluator, effort, Silent())


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory):
    return searched(tmp_path_factory.mktemp("learned") / "s", "generator", "accuracy_loss<=3")


def test_the_generator_learns(learned) -> None:
    """F2: the last two cycles are better than the first, and the best is near what a random search
    finds or above it."""
    evaluator, _, found = learned
    cycles = evaluator.folder.search.cycles
    first = mean(one.score for one in found if one.cycle == 1)
    last = mean(one.score for one in found if one.cycle >= 3)
    assert last >= first + 3
    assert len(found) == 32 and [cycle.number for cycle in cycles] == [1, 2, 3, 4]
    assert cycles[0].mu == [0.5] * len(evaluator.space.genes) != cycles[-1].mu


def test_it_is_no_luck(learned, tmp_path: Path) -> None:
    _, _, found = learned
    _, _, random = searched(tmp_path / "r", "random", "accuracy_loss<=3")
    assert ranked(found)[0].feasible
    assert ranked(found)[0].score >= ranked(random)[0].score - 1


def test_the_inquisitor_foretells_what_it_has_not_seen(learned) -> None:
    search = learned[0].folder.search
    assert search.foretold == 24  # every network from cycle 2 on
    assert search.rank_correlation is not None and search.rank_correlation > 0.3
    assert search.cycles[-1].likely is not None


def test_seeds_are_many_networks(learned) -> None:
    """F3: 64 seeds, at least 40 distinct networks."""
    _, searcher, _ = learned
    space = learned[0].space
    theta = searcher.theta()
    noise = np.random.default_rng(5).standard_normal((64, len(space.genes)))
    assert len({str(space.choice(point)) for point in theta.points(noise)}) >= 40


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_spend_the_same(name: str, tmp_path: Path) -> None:
    if name == "tpe":
        pytest.importorskip("optuna")
    effort = Effort(evaluations=12, per_cycle=5)
    evaluator, _, found = searched(tmp_path / "s", name, "accuracy_loss<=3", effort=effort)
    assert [one.id for one in found][-1] == "c03-2" and len(found) == 12
    again = rival_search(name, evaluator.space, 0)
    for cycle in (1, 2):  # told the same, a searcher asks for the same
        asked = again.ask(cycle, 5)
        told = [one for one in found if one.cycle == cycle]
        assert [p.point.round(6).tolist() for p in asked] == [one.point for one in told]
        again.tell(cycle, told)
    with pytest.raises(UserError, match='did you mean "random"'):
        rival_search("rndom", evaluator.space, 0)


def test_no_architecture_is_trained_twice(tmp_path: Path) -> None:
    world = WidthWorld()
    evaluator = evaluator_in(tmp_path / "s", world=world)
    with evaluator.folder:
        evaluator.reference()
        points = [np.full(len(evaluator.space.genes), at) for at in (0.2, 0.4)]
        first = evaluator.evaluate(1, [Proposal(point) for point in points])
        second = evaluator.evaluate(2, [Proposal(points[1]), Proposal(points[0] + 0.5)])
    assert [one.same_as for one in (*first, *second)] == [None, None, "c01-2", None]
    assert second[0].accuracy == first[1].accuracy and second[0].id == "c02-1"
    assert world.trained == [PROTOTYPE, "c01-1", "c01-2", "c02-2"]


def test_a_search_ends_the_same_wherever_it_was_killed(tmp_path: Path) -> None:
    effort = Effort(evaluations=12, per_cycle=6)
    whole = searched(tmp_path / "whole", "generator", "accuracy_loss<=3", effort=effort)
    evaluator = evaluator_in(tmp_path / "killed", "accuracy_loss<=3")
    lines = (tmp_path / "whole" / "candidates.jsonl").read_bytes().splitlines(keepends=True)
    with evaluator.folder:
        pass
    (tmp_path / "killed" / "candidates.jsonl").write_bytes(b"".join(lines[:9]) + lines[9][:40])
    world = WidthWorld()
    resumed = evaluator_in(tmp_path / "fresh", "accuracy_loss<=3", world=world)
    with resumed.folder as other:
        resumed.folder = type(other).resume(tmp_path / "killed", other.search)
    with resumed.folder:
        found = run_search(searcher_of("generator", resumed), resumed, effort, Silent())
    strip = {"seconds": 0.0}
    assert [{**one, **strip} for one in map(vars_of, found)] == [
        {**one, **strip} for one in map(vars_of, whole[2])
    ]
    assert len(world.trained) == 13 - 9
    assert len(read_candidates(tmp_path / "killed" / "candidates.jsonl")) == 13


def vars_of(one) -> dict:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def test_what_cannot_be_met_ends_after_one_cycle(tmp_path: Path) -> None:
    evaluator, _, found = searched(tmp_path / "s", "generator", "params<=10")
    assert len(found) == 8
    (wall,) = evaluator.folder.search.obstacles
    assert wall.startswith("params<=10: the smallest network that can be made of plain has ")


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    effort = Effort(evaluations=16, per_cycle=8)
    wanted = ("accuracy_loss<=0.5", "macs<=5k")
    evaluator, _, found = searched(tmp_path / "s", "generator", *wanted, effort=effort)
    best = ranked(found)[0]
    assert not best.feasible and len(found) == 16
    lines = obstacles(found, evaluator.problem.requirements, evaluator)
    assert {line.partition(":")[0] for line in lines} == set(best.gaps)
    assert all("of 16 networks the nearest, c0" in line for line in lines)


def test_files_say_what_was_done(learned) -> None:
    folder = learned[0].folder.folder
    search = read_search(folder)
    assert search.schema == "edgesynth.search/1" and len(search.cycles) == 4
    lines = read_candidates(folder / "candidates.jsonl")
    assert lines[0].id == PROTOTYPE and lines[0].choice == {} and len(lines) == 33
    assert all(len(one.reactions) == 3 for one in lines)  # two convolutions, linear layers
    (folder / "candidates.jsonl").write_bytes(b"{}\n")
    with pytest.raises(UserError, match="line 1"):
        read_candidates(folder / "candidates.jsonl")
