"""Records: written, read again, and refused where a field is wrong."""

import copy
import json
import os

import pytest
from hand_made import write_bundle

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import UserError
from edgesynth_rt.measure import Series
from edgesynth_rt.record import (
    check_record,
    measured,
    read_record,
    read_times,
    write_record,
    write_times,
)

REASON = {"not_measured": "no power source"}


@pytest.fixture
def series():
    found = Series()
    for k in range(100):
        found.add(2.0 * k, 1.0 + k / 100.0)
    return found


@pytest.fixture
def record(tmp_path, series):
    bundle = open_bundle(write_bundle(tmp_path / "x.bundle"))
    return measured(
        bundle,
        series,
        batch=1,
        backend="onnxruntime",
        device={"module": "host", "l4t": None, "power_mode": None, "clocks": None},
        software={"python": "3.6.15"},
        energy=REASON,
        accuracy={"value": 0.9, "n": 100, "data": "digits", "split": "test"},
        measurement={"run": None},
        command="edgesynth bench x.bundle",
    )


@pytest.fixture
def predicted(record):
    document = dict(record, kind="predicted", layers=[], model={"fit": "x"})
    document.update(latency_ms={"mean": 3.0}, accuracy=REASON, energy={"gross_mj": 12.0})
    return document


def test_a_measured_record(record):
    check_record(record, "x")
    assert record["kind"] == "measured" and record["precision"] == "fp32"
    assert record["name"] == record["bundle"]["name"] == "hand-made"
    assert record["latency_ms"]["p50"] == 1.495 and record["latency_ms"]["n"] == 100
    assert record["throughput_per_s"] == pytest.approx(1000 / 1.495, abs=1e-3)
    assert record["created"].endswith("Z") and len(record["created"]) == 20


def test_written_and_read_again(tmp_path, record, series):
    path = str(tmp_path / "a.record.json")
    written = write_record(path, record, series)
    assert written["raw"] == "a.times.json"
    assert read_record(path) == written
    assert read_times(path, written) == pytest.approx(list(series.latency_ms))
    assert sorted(os.listdir(str(tmp_path))) == ["a.record.json", "a.times.json", "x.bundle"]


def test_without_raw_latencies(tmp_path, record):
    path = str(tmp_path / "a.json")
    written = write_record(path, record)
    assert written["raw"] is None and read_times(path, read_record(path)) is None


def test_a_long_run_says_that_it_kept_no_latencies(tmp_path, record, series, monkeypatch):
    monkeypatch.setattr("edgesynth_rt.record.MAX_TIMES", 99)
    written = write_record(str(tmp_path / "a.record.json"), record, series)
    assert written["raw"] is None and "more than 99 iterations" in written["validity"][-1]


def test_times_are_in_the_form_of_trtexec(tmp_path, series):
    path = str(tmp_path / "times.json")
    write_times(path, series)
    with open(path) as stream:
        times = json.load(stream)
    assert times[1] == {"startComputeMs": 2.0, "endComputeMs": 3.01, "latencyMs": 1.01}


def test_a_prediction_passes_the_same_reader(tmp_path, predicted):
    path = str(tmp_path / "p.record.json")
    write_record(path, predicted)
    assert read_record(path)["kind"] == "predicted"


def _set(document, keys, value):
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


@pytest.mark.parametrize(
    "keys, value, said",
    [
        (("schema",), "edgesynth.record/2", "schema is"),
        (("kind",), "guessed", "kind is"),
        (("name",), "a/b", "name is"),
        (("bundle", "id"), "x", "bundle.id is"),
        (("device", "module"), None, "device.module is null"),
        (("batch",), 0, "batch is 0"),
        (("latency_ms", "p50"), -1, "latency_ms.p50 is -1"),
        (("latency_ms", "p50"), 9.0, "latency_ms.p50 is 9.0, not at most p90"),
        (("latency_ms", "n"), 0, "latency_ms.n is 0"),
        (("latency_ms",), {"mean": 1.0}, "latency_ms.n is missing"),
        (("throughput_per_s",), None, "throughput_per_s is null"),
        (("energy",), {"gross_mj": 0}, "energy.gross_mj is 0, not more than 0"),
        (("energy",), {}, "energy.gross_mj is missing"),
        (("energy",), {"gross_mj": 1, "not_measured": "x"}, "either a value or the reason"),
        (("energy",), {"not_measured": ""}, "energy.not_measured is"),
        (("accuracy", "value"), 90.5, "accuracy.value is 90.5"),
        (("accuracy", "n"), None, "accuracy.n is null"),
        (("cost", "params"), 1.5, "cost.params is 1.5"),
        (("requirements",), [{"requirement": "x", "holds": "yes"}], "requirements[0].holds"),
        (("validity",), "none", "validity is"),
        (("raw",), "../times.json", "raw is"),
        (("raw",), "/etc/passwd", "raw is"),
        (("exits",), 3, "exits is 3"),
        (("measurement",), {"run": 7}, "measurement.run is 7"),
        (("layers",), [], "layers is a list, not absent in a measured record"),
        (("model",), {}, "model is an object, not absent in a measured record"),
    ],
)
def test_a_wrong_field_of_a_measured_record(record, keys, value, said):
    document = copy.deepcopy(record)
    _set(document, keys, value)
    with pytest.raises(UserError) as caught:
        check_record(document, "record r.json")
    assert str(caught.value).startswith("record r.json: ") and said in str(caught.value)


@pytest.mark.parametrize(
    "keys, value, said",
    [
        (("latency_ms",), {"mean": 1.0, "p95": 2.0}, "has no distribution"),
        (("raw",), "p.times.json", "null in a predicted record"),
        (("layers",), None, "layers is null"),
        (("model",), None, "model is null"),
    ],
)
def test_a_wrong_field_of_a_predicted_record(predicted, keys, value, said):
    _set(predicted, keys, value)
    with pytest.raises(UserError) as caught:
        check_record(predicted, "r")
    assert said in str(caught.value)


@pytest.mark.parametrize("key", ["kind", "device", "latency_ms", "energy", "raw", "created"])
def test_a_missing_key(record, key):
    del record[key]
    with pytest.raises(UserError, match="%s is missing" % key):
        check_record(record, "r")


def test_a_wrong_record_is_not_written(tmp_path, record):
    record["batch"] = "one"
    with pytest.raises(UserError, match="batch is"):
        write_record(str(tmp_path / "a.record.json"), record)
    assert os.listdir(str(tmp_path)) == ["x.bundle"]


@pytest.mark.parametrize(
    "data, said",
    [
        (None, "cannot be read: No such file"),
        (b"", "not valid JSON"),
        (b"{}", "times is an object, not a list"),
        (b"[]", "times has 0 elements"),
        (b'[{"latencyMs": 1.0}]', "are not those of record"),
        (b'[{"latencyMs": "1"}]', "times[0].latencyMs is"),
        (b'[{"latencyMs": 0}]', "times[0].latencyMs is 0"),
        (b'[{"computeMs": 1}]', "times[0].latencyMs is missing"),
    ],
)
def test_wrong_raw_latencies(tmp_path, record, series, data, said):
    path = str(tmp_path / "a.record.json")
    written = write_record(path, record, series)
    os.remove(str(tmp_path / "a.times.json"))
    if data is not None:
        (tmp_path / "a.times.json").write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_times(path, written)
    assert said in str(caught.value)
