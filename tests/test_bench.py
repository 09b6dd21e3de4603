"""`edgesynth bench` as a user runs it: figures, files, verdicts, exit codes, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.workflows.bench import bench
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth_rt.record import read_record, read_times
from edgesynth_rt.statistics import summarize
from make_bundle import make_bundle, read_manifest, sha256, write_manifest

QUICK = ["--duration", "0", "--warm-up", "1", "--iterations", "50"]
QUICK_PLAN = MeasuringPlan(duration_s=0, warm_up_ms=1, iterations=50)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "tiny.bundle")


def result(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    """Exit code and the one JSON document on stdout."""
    code = run([str(argument) for argument in (*arguments, "--json")])
    return code, json.loads(capfd.readouterr().out)


def refused(capfd: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """The one line on stderr of a command that ends with `code`."""
    assert run([str(argument) for argument in arguments]) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().split("\n")
    return line


def test_a_record(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, record = result(capfd, "bench", tiny, *QUICK, "--percentile", "75,99.9")
    assert code == 0
    assert record["schema"] == "edgesynth.record/1" and record["kind"] == "measured"
    assert record["latency_ms"]["n"] >= 50
    assert {"p75", "p99.9"} <= set(record["latency_ms"])
    assert record["latency_ms"]["min"] > 0
    assert record["throughput_per_s"] == pytest.approx(1e3 / record["latency_ms"]["mean"], rel=1e-3)
    assert "not_measured" in record["energy"] and "not_measured" in record["accuracy"]
    assert record["cost"] == read_manifest(tiny)["cost"]
    assert record["bundle"] == {"name": "tiny", "id": sha256(tiny / "manifest.json")}
    assert record["device"]["module"] == "host" and record["device"]["cpu"]["cores"] >= 1
    assert {"python", "numpy", "onnxruntime", "edgesynth"} <= set(record["software"])
    assert record["measurement"]["threads"] == 1 and record["raw"] is None


def test_what_a_person_sees(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(tiny), *QUICK, "--require", "params<=1"]) == 1
    shown = capfd.readouterr().out
    assert "tiny, measured on host, onnxruntime" in shown
    assert "latency p50" in shown and "not measured" in shown
    assert "FAILS: params<=1 (params is 90)" in shown


def test_files(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, times = tmp_path / "new" / "a.record.json", tmp_path / "times.json"
    code, printed = result(capfd, "bench", tiny, *QUICK, "--out", out, "--export-times", times)
    assert code == 0
    record = read_record(out)
    assert record == printed and record["raw"] == "a.times.json"
    latencies = read_times(out, record)
    assert summarize(latencies)["p95"] == pytest.approx(record["latency_ms"]["p95"], abs=1e-6)
    assert [entry["latencyMs"] for entry in json.loads(times.read_text())] == latencies


def test_out_may_be_a_folder(tiny: Path, tmp_path: Path) -> None:
    bench([tiny], plan=QUICK_PLAN, out=tmp_path)
    assert read_record(tmp_path / "tiny.record.json")["name"] == "tiny"


def test_several_in_one_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parent = make_bundle(tmp_path / "p.bundle", name="parent", width=64, size=32)
    child = make_bundle(tmp_path / "c.bundle", name="child", width=2, size=32)
    code, document = result(
        capfd, "bench", parent, child, *QUICK, "--iterations", 400, "--out", tmp_path / "records"
    )
    assert code == 0 and document["schema"] == "edgesynth.comparison/1"
    records = [read_record(tmp_path / "records" / f"{n}.record.json") for n in ("parent", "child")]
    assert document["records"] == records
    assert records[0]["measurement"]["run"] == records[1]["measurement"]["run"] is not None
    assert records[0]["latency_ms"]["n"] == records[1]["latency_ms"]["n"]
    p50 = next(d for d in document["differences"] if d["key"] == "latency_p50_ms")
    assert (p50["base"], p50["other"], p50["paired"]) == ("parent", "child", True)
    assert p50["shown"] and p50["ci95"][1] < 0 and p50["ratio_ci95"][1] < 1


@pytest.mark.parametrize("batch", [1, 7, "N"])
def test_accuracy_on_real_data(
    batch: int | str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "d.bundle", batch=batch)
    code, record = result(
        capfd, "bench", bundle, *QUICK, "--data", "digits", "--require", "accuracy>=0.01"
    )
    accuracy = record["accuracy"]
    assert (accuracy["data"], accuracy["split"]) == ("digits", "test")
    assert accuracy["right"] / accuracy["n"] == accuracy["value"]
    assert accuracy["ci95"][0] < accuracy["value"] < accuracy["ci95"][1]
    assert code == 0 and record["requirements"][0]["value"] == accuracy["value"]
    assert record["batch"] == (1 if batch == "N" else batch)


def test_accuracy_is_the_same_by_hand(tmp_path: Path) -> None:
    """Against the reference evaluator of ONNX, image by image."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    from edgesynth.data.source import load_dataset

    bundle = make_bundle(tmp_path / "d.bundle")
    test = load_dataset("digits").test
    evaluator = ReferenceEvaluator(onnx.load(bundle / "main.onnx"))
    images = (test.images(np.arange(len(test))) / np.float32(255) - np.float32(0.5)) / 0.25
    right = sum(
        int(evaluator.run(None, {"input": image[None].astype(np.float32)})[0].argmax() == label)
        for image, label in zip(images, test.labels, strict=True)
    )
    record = bench([bundle], plan=MeasuringPlan(duration_s=0, warm_up_ms=1, data="digits"))
    assert record["accuracy"]["right"] == right


