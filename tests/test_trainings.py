"""Full trainings of candidates: which are chosen, and what the problem learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgesynth.core.requirement import parse_requirements
from edgesynth.core.search import Candidate
from edgesynth.synthesis.generative.evaluation import Proposal
from edgesynth.synthesis.generative.problem import Problem, Utility
from edgesynth.synthesis.generative.trainings import Trainings, ranked
from search_worlds import evaluator_in

PROBLEM = Problem(
    utility=Utility("netscore"),
    requirements=parse_requirements(("accuracy_loss<=1",)),
    prototype_accuracy=0.9,
    reference=0.8,
)


def test_what_a_full_training_leaves_of_a_loss_is_learned() -> None:
    assert PROBLEM.recovery == 1 and PROBLEM.floor() == pytest.approx(0.79)
    # half weight: 4 of 8 points after the short training, 0.5 of 1 point after the full one, beside
    # the usual quarter of 2 points
    learned = PROBLEM.with_recovery([(0.72, 0.89)])
    assert learned.recovery == pytest.approx((0.5 + 0.5) / (4 + 2))
    assert learned.floor() == pytest.approx(0.8 - 0.01 * 6)


def test_one_network_that_lost_nothing_proves_little() -> None:
    lucky = PROBLEM.with_recovery([(0.799, 0.91)])
    assert 0.2 < lucky.recovery < 0.25
    often = PROBLEM.with_recovery([(0.7, 0.9)] * 4)
    assert 0.0 < often.recovery < 0.05
    assert 0.6 < PROBLEM.with_recovery([(0.7, 0.2)]).recovery < 1
    assert PROBLEM.with_recovery([(0.7, 0.2)] * 4).recovery == 1


@pytest.mark.parametrize(("already", "sizes"), [(0, [2, 1, 1]), (1, [1, 2, 1])])
def test_half_of_what_is_left_is_trained_at_a_time(
    already: int, sizes: list[int], tmp_path: Path
) -> None:
    evaluator = evaluator_in(tmp_path / "s", "accuracy_loss<=3")
    random = np.random.default_rng(0)
    trained: list[list[str]] = []
    with evaluator.folder:
        evaluator.reference()
        points = random.random((8, len(evaluator.space.genes)))
        found = evaluator.evaluate(1, [Proposal(point) for point in points])

        def train(chosen: Sequence[Candidate]) -> list[float]:
            trained.append([one.id for one in chosen])
            return [0.0 for _ in chosen]  # nothing is good enough

        first = ranked(found)[0]
        trainings = Trainings(evaluator, train)
        if already:
            trainings.look(found)
        trainings.finish(found, 4)
    assert [len(each) for each in trained] == sizes and trained[0][0] == first.id
    flat = [name for each in trained for name in each]
    assert len(set(flat)) == len(flat) == len(trainings.pairs) == 4
    assert evaluator.problem.recovery == 1  # nothing heals
