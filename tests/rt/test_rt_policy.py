"""Policies: confidences by their textbook formulas, decisions, simulation, what is refused."""

import math

import numpy as np
import pytest
from exit_bundles import exits_document, logits, write_exits
from hand_made import refused

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.policy import STOP, Node, Policy, chain, confidence, gate, passes

LOGITS = np.array([[2.0, 1.0, -1.0, 0.5], [0.0, 0.0, 0.0, 0.0], [9.0, -9.0, 1.0, 3.0]], np.float32)
WEIGHTS = (1.5, -0.5, 0.25, 2.0)
MAXIMUM = {"kind": "maximum", "threshold": 0.6}


def softmax(row):
    powers = [math.exp(value - max(row)) for value in row]
    return sorted((power / sum(powers) for power in powers), reverse=True)


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("maximum", lambda p: p[0]),
        ("entropy", lambda p: -sum(each * math.log(each) for each in p)),
        ("margin", lambda p: p[0] - p[1]),
        (
            "linear",
            lambda p: 1 / (1 + math.exp(-(sum(w * q for w, q in zip(WEIGHTS, p)) - 0.75))),
        ),
    ],
)
def test_confidence_by_its_formula(kind, formula):
    found = confidence(kind, LOGITS, WEIGHTS, -0.75)
    assert found.dtype == np.float32
    wanted = [formula(softmax([float(value) for value in row])) for row in LOGITS]
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["maximum", "entropy", "margin", "linear"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_never_leave(kind, bad):
    rows = np.array([[1.0, bad, 0.0, 0.0], [bad, bad, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]], np.float32)
    threshold = 100.0 if kind == "entropy" else -100.0
    found = gate(kind, threshold, WEIGHTS, 0.0).passes(rows)
    assert found.tolist() == [False, False, True]
    assert not gate(kind, np.nan, WEIGHTS, 0.0).passes(rows).any()


def test_minus_infinity_is_a_class_that_cannot_be():
    rows = np.array([[1.0, -np.inf, -np.inf, -np.inf], [-np.inf] * 4], np.float32)
    assert confidence("maximum", rows)[0] == 1.0 and np.isnan(confidence("maximum", rows)[1])
    assert confidence("entropy", rows)[0] == 0.0
    assert confidence("margin", rows)[0] == 1.0


def test_one_class_has_the_whole_margin():
    assert confidence("margin", np.zeros((2, 1), np.float32)).tolist() == [1.0, 1.0]


def test_a_threshold_that_is_met_is_enough():
    exact = confidence("maximum", LOGITS)
    assert passes("maximum", exact, float(exact[0]))[0]
    assert passes("entropy", exact, float(exact[0]))[0]


def test_exits_leave_at_the_first_gate_that_they_pass():
    gates = [gate("maximum", 0.6), gate("entropy", 0.9)]
    policy = chain(["x", "y", "z"], ["a", "b", "c"], gates, costs=[1.0, 2.0, 4.0])
    recorded = dict(zip("abc", logits(seed=3, samples=200)))
    found = policy.simulate(recorded)
    first = confidence("maximum", recorded["a"]) >= np.float32(0.6)
    second = confidence("entropy", recorded["b"]) <= np.float32(0.9)
    wanted = np.where(first, 0, np.where(second, 1, 2))
    assert found.left.tolist() == wanted.tolist() and set(wanted) == {0, 1, 2}
    assert found.visited.sum(axis=1).tolist() == (wanted + 1).tolist()
    rows = np.stack([recorded[name] for name in "abc"])[wanted, np.arange(200)]
    assert np.array_equal(found.logits, rows)
    assert policy.mean_cost(found.visited) == pytest.approx(np.array([1, 3, 7])[wanted].mean())
    assert sum(policy.shares(found.left).values()) == pytest.approx(1)


def test_a_tree_jumps_and_pays_for_what_it_ran():
    """Stage x asks for y or z; who goes to z has not paid for y."""
    router = (gate("maximum", 0.8), gate("maximum", 0.8), gate("margin", 0.2))
    nodes = [
        Node(0, "a", (STOP, 1, 2), router),
        Node(1, "b", (STOP,), ()),
        Node(2, "c", (STOP,), ()),
    ]
    policy = Policy("cascade", ["x", "y", "z"], nodes, costs=[1.0, 2.0, 4.0])
    recorded = dict(zip("abc", logits(seed=5, samples=300)))
    found = policy.simulate(recorded)
    sure = confidence("maximum", recorded["a"]) >= np.float32(0.8)
    half = confidence("margin", recorded["a"]) >= np.float32(0.2)
    wanted = np.where(sure, 0, np.where(half, 1, 2))
    assert found.left.tolist() == wanted.tolist() and set(wanted) == {0, 1, 2}
    cost = found.visited.dot(np.array([1, 2, 4]))
    assert cost.tolist() == np.array([1, 3, 5])[wanted].tolist()


def test_equal_votes_go_to_the_most_careful_choice():
    never = gate("maximum", 2.0)
    always = gate("maximum", -1.0)
    node = Node(0, "a", (STOP, 1, 2), (always, never, always))  # each choice has one vote
    assert node.choose(LOGITS).tolist() == [2, 2, 2]


def test_a_policy_survives_its_manifest(tmp_path):
    linear = {"kind": "linear", "threshold": 0.5, "weights": list(WEIGHTS), "bias": -0.75}
    document = exits_document(
        MAXIMUM, linear, expected={"exits": {"first": 0.5, "second": 0.25, "last": 0.25}, "n": 800}
    )
    policy = open_bundle(write_exits(tmp_path / "b", document)).policy
    assert policy.document() == document
    assert policy.nodes[1].gates[0].weights == WEIGHTS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.update(kind="other"), "policy.kind"),
        (lambda p: p["nodes"].pop(), "policy.nodes has 2 elements"),
        (lambda p: p["nodes"][0].update(stage="last"), "nodes stand in the order of the stages"),
        (lambda p: p["nodes"][1].update(choices=[None, "first"]), "a later stage"),
        (lambda p: p["nodes"][0].update(choices=["second", None]), "null first"),
        (lambda p: p["nodes"][0].update(gates=[]), "gates has 0 elements"),
        (lambda p: p["nodes"][0]["gates"][0].update(kind="odd"), "gates[0].kind"),
        (lambda p: p["nodes"][0]["gates"][0].update(threshold="x"), "threshold"),
        (lambda p: p["nodes"][2].update(choices=["last"]), "a later stage"),
        (lambda p: p["nodes"][1].update(choices=[None], gates=[]), "last is not"),
        (lambda p: p["cost"].update(stages=[1, 2]), "cost.stages has 2 elements"),
        (lambda p: p.update(expected={"exits": {"other": 1}, "n": 9}), "a stage of this bundle"),
    ],
)
def test_a_wrong_policy_is_refused_in_one_line(tmp_path, change, words):
    document = exits_document(dict(MAXIMUM), dict(MAXIMUM))
    change(document)
    assert words in refused(write_exits(tmp_path / "b", document))