def test_a_dynamic_batch_is_chosen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path / "d.bundle", batch="N")
    _, record = result(capfd, "bench", bundle, *QUICK, "--batch", 16)
    assert record["batch"] == 16
    latency_ms = record["latency_ms"]["mean"]
    assert record["throughput_per_s"] == pytest.approx(16e3 / latency_ms, rel=1e-3)


@pytest.mark.parametrize(
    "requirement, holds, reason",
    [
        ("macs<=1M", True, None),
        ("latency_p95<=1us", False, None),
        ("throughput>=1", True, None),
        ("energy<=60mJ", None, "switched off with --power none"),
        ("accuracy>=0.5", None, "no --data was given"),
        ("latency<=15ms@tx2", None, "measured on host, not on tx2"),
        ("latency<=15s@host", True, None),
        ("synapses<=3", None, "a measured record has no synapses"),
        ("accuracy_loss<=1", None, "a record knows no parent; use accuracy"),
    ],
)
def test_requirements_are_verdicts(
    tiny: Path,
    capfd: pytest.CaptureFixture[str],
    requirement: str,
    holds: bool | None,
    reason: str | None,
) -> None:
    code, record = result(capfd, "bench", tiny, *QUICK, "--power", "none", "--require", requirement)
    (verdict,) = record["requirements"]
    assert verdict["requirement"] == requirement and verdict["holds"] is holds
    assert verdict.get("reason") == reason
    assert code == (0 if holds else 1)


@pytest.mark.parametrize(
    "options, code, said",
    [
        (["--require", "latncy<=3ms"], 2, 'did you mean "latency"?'),
        (["--backend", "tensorrt"], 4, "TensorRT's Python module is not here"),
        (["--power", "ina3221"], 4, "INA3221"),
        (["--until-ci", "2%", "--power", "none"], 2, "--until-ci needs a power source"),
        (["--batch", "8"], 2, "has a fixed batch of 1, not 8"),
        (["--data", "fashion-mnits"], 2, "fashion-mnist"),
        (["--data", "digits", "--out", "/proc/x/y.record.json"], 2, "cannot be made"),
    ],
)
def test_options_that_cannot_be_met(
    tiny: Path, capfd: pytest.CaptureFixture[str], options: list[str], code: int, said: str
) -> None:
    assert said in refused(capfd, code, "bench", tiny, *QUICK, *options)


