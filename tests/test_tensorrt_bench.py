"""`edgesynth build` and `edgesynth bench --backend tensorrt`, and trtexec's files.

TensorRT and the GPU are stand-ins, see `tests/rt/host_gpu.py`; what the engines compute comes from
ONNX Runtime, so golden outputs are checked in earnest.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import host_gpu
import numpy as np
import onnxruntime
import pytest
from rich.console import Console

from edgesynth.cli.build import _choices
from edgesynth.cli.main import run
from edgesynth_rt.record import read_record
from make_bundle import make_bundle

QUICK = ["--duration", "0", "--warm-up", "1", "--iterations", "50", "--power", "none"]


def compute(onnx: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    return {"logits": session.run(["logits"], inputs)[0]}


def tensors(onnx: bytes) -> list[tuple[str, bool, str, tuple[int, ...]]]:
    return [("input", True, "float32", (1, 1, 8, 8)), ("logits", False, "float32", (1, 10))]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = host_gpu.compile_cudart(tmp_path)
    return host_gpu.install(monkeypatch, library, tensors=tensors, compute=compute)


def result(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code = run([str(argument) for argument in (*arguments, "--json")])
    return code, json.loads(capfd.readouterr().out)


def test_the_choice_of_operators_is_shown() -> None:
    row = {"operator": "EsSparseLinear", "chosen": "plugin", "reason": "2.00 times as fast"}
    layers = [{**row, "node": "fc1", "plugin_ms": 0.125, "dense_ms": 0.25}]
    layers.append({**row, "node": "[fc2]", "plugin_ms": None, "dense_ms": None})
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(_choices({"mode": "auto", "decided_by": "timing", "layers": layers}))
    shown = console.export_text()
    assert "plugin or dense, timed on this GPU" in shown and "[fc2]" in shown
    assert re.search(r"fc1 +EsSparseLinear +0.125 ms +0.25 ms +plugin +2.00 times as fast", shown)


def test_build(world: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path / "tiny.bundle")
    code, document = result(capfd, "build", bundle, "--precision", "fp16", "--workspace", "64")
    assert code == 0 and document["schema"] == "edgesynth.engines/1"
    (engine,) = document["engines"]
    assert engine["key"]["options"] == {
        "precision": "fp16", "workspace_mib": 64, "batch": 1, "operators": "auto",
    }  # fmt: skip
    assert engine["verified"][0]["error"] <= engine["verified"][0]["tolerance"]
    assert run(["build", str(bundle), "--precision", "fp16", "--workspace", "64"]) == 0
    shown = capfd.readouterr().out
    assert "tiny on NVIDIA Tegra X2 (sm 6.2), TensorRT 8.2.1, CUDA 10.2" in shown
    assert "from the cache" in shown and engine["path"] in shown
    assert len([call for call in world.calls if call[0] == "build"]) == 1
    assert run(["build", str(bundle), "--precision", "int8"]) == 2
    assert "INT8 is refused on this GPU (sm_62)" in capfd.readouterr().err


def test_bench(world: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path / "tiny.bundle")
    code, record = result(
        capfd, "bench", bundle, *QUICK, "--backend", "tensorrt", "--precision", "fp16",
        "--out", tmp_path / "r.record.json",
    )  # fmt: skip
    assert code == 0 and record == read_record(tmp_path / "r.record.json")
    assert record["backend"] == "tensorrt" and record["precision"] == "fp16"
    assert record["software"]["gpu"] == "NVIDIA Tegra X2"
    parts = record["measurement"]["parts_ms"]
    assert set(parts) == {"enqueue", "h2d", "compute", "d2h"}
    # what happens between two calls is in the throughput, not in the latency
    assert record["throughput_per_s"] < 1e3 / record["latency_ms"]["mean"]


def test_two_bundles_take_turns(
    world: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundles = [make_bundle(tmp_path / name, name=name, seed=k) for k, name in enumerate("ab")]
    code, document = result(capfd, "bench", *bundles, *QUICK, "--backend", "tensorrt")
    assert code == 0 and len(document["records"]) == 2
    assert all(record["measurement"]["run"] for record in document["records"])
    assert run(["bench", *map(str, bundles), "--power", "tegrastats"]) == 2
    assert "cannot be told apart between bundles" in capfd.readouterr().err


TIMES = [
    {"startEnqMs": 200 + k, "endEnqMs": 200.1 + k, "startH2dMs": 200.1 + k, "endH2dMs": 200.2 + k,
     "startComputeMs": 200.2 + k, "endComputeMs": 200.7 + k, "startD2hMs": 200.7 + k,
     "endD2hMs": 200.8 + k, "h2dMs": 0.1, "computeMs": 0.5, "d2hMs": 0.1,
     "latencyMs": 0.7 + k / 1e3}
    for k in range(200)
]  # fmt: skip


def test_trtexec(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle, times, profile = (
        make_bundle(tmp_path / "tiny.bundle"),
        tmp_path / "times.json",
        tmp_path / "profile.json",
    )
    times.write_text(json.dumps(TIMES))
    layer = {"name": "conv", "timeMs": 100, "averageMs": 0.5, "medianMs": 0.5, "percentage": 100}
    profile.write_text(json.dumps([{"count": 200}, layer]))
    out = tmp_path / "r.record.json"
    code, record = result(
        capfd, "bench", bundle, "--import", times, "--import-profile", profile, "--device", "tx2",
        "--precision", "fp16", "--require", "latency_p95<=1ms@tx2", "--out", out,
    )  # fmt: skip
    assert code == 0 and record == read_record(out)
    assert record["kind"] == "measured" and record["device"]["module"] == "tx2"
    assert record["measurement"]["source"] == "trtexec" and record["precision"] == "fp16"
    assert record["latency_ms"]["n"] == 200
    assert record["latency_ms"]["p50"] == pytest.approx(0.7995)
    assert record["throughput_per_s"] == pytest.approx(1000, rel=0.01)
    assert record["measurement"]["profile"]["layers"][0]["share"] == 1
    assert record["requirements"][0]["holds"] is True
    assert "no golden output was verified" in record["validity"][0]
    assert run(["bench", str(bundle), "--import", str(times), "--device", "tx2"]) == 0
    assert "tiny, measured on tx2, tensorrt" in capfd.readouterr().out


@pytest.mark.parametrize(
    "options, said",
    [
        (["--import", "TIMES"], "do not tell the board; name it with --device (tx1, nano"),
        (["--import", "TIMES", "--device", "tx3"], 'no board "tx3"; did you mean "tx'),
        (["--device", "tx2"], "belong to --import"),
        (["--import", "gone.json", "--device", "tx2"], "gone.json cannot be read"),
        (["--import", "TIMES", "--device", "tx2", "--batch", "2"], "fixed batch of 1"),
        (["--import", "TIMES", "--device", "tx2", "--import-profile", "TIMES"], "count is missing"),
    ],
)
def test_trtexecs_files_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    bundle, times = make_bundle(tmp_path / "tiny.bundle"), tmp_path / "times.json"
    times.write_text(json.dumps(TIMES))
    options = [option.replace("TIMES", str(times)) for option in options]
    assert run(["bench", str(bundle), *options]) == 2
    assert said in capfd.readouterr().err
