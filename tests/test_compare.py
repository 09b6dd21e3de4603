"""`edgesynth compare`: records and bundles side by side, measured and predicted kept apart."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesynth.cli.main import run
from edgesynth.core.comparison import compare_records
from edgesynth.core.errors import UserError
from edgesynth.core.requirement import parse_requirement
from edgesynth.core.verdicts import all_hold, judge_record, record_values
from edgesynth.workflows.bench import bench
from edgesynth.workflows.compare import compare
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth_rt.record import write_record
from edgesynth_rt.statistics import summarize
from make_bundle import make_bundle

PLAN = MeasuringPlan(duration_s=0, warm_up_ms=1, iterations=100)


def record_of(latencies: Any, name: str = "x", **changed: Any) -> dict[str, Any]:
    """A measured record of these latencies."""
    record = {
        "schema": "edgesynth.record/1", "kind": "measured", "name": name,
        "bundle": {"name": name, "id": "0" * 64}, "device": {"module": "host"},
        "backend": "onnxruntime", "precision": "fp32", "batch": 1, "software": {},
        "latency_ms": summarize(latencies), "throughput_per_s": 1e3 / float(np.mean(latencies)),
        "energy": {"not_measured": "x"}, "accuracy": {"not_measured": "x"},
        "cost": {"params": 100, "macs": 2000, "size_bytes": 400}, "requirements": [],
        "exits": None, "validity": [], "raw": None, "measurement": {"run": None}, "command": "",
        "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return {**record, **changed}


def predicted_of(latency_ms: float, module: str = "tx2", **changed: Any) -> dict[str, Any]:
    record = record_of([latency_ms], kind="predicted", device={"module": module}, layers=[])
    record.update(latency_ms={"mean": latency_ms}, model={}, backend="roofline", **changed)
    return record


BASE = np.random.default_rng(0).normal(10, 0.1, 400)


def found(document: dict[str, Any], key: str) -> dict[str, Any]:
    (entry,) = [entry for entry in document["differences"] if entry["key"] == key]
    return entry


def test_figures_ratios_and_intervals() -> None:
    accuracy = {"value": 0.9, "n": 1000, "data": "d", "split": "test"}
    a = record_of(BASE, "a", accuracy=accuracy)
    b = record_of(BASE / 2, "b", accuracy={**accuracy, "value": 0.85},
                  cost={"params": 25, "macs": None, "size_bytes": 100})  # fmt: skip
    document = compare_records(["a", "b"], [a, b], [BASE, BASE / 2])
    rows = {row["key"]: row for row in document["rows"]}
    assert rows["params"]["values"] == [100, 25] and rows["params"]["ratios"] == [None, 0.25]
    assert rows["macs"]["values"] == [2000, None] and rows["macs"]["ratios"] == [None, None]
    assert "energy_mj" not in rows  # nobody measured it
    p50 = found(document, "latency_p50_ms")
    assert p50["difference"] == pytest.approx(-5, abs=0.05) and p50["shown"]
    assert p50["ratio_ci95"][0] < 0.5 < p50["ratio_ci95"][1] and not p50["paired"]
    points = found(document, "accuracy")
    assert points["difference"] == pytest.approx(-0.05) and points["shown"]
    assert points["ci95"][0] < -0.05 < points["ci95"][1] < 0
    assert "not measured in one run" in document["notes"][0]


def test_no_difference_shown() -> None:
    other = np.random.default_rng(1).normal(10, 0.1, 400)
    document = compare_records(["a", "b"], [record_of(BASE), record_of(other)], [BASE, other])
    assert [entry["shown"] for entry in document["differences"]] == [False, False]


def test_one_run_is_compared_in_pairs() -> None:
    run_id = {"measurement": {"run": "7"}}
    records = [record_of(BASE, "a", **run_id), record_of(BASE * 1.02, "b", **run_id)]
    document = compare_records(["a", "b"], records, [BASE, BASE * 1.02])
    p50 = found(document, "latency_p50_ms")
    assert p50["paired"] and p50["ratio"] == pytest.approx(1.02) and p50["shown"]
    assert document["notes"] == []


def test_measured_and_predicted_are_never_one_difference() -> None:
    records = [record_of(BASE, "m"), predicted_of(4.0), record_of(BASE, "n"), predicted_of(2.0)]
    labels = ["m", "p", "n", "q"]
    document = compare_records(labels, records, [BASE, None, BASE, None])
    assert {(d["base"], d["other"]) for d in document["differences"]} == {("m", "n")}
    rows = {row["key"]: row for row in document["rows"]}
    assert rows["latency_mean_ms"]["ratios"] == [None, None, 1.0, 0.5]  # each within its kind
    assert rows["latency_p50_ms"]["values"][1] is None
    assert [column["kind"] for column in document["columns"]] == [
        "measured", "predicted", "measured", "predicted",
    ]  # fmt: skip
    assert "never put into one difference" in document["notes"][0]


def test_what_cannot_be_compared_is_said() -> None:
    few = BASE[:30]
    document = compare_records(["a", "b"], [record_of(few), record_of(few)], [few, few])
    assert document["differences"] == []
    assert "fewer than 40 iterations give no interval" in document["notes"]
    other = record_of(BASE, batch=8, device={"module": "tx2"})
    document = compare_records(["a", "b"], [record_of(BASE), other], [BASE, BASE])
    assert document["differences"] == []
    assert "the batches differ, so latencies are of different work" in document["notes"]
    assert "the records are from different devices" in document["notes"]


def test_verdicts_on_a_prediction() -> None:
    record = predicted_of(4.0, energy={"gross_mj": 50.0})
    values = record_values(record)
    assert values["latency_p50_ms"] == values["latency_mean_ms"] == 4.0
    assert values["inferences_per_joule"] == pytest.approx(20)
    texts = ["latency<=5ms@tx2", "energy<=60mJ@tx2", "energy<=40mJ@tx2", "latency<=5ms@tx1"]
    verdicts = judge_record(record, [parse_requirement(text) for text in texts])
    assert [verdict["holds"] for verdict in verdicts] == [True, True, False, None]
    assert verdicts[3]["reason"] == "predicted on tx2, not on tx1"
    assert all_hold(verdicts[:2]) and not all_hold(verdicts) and all_hold([])
    (verdict,) = judge_record(record, [parse_requirement("latency_p95<=5ms@tx2")])
    assert verdict["holds"] is None and "has no latency_p95" in verdict["reason"]


# -- the command


@pytest.fixture
def bundles(tmp_path: Path) -> list[Path]:
    return [
        make_bundle(tmp_path / "a.bundle", name="parent", width=64, size=32),
        make_bundle(tmp_path / "b.bundle", name="child", width=2, size=32),
    ]


def test_records_from_bench(
    bundles: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bench(bundles, plan=PLAN, out=tmp_path)
    paths = [str(tmp_path / f"{name}.record.json") for name in ("parent", "child")]
    assert run(["compare", *paths, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == "edgesynth.comparison/1"
    assert found(document, "latency_p50_ms")["paired"]
    assert run(["compare", *paths]) == 0
    shown = capfd.readouterr().out
    assert "child against parent: latency p50 -" in shown and "interleaved" in shown
    assert "measured on host" in shown


def test_bundles_are_measured_in_turns(
    bundles: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--duration", "0", "--warm-up", "1", "--iterations", "200", "--json"]
    assert run(["compare", *map(str, bundles), *options]) == 0
    p50 = found(json.loads(capfd.readouterr().out), "latency_p50_ms")
    assert p50["paired"] and p50["shown"] and p50["ratio_ci95"][1] < 1


@pytest.mark.slow
def test_a_bundle_is_not_faster_than_itself(bundles: list[Path]) -> None:
    """Twice the same file: at most one run of five may claim a difference in the median."""
    plan = MeasuringPlan(duration_s=0.3, warm_up_ms=20)
    claims = 0
    for _ in range(5):
        document = compare([bundles[0], bundles[0]], plan=plan)
        claims += found(document, "latency_p50_ms")["shown"]
    assert claims <= 2  # of five 95 % intervals: three wrong ones come once in hundreds of runs


def test_a_tar_is_a_bundle_too(bundles: list[Path], tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(bundles[0], arcname="a.bundle")
    document = compare([tmp_path / "a.tar", bundles[1]], plan=PLAN)
    assert [column["label"] for column in document["columns"]] == ["parent", "child"]


def test_without_raw_latencies_there_is_no_interval(tmp_path: Path) -> None:
    for name in "ab":
        write_record(str(tmp_path / f"{name}.json"), record_of(BASE, name))
    document = compare([tmp_path / "a.json", tmp_path / "b.json"])
    assert document["differences"] == []


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["compare", *map(str, arguments)]) == 2
    captured = capfd.readouterr()
    (line,) = captured.err.strip().split("\n")
    assert captured.out == ""
    return line


def test_bad_input(bundles: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.record.json"
    bench(bundles[:1], plan=PLAN, out=good)
    assert "two or more" in refused(capfd, good)
    assert "is a bundle and" in refused(capfd, good, bundles[0])
    assert "No such file" in refused(capfd, good, tmp_path / "none.json")
    bad = tmp_path / "bad.record.json"
    for text, said in (
        ("{", "not valid JSON"),
        ("[]", "does not hold a JSON object"),
        ("{}", "schema is missing"),
        ('{"schema": "edgesynth.bundle/1"}', "not one of edgesynth.record/1"),
    ):
        bad.write_text(text)
        assert said in refused(capfd, good, bad)
    document = json.loads(good.read_text())
    changed = copy.deepcopy(document)
    changed["latency_ms"]["p50"] = "fast"
    bad.write_text(json.dumps(changed))
    assert 'latency_ms.p50 is "fast", not a number' in refused(capfd, good, bad)
    changed = dict(document, raw="../good.times.json")
    bad.write_text(json.dumps(changed))
    assert "raw is" in refused(capfd, good, bad)
    (tmp_path / "good.times.json").write_text('[{"latencyMs": 1}]')
    assert "are not those of record" in refused(capfd, good, good)
    (tmp_path / "good.times.json").unlink()
    assert "cannot be read: No such file" in refused(capfd, good, good)


def test_one_thing_is_not_a_comparison() -> None:
    with pytest.raises(UserError, match="two or more"):
        compare([Path("x")])