@pytest.mark.parametrize(
    "options",
    [["--iterations", "9"], ["--duration", "-1"], ["--percentile", "101"], ["--percentile", "a"]],
)
def test_usage_errors(tiny: Path, capfd: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert run(["bench", str(tiny), *options]) == 2
    assert "Traceback" not in capfd.readouterr().err


def test_bad_bundles(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "there is no bundle" in refused(capfd, 2, "bench", tmp_path / "none", *QUICK)
    manifest = read_manifest(tiny)
    onnx = (tiny / "main.onnx").read_bytes()
    (tiny / "main.onnx").write_bytes(onnx[: len(onnx) // 2])
    assert "main.onnx was changed" in refused(capfd, 2, "bench", tiny, *QUICK)
    manifest["stages"][0]["sha256"] = sha256(tiny / "main.onnx")
    write_manifest(tiny, manifest)
    assert "is not a whole ONNX file" in refused(capfd, 2, "bench", tiny, *QUICK)
    manifest["stages"][0]["onnx"] = "../main.onnx"
    write_manifest(tiny, manifest)
    assert "stages[0].onnx is" in refused(capfd, 2, "bench", tiny, *QUICK)


def test_golden_outputs_that_differ_are_not_timed(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with np.load(tiny / "golden.npz") as archive:
        arrays = dict(archive)
    arrays["output/logits"][3, 7] += 1
    np.savez(tiny / "golden.npz", **arrays)
    manifest = read_manifest(tiny)
    manifest["golden"]["sha256"] = sha256(tiny / "golden.npz")
    write_manifest(tiny, manifest)
    assert "logits[3,7] is" in refused(capfd, 1, "bench", tiny, *QUICK)


def test_data_of_another_shape(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path / "b.bundle", size=9)
    said = refused(capfd, 2, "bench", bundle, *QUICK, "--data", "digits", "--quiet")
    assert "takes images of shape [1, 9, 9], the data set has [1, 8, 8]" in said


def test_two_bundles_of_one_name(tmp_path: Path) -> None:
    bundles = [make_bundle(tmp_path / name) for name in ("a.bundle", "b.bundle")]
    with pytest.raises(UserError, match='two bundles are called "tiny"'):
        bench(bundles, plan=QUICK_PLAN, out=tmp_path / "records")
    assert [column["label"] for column in bench(bundles, plan=QUICK_PLAN)["columns"]] == [
        str(bundle) for bundle in bundles
    ]
    with pytest.raises(UserError, match="--export-times takes the latencies of one bundle"):
        bench(bundles, plan=QUICK_PLAN, export_times=tmp_path / "t.json")


def test_names_with_markup_are_only_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "b.bundle", name="[red]x[bold]")
    assert run(["bench", str(bundle), *QUICK]) == 0
    assert "[red]x[bold], measured" in capfd.readouterr().out


def test_a_disk_that_takes_no_more(tiny: Path) -> None:
    """A limit of 100 bytes a file stands for the full disk; no half file stays."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from edgesynth.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    out = tiny.parent / "records" / "a.record.json"
    found = subprocess.run(
        [sys.executable, "-c", script, "bench", str(tiny), *QUICK, "--out", str(out)],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert found.stderr.startswith("edgesynth: ") and found.stderr.count("\n") == 1
    assert list(out.parent.iterdir()) == []


def environment() -> dict[str, str]:
    root = Path(__file__).parents[1]
    return {**os.environ, "PYTHONPATH": f"{root}:{root / 'deploy'}", "OMP_NUM_THREADS": "1"}


def test_interrupting_leaves_no_file(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "records"
    command = [sys.executable, "-m", "edgesynth.cli.main", "bench", str(tiny), "--duration", "60"]
    process = subprocess.Popen(
        [*command, "--out", str(out / "a.record.json")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    while not out.exists() and process.poll() is None:  # made just before the run begins
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.strip() == "edgesynth: interrupted; what was finished is kept"
    assert list(out.iterdir()) == []
