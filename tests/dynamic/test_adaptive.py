"""`reproduce adaptive` on digits: what runs, what is written, and how curves are compared."""

import json

import pytest

from edgesynth.core.errors import UserError
from edgesynth.workflows.reproduce.adaptive import (
    at_equal_accuracy,
    curves_over_seeds,
    reproduce_adaptive,
)
from edgesynth.workflows.reproduce.adaptive_recipe import AdaptiveRecipe, adaptive_recipe
from edgesynth.workflows.reproduce.adaptive_seed import Row

RECIPE = AdaptiveRecipe(
    networks=("lenet5:width=0.3",),
    cascade=("lenet5:width=0.1", "lenet5:width=0.3"),
    ancestor_epochs=4,
    epochs=3,
    batch=64,
    learning_rate=4e-3,
    augment="none",
    exits=1,
    head=(1, 8),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("adaptive") / "out"
    return out, reproduce_adaptive("digits", out, seeds=[0], recipe=RECIPE)


def test_every_method_is_in_the_same_run(done):
    out, document = done
    assert set(document["curves"]) == {"lenet5:width=0.3", "cascade"}
    for subject, methods in document["curves"].items():
        known = {"learned", "entropy", "maximum", "margin", "chance", "oracle", "stage"}
        assert known <= set(methods), subject
    assert "learned tree" in document["curves"]["cascade"]
    checks = [each["check"] for each in document["checks"]]
    assert checks.count("saves") == checks.count("no-worse") == checks.count("bounds") == 2
    assert checks.count("wall-clock") == 1
    page = (out / "report.html").read_text()
    assert "MACs at equal accuracy" in page and "<svg" in page


def test_what_was_executed_left_where_it_was_simulated(done):
    _, document = done
    clocked = [row["latency"] for row in document["rows"] if row["latency"]]
    for latency in clocked:
        assert latency["same_exit"] == 1.0
        assert 0 < latency["first_stage_ms"] <= latency["staged_p99_ms"]


def test_nothing_is_done_twice(done):
    out, document = done
    before = {file: file.stat().st_mtime_ns for file in out.rglob("weights.safetensors")}
    again = reproduce_adaptive("digits", out, seeds=[0], recipe=RECIPE)
    assert again["rows"] == document["rows"]
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("weights.safetensors")}
    with pytest.raises(UserError, match="results of other settings"):
        reproduce_adaptive("digits", out, seeds=[0], recipe=AdaptiveRecipe())
    assert json.loads((out / "result.json").read_text())["seeds"] == [0]


def row(seed, method, budget, lost, share):
    return Row(
        seed=seed, subject="net", method=method, budget=budget, reference=0.9,
        accuracy=0.9 - lost / 100, full=100.0, cost=100.0 * share, p99=100.0,
        shares={"exit1": 0.5, "final": 0.5},
    )  # fmt: skip


def test_costs_are_compared_at_equal_accuracy():
    rows = [
        *(row(seed, "learned", 0.1, 0.2, 0.5) for seed in (0, 1)),
        *(row(seed, "learned", 1.0, 1.2, 0.2) for seed in (0, 1)),
        *(row(seed, "entropy", 0.1, 0.3, 0.6) for seed in (0, 1)),
        *(row(seed, "entropy", 1.0, 1.0, 0.3) for seed in (0, 1)),
        row(0, "margin", 0.5, 0.5, 0.4),  # of one seed only: no mean
    ]
    curves = curves_over_seeds(rows)["net"]
    assert curves["margin"] == [] and len(curves["learned"]) == 2
    assert curves["learned"][0]["lost_points"]["mean"] == pytest.approx(0.2)
    levels = {each["lost_points"]: each["share_of_macs"] for each in at_equal_accuracy(curves)}
    assert levels[0.3]["entropy"] == pytest.approx(0.6)
    # a tenth of the way from 0.5 to 0.2, on a logarithmic scale
    assert levels[0.3]["learned"] == pytest.approx(0.5 * (0.2 / 0.5) ** 0.1)
    assert levels[1.0]["entropy"] == pytest.approx(0.3)


def test_options_that_mean_nothing_are_refused():
    recipe = adaptive_recipe({"network": "lenet5", "epochs": "3", "pressure": None})
    assert recipe.networks == ("lenet5",) and recipe.epochs == 3
    with pytest.raises(UserError, match="--pressure means nothing"):
        adaptive_recipe({"pressure": 2.0})
