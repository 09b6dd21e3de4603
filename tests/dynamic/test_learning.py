"""Learned policies against brute force, bounds and the thresholds of BranchyNet (checks A1, A2)."""

from itertools import pairwise

import numpy as np
import pytest
from recorded_answers import COSTS, answers

from edgesynth.core.requirement import parse_requirements
from edgesynth.dynamic.answers import judge
from edgesynth.dynamic.bounds import chance, oracle
from edgesynth.dynamic.curve import (
    Goal,
    choose,
    densified,
    learned_curve,
    refined,
    threshold_curve,
)
from edgesynth.dynamic.gate_fit import best_threshold, fit_gate
from edgesynth.dynamic.learned import TREE, learn
from edgesynth.dynamic.thresholds import polish, screen, undominated
from edgesynth_rt.policy import passes


@pytest.fixture(scope="module")
def seen():
    return answers(seed=1)


@pytest.fixture(scope="module")
def unseen():
    return answers(3000, seed=2)


@pytest.mark.parametrize("kind", ["maximum", "entropy", "margin"])
def test_the_threshold_is_the_best_there_is(kind):
    draw = np.random.default_rng(5)
    for _ in range(30):
        found = np.round(draw.random(12), 1).astype(np.float32)  # with ties
        wanted, weights = draw.random(12) < 0.5, draw.random(12)

        def error(threshold, found=found, wanted=wanted, weights=weights):
            return weights[passes(kind, found, threshold) != wanted].sum()

        best = min(error(each) for each in [-2.0, *np.arange(0, 1.1, 0.05), 2.0])
        assert error(best_threshold(kind, found, wanted, weights)) == pytest.approx(best)


def test_a_linear_gate_learns_what_is_linear_in_the_probabilities():
    recorded = answers(600, seed=3)
    logits = recorded.logits[0]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    ordered = -np.sort(-powers / powers.sum(axis=1, keepdims=True), axis=1)
    wanted = ordered @ np.array([1.0, -2.0, 0.5, 0, 0, 0, 0, 0, 0, 0]) > 0.1
    gate = fit_gate(logits, wanted, np.ones(600), ["linear"])
    assert (gate.passes(logits) == wanted).mean() > 0.97


def test_the_price_of_an_error_moves_the_policy(seen):
    cheap = judge(learn(seen, COSTS, 0.0), seen)
    assert cheap.shares["exit1"] == 1.0 and cheap.cost == pytest.approx(COSTS[0])
    dear = judge(learn(seen, COSTS, 1e6), seen)
    assert dear.accuracy >= seen.right[-1].mean() - 0.002
    curve = [judge(learn(seen, COSTS, each), seen) for each in (0.5, 2, 8, 32, 128)]
    assert all(b.cost >= 0.99 * a.cost for a, b in pairwise(curve))
    assert all(b.accuracy >= a.accuracy - 0.005 for a, b in pairwise(curve))


def test_polishing_lowers_what_it_says(seen):
    def lagrangian(policy, penalty):
        point = judge(policy, seen)
        return point.cost / sum(COSTS) + penalty * (1 - point.accuracy)

    for penalty in (2.0, 10.0):
        policy = learn(seen, COSTS, penalty)
        tuned = polish(policy, seen, COSTS, penalty)
        assert lagrangian(tuned, penalty) <= lagrangian(policy, penalty) + 1e-9


def test_learned_gates_are_no_worse_than_the_best_thresholds(seen, unseen):
    """Check A1: at least as few MACs as screened entropy thresholds less 5 %, on unseen answers."""
    reference = seen.right[-1].mean()
    learned = learned_curve(seen, COSTS, penalties=np.geomspace(2, 100, 8))
    entropy = threshold_curve(seen, COSTS, "entropy")
    for points in (0.5, 1.0):
        ours, theirs = (choose(curve, Goal(reference, points)) for curve in (learned, entropy))
        mine, other = judge(ours.policy, unseen), judge(theirs.policy, unseen)
        lost = 100 * (other.accuracy - mine.accuracy)
        assert mine.cost <= other.cost * 1.05 + 0.05 * max(0.0, -lost)
        assert lost < 0.7


def test_nothing_beats_the_oracle_and_everything_beats_chance(seen, unseen):
    best = oracle(unseen, COSTS)
    assert best.accuracy >= unseen.right[-1].mean()
    for candidate in learned_curve(seen, COSTS, penalties=(5.0, 20.0)):
        point = judge(candidate.policy, unseen)
        blind = chance(unseen, COSTS, point.shares)
        assert blind.cost == pytest.approx(point.cost)
        assert point.accuracy > blind.accuracy + 0.01
        assert point.cost > best.cost and point.accuracy < best.accuracy


def test_screening_keeps_what_nothing_dominates(seen):
    points = [judge(policy, seen) for policy in screen(seen, COSTS, "margin")]
    assert len(points) > 10
    assert [p.cost for p in points] == sorted(p.cost for p in points)
    assert [p.accuracy for p in points] == sorted(p.accuracy for p in points)
    assert undominated([(0.9, 1.0), (0.8, 2.0), (0.95, 3.0), (0.9, 0.5)]) == [3, 2]


def test_a_budget_is_solved_for(seen):
    goal = Goal(float(seen.right[-1].mean()), 1.0)

    def make(penalties):
        return learned_curve(seen, COSTS, penalties=penalties, kinds=("entropy",))

    curve = refined(make, goal)
    chosen = choose(curve, goal)
    assert 100 * (goal.reference - chosen.expected.accuracy) <= 1.0
    assert chosen.expected.cost == min(c.expected.cost for c in curve if goal.holds(c.expected))
    assert len(curve) > 14
    demanding = Goal(goal.reference, 1.0, parse_requirements(("macs<=0.01",)))
    assert choose(curve, demanding) is None


def test_budgets_between_the_hulls_corners_are_met(seen):
    """With one exit a price of an error gives few policies; thresholds fill the gaps."""
    two = seen.only([0, 2])
    costs = [0.2, 0.8]
    curve = learned_curve(two, costs, penalties=(2.0, 10.0, 50.0))
    dense = densified(curve, two, costs)
    assert len(dense) > len(curve) + 20
    reference = float(two.right[-1].mean())
    chosen = [choose(dense, Goal(reference, budget)) for budget in (0.5, 1.0, 1.5, 2.0, 3.0)]
    spent = [each.expected.cost for each in chosen]
    assert spent == sorted(spent, reverse=True) and len(set(spent)) == 5


def test_a_tree_skips_a_network_that_does_not_help(seen):
    """Three networks, the middle one hardly better than the first and half as dear as the last."""
    cascade = answers(1500, seed=8, strength=(2.2, 2.3, 6.0))
    costs = [0.05, 0.5, 1.0]
    chain = learn(cascade, costs, 20.0, kind="cascade", kinds=("entropy",))
    tree = learn(cascade, costs, 20.0, kind="cascade", shape=TREE, kinds=("entropy",))
    points = [judge(policy, cascade) for policy in (chain, tree)]
    assert points[1].cost < 0.9 * points[0].cost
    assert points[1].accuracy > points[0].accuracy - 0.01
    assert points[1].p99 == pytest.approx(1.05)
    assert tree.nodes[0].choices == (None, 1, 2) and len(tree.nodes[0].gates) == 3
    assert oracle(cascade, costs, TREE).cost < points[1].cost
