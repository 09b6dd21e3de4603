"""Real staged execution: the same answers as simulated, and nothing runs that need not."""

import numpy as np
import pytest
from exit_bundles import exits_document, logits, write_exits

from edgesynth_rt.benchmark import Timing, make_record, measure_one, setting
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import UserError
from edgesynth_rt.exits import drift
from edgesynth_rt.powered import PowerPlan
from edgesynth_rt.record import check_record
from edgesynth_rt.recorded_runner import RecordedRunner
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE, check_stages, run_policy
from edgesynth_rt.verify import verify_golden

FIRST = {"kind": "margin", "threshold": 0.3}
SECOND = {"kind": "entropy", "threshold": 0.8}
PLAN = Timing(1, 0.01, 10, 0, ())


def recorded_many(samples=500):
    """Inputs that differ from each other and logits of three stages for them."""
    inputs = np.arange(samples * 18, dtype=np.float32).reshape(samples, 2, 3, 3)
    return {"input": inputs}, dict(zip("abc", logits(seed=7, samples=samples)))


@pytest.mark.parametrize("batch", [1, 7, 64, 500])
def test_real_execution_answers_what_the_simulation_says(tmp_path, batch):
    bundle = open_bundle(write_exits(tmp_path / "b", exits_document(FIRST, SECOND)))
    inputs, outputs = recorded_many()
    runner = RecordedRunner(bundle, inputs, outputs)
    runner.batch = None
    found = run_samples(runner, inputs, batch)
    wanted = bundle.policy.simulate(outputs)
    assert np.array_equal(found["c"], wanted.logits)
    assert np.array_equal(found[STAGE], wanted.left) and set(wanted.left) == {0, 1, 2}
    # a stage ran for exactly those that reached it
    assert runner.stage_runs == wanted.visited.sum(axis=0).tolist()


def test_a_fixed_batch_is_filled_up(tmp_path):
    bundle = open_bundle(write_exits(tmp_path / "b", exits_document(FIRST, SECOND)))
    inputs, outputs = recorded_many(64)
    seen = []

    def run_stage(index, taken):
        seen.append(len(taken["input"]))
        places = (taken["input"][:, 0, 0, 0] / 18).astype(int)
        return {"abc"[index]: outputs["abc"[index]][places]}

    stage = bundle.stages[0]  # all three take the image
    answers, left = run_policy(bundle.policy, [stage] * 3, run_stage, inputs, batch=16)
    wanted = bundle.policy.simulate(outputs)
    assert set(seen) == {16}
    assert np.array_equal(answers, wanted.logits) and np.array_equal(left, wanted.left)


def test_features_follow_their_samples(tmp_path):
    """The second stage must get the features of exactly the samples that stayed."""
    bundle = open_bundle(write_exits(tmp_path / "b", exits_document(FIRST, SECOND)))
    inputs, outputs = recorded_many(90)
    place = {name: {row.tobytes(): k for k, row in enumerate(outputs[name])} for name in "abc"}

    def run_stage(index, taken):
        if index == 0:
            places = (taken["input"][:, 0, 0, 0] / 18).astype(int)
            return {"a": outputs["a"][places], "features": np.stack([places, -places], axis=1)}
        places = taken["features"][:, 0]
        assert np.array_equal(-places, taken["features"][:, 1])
        return {"abc"[index]: outputs["abc"[index]][places]}

    answers, left = run_policy(bundle.policy, bundle.stages, run_stage, inputs)
    for k in range(90):
        assert place["abc"[left[k]]][answers[k].tobytes()] == k


def test_golden_outputs_say_nothing_of_thresholds(tmp_path):
    """Whoever changes a threshold in the manifest still has a bundle that verifies."""
    counts = []
    for threshold in (-1.0, 2.0):
        policy = exits_document(dict(FIRST, threshold=threshold), SECOND)
        bundle = open_bundle(write_exits(tmp_path / str(threshold), policy))
        runner = RecordedRunner(bundle)
        found = verify_golden(runner, bundle)
        assert [each.output for each in found] == ["a", "b", "c"]
        inputs, _ = bundle.golden()
        counts.append(int((run_samples(runner, inputs, 1)[STAGE] == 0).sum()))
    assert counts[0] == len(inputs["input"]) and counts[1] == 0


def bench(bundle, left=None):
    runner = RecordedRunner(bundle)
    where = setting(runner, {})
    power = PowerPlan("none", None, None, False)
    outcome = measure_one(runner, bundle, 1, PLAN, power, where.device)
    accuracy = {"value": 0.5, "n": 100, "right": 50, "data": "digits", "split": "test"}
    accuracy = dict(accuracy, left=left) if left else {"not_measured": "no --data was given"}
    record = make_record(bundle, runner, 1, PLAN, outcome, where, accuracy)
    check_record(record, "this record")
    return record


def test_the_record_carries_exits_beside_the_expected_ones(tmp_path):
    expected = {"first": 0.5, "second": 0.25, "last": 0.25}
    policy = exits_document(FIRST, SECOND, expected={"exits": expected, "n": 1000})
    bundle = open_bundle(write_exits(tmp_path / "b", policy))
    record = bench(bundle, {"first": 52, "second": 25, "last": 23})
    assert record["backend"] == "recorded"
    assert record["exits"]["shares"] == {"first": 0.52, "second": 0.25, "last": 0.23}
    assert record["exits"]["expected"] == expected and record["exits"]["n"] == 100
    assert record["exits"]["counted_on"] == "digits, test split"
    # 10, 10 + 20 and 10 + 20 + 70 by where they left
    assert record["exits"]["mean_cost"]["value"] == pytest.approx(5.2 + 7.5 + 23)
    assert not record["exits"]["drift"]["alarm"]
    assert "left" not in record["accuracy"]
    assert not any("leave elsewhere" in each for each in record["validity"])
    assert bench(bundle)["exits"]["counted_on"] == "golden inputs"


def test_inputs_that_leave_elsewhere_raise_the_alarm(tmp_path):
    expected = {"first": 0.9, "second": 0.05, "last": 0.05}
    policy = exits_document(FIRST, SECOND, expected={"exits": expected, "n": 1000})
    bundle = open_bundle(write_exits(tmp_path / "b", policy))
    record = bench(bundle, {"first": 40, "second": 10, "last": 50})
    assert record["exits"]["drift"] == {"alarm": True, "largest": 0.5, "stage": "first"}
    assert any("40.0 % at first instead of 90.0 %" in each for each in record["validity"])


def test_few_samples_are_no_drift():
    expected = {"first": 0.5, "last": 0.5}
    assert not drift({"first": 0.8, "last": 0.2}, 8, expected, 1000)["alarm"]
    assert drift({"first": 0.8, "last": 0.2}, 800, expected, 1000)["alarm"]
    assert drift({"first": 1.0, "last": 0.0}, 800, None, 0) is None


def test_an_input_that_was_not_recorded(tmp_path):
    bundle = open_bundle(write_exits(tmp_path / "b", exits_document(FIRST, SECOND)))
    with pytest.raises(UserError, match="sample 0 was not recorded"):
        RecordedRunner(bundle).run({"input": np.full((1, 2, 3, 3), 77, np.float32)})


def test_a_way_without_the_tensor_that_a_stage_needs(tmp_path):
    """From the first stage straight to the last one, which takes an output of the second."""
    policy = exits_document(FIRST, SECOND)
    policy["nodes"][0].update(choices=[None, "second", "last"], gates=[FIRST] * 3)
    bundle = open_bundle(write_exits(tmp_path / "b", policy))
    check_stages(bundle)
    bundle.stages[2].inputs[0]["name"] = "b"
    bundle.stages[2].inputs[0]["shape"] = [1, 4]
    with pytest.raises(UserError, match="takes b, which is not there on every way"):
        check_stages(bundle)
