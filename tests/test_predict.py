"""`edgesynth predict` as a user runs it: figures, files, verdicts, exit codes, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import helper

from edgesynth.cli.main import run
from edgesynth.core.network import Architecture, NetworkDescription, Preprocessing
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.hardware.board import load_board
from edgesynth.hardware.onnx_layers import read_layers
from edgesynth.hardware.roofline import predict_latency_ms
from edgesynth.networks import zoo
from edgesynth.networks.network import Network
from edgesynth.workflows.predict import predict, predict_network
from edgesynth_rt.record import read_record
from light_graphs import LIGHT
from make_bundle import make_bundle, read_manifest, sha256
from small_models import classifier, model_of, write_model

ROOT = Path(__file__).parents[1]
RESNET = LIGHT / "light_resnet50.onnx"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    accuracy = {"validation": 0.91, "test": 0.905, "data": "fashion-mnist"}
    return make_bundle(tmp_path / "tiny.bundle", accuracy=accuracy)


def result(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    """Exit code and the records of the one JSON document on stdout."""
    code = run(["predict", *(str(argument) for argument in arguments), "--json"])
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == "edgesynth.predictions/1"
    return code, document["records"]


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of a command that ends with bad usage."""
    assert run(["predict", *(str(argument) for argument in arguments)]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().split("\n")
    return line


def test_a_record(capfd: pytest.CaptureFixture[str]) -> None:
    code, (record,) = result(capfd, RESNET, "--device", "tx2", "--precision", "fp32", "-q")
    assert code == 0
    assert (record["kind"], record["name"], record["batch"]) == ("predicted", "light_resnet50", 1)
    assert record["device"]["module"] == "tx2" and record["device"]["power_mode"] == "MAXN"
    assert record["device"]["clocks"] == {"gpu_mhz": 1300.5, "memory_mhz": 1866.0}
    assert (record["backend"], record["precision"]) == ("tensorrt", "fp32")
    assert record["bundle"]["id"] is None and record["bundle"]["onnx_sha256"] == sha256(RESNET)
    latency = record["latency_ms"]["mean"]
    by_layer = sum(layer["latency_ms"] for layer in record["layers"])
    assert latency == pytest.approx(by_layer, rel=1e-4)
    assert latency == pytest.approx(
        predict_latency_ms(read_layers(RESNET), load_board("tx2"), precision="fp32"), rel=1e-6
    )
    assert record["throughput_per_s"] == pytest.approx(1e3 / latency, rel=1e-4)
    assert {layer["bound"] for layer in record["layers"]} == {"compute", "memory", "launch"}
    assert sum(layer["macs"] for layer in record["layers"]) == record["cost"]["macs"]
    assert record["model"]["latency_error_percent"] > 0
    assert record["model"]["energy_status"] == "fitted" and "VDD_IN" in record["energy"]["rail"]
    assert record["accuracy"]["not_measured"] and record["exits"] is None
    assert record["validity"] == [] and record["raw"] is None
    assert 15 < latency < 23  # published for TX2: 18.4 ms with the stride in the 1x1


def test_a_bundle_by_itself_and_packed(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, (record,) = result(capfd, tiny, "--device", "tx1")
    assert code == 0
    assert record["bundle"] == {"name": "tiny", "id": sha256(tiny / "manifest.json")}
    assert record["cost"] == read_manifest(tiny)["cost"]
    accuracy = {"value": 0.905, "data": "fashion-mnist", "split": "test"}
    assert accuracy.items() <= record["accuracy"].items()
    assert "fewer than in any network of the fit" in record["validity"][0]
    packed = tiny.with_suffix(".tar")
    subprocess.run(["tar", "-C", tiny.parent, "-cf", packed, tiny.name], check=True)
    _, (same,) = result(capfd, packed, "--device", "tx1")
    assert same["layers"] == record["layers"] and same["bundle"]["id"] == record["bundle"]["id"]


def test_several_devices_each_once(capfd: pytest.CaptureFixture[str]) -> None:
    devices = ["tx1", "tx2", "nano", "tx2", "thor", "orin-nx"]
    code, records = result(capfd, RESNET, *(f"--device={name}" for name in devices))
    assert code == 0
    latency = {r["device"]["module"]: r["latency_ms"]["mean"] for r in records}
    assert list(latency) == ["tx1", "tx2", "nano", "thor", "orin-nx"]
    assert latency["nano"] > latency["tx1"] > latency["tx2"] > latency["orin-nx"] > latency["thor"]
    thor = records[3]
    assert thor["model"]["latency_status"] == "assumed"
    assert thor["model"]["latency_error_percent"] is None
    assert "no published power" in thor["energy"]["not_predicted"]
    assert records[0]["model"]["energy_status"] == "assumed"  # the Nano's, on the same chip


def test_power_mode_precision_and_batch(capfd: pytest.CaptureFixture[str]) -> None:
    _, (fast,) = result(capfd, RESNET, "--device", "tx2")
    _, (slow,) = result(capfd, RESNET, "--device", "tx2", "--power-mode", "maxq")
    assert slow["device"]["power_mode"] == "MAXQ"
    assert slow["latency_ms"]["mean"] > 1.2 * fast["latency_ms"]["mean"]
    assert slow["energy"]["gross_mj"] < fast["energy"]["gross_mj"]
    _, (eight,) = result(capfd, RESNET, "--device", "tx2", "--batch", "8")
    assert eight["batch"] == 8 and "fixed to a batch of 1; export it for 8" in eight["validity"][0]
    assert fast["latency_ms"]["mean"] < eight["latency_ms"]["mean"] < 8 * fast["latency_ms"]["mean"]
    assert eight["throughput_per_s"] == pytest.approx(8e3 / eight["latency_ms"]["mean"], rel=1e-3)
    assert eight["energy"]["gross_mj"] < fast["energy"]["gross_mj"]  # per inference


def test_a_free_batch_takes_any(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_model(classifier(batch="N"), tmp_path / "free.onnx")
    _, (four,) = result(capfd, path, "--device", "tx2", "--batch", "4")
    assert four["batch"] == 4 and not any("fixed" in doubt for doubt in four["validity"])
    path = write_model(classifier(batch=4), tmp_path / "four.onnx")
    _, (fixed,) = result(capfd, path, "--device", "tx2")
    assert fixed["batch"] == 4 and fixed["layers"] == four["layers"]


def test_requirements_decide_the_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    tx1_tx2 = ["--device", "tx1", "--device", "tx2"]
    code, records = result(capfd, RESNET, *tx1_tx2, "--require", "latency<=14ms@tx2")
    assert code == 0
    assert [len(record["requirements"]) for record in records] == [0, 1]
    assert records[1]["requirements"][0]["holds"] is True
    code, records = result(capfd, RESNET, *tx1_tx2, "--require", "latency<=14ms")
    assert code == 1
    assert [record["requirements"][0]["holds"] for record in records] == [False, True]
    code, (record,) = result(capfd, RESNET, "--device", "tx2", "--require", "latency_p95<=99ms@tx2")
    assert code == 1  # what a prediction cannot say does not hold
    assert record["requirements"][0]["holds"] is None


def test_what_a_person_sees(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--device", "tx2", "--device", "thor", "--require", "energy<=1uJ@tx2", "--layers"]
    assert run(["predict", str(tiny), *arguments]) == 1
    captured = capfd.readouterr()
    shown = " ".join(captured.out.split())
    assert "tiny, fp16, batch 1: predicted, not measured" in shown
    assert " ms ± 12 %" in shown and " ms ± ?" in shown and " mJ ± " in shown
    assert "thor: latency assumed: efficiencies of sm_87, assumed for sm_110" in shown
    assert "tx2: FAILS: energy<=1uJ@tx2" in shown
    assert "tiny on tx2, predicted layer by layer" in shown and "launch" in shown
    assert "kernels after fusion" in captured.err


def test_files(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "records"
    _, records = result(capfd, tiny, "--device", "tx1", "--device", "nano", "--out", folder)
    names = ["tiny-tx1.record.json", "tiny-nano.record.json"]
    assert [read_record(folder / name) for name in names] == records
    one = tmp_path / "one.json"
    _, (record,) = result(capfd, tiny, "--device", "tx2", "--out", one)
    assert read_record(one) == record
    assert run(["report", str(folder), "--out", str(tmp_path / "r.html"), "-q"]) == 0
    assert "nano" in (tmp_path / "r.html").read_text()


def test_bad_usage(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert 'no device "tx3"; did you mean "tx2"?' in refused(capfd, tiny, "--device", "tx3")
    line = refused(capfd, tiny, "--device", "tx2", "--precision", "int8")
    assert "no int8 on tx2: sm_62 has no INT8 hardware" in line and line.endswith("use fp16")
    assert "no INT8 multiply-accumulate" in refused(
        capfd, tiny, "--device", "tx1", "--precision", "int8"
    )
    assert 'no power mode "MAXX"' in refused(capfd, tiny, "--device", "tx2", "--power-mode", "MAXX")
    line = refused(capfd, tiny, "--device", "tx2", "--require", "energy<=1mJ@tx1")
    assert line.endswith("names a device that is not predicted; add --device tx1")
    line = refused(capfd, tiny, "--device", "tx2", "--require", "energy<=1mJ@txx")
    assert 'no device "txx"' in line
    two = [tiny, "--device", "tx1", "--device", "tx2", "--out", tmp_path / "x.json"]
    assert "takes the record of one device; give a folder" in refused(capfd, *two)
    (tmp_path / "file").write_text("")
    line = refused(capfd, tiny, "--device", "tx2", "--out", tmp_path / "file" / "records")
    assert "cannot be made" in line


def test_bad_files(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "cannot be read: No such file" in refused(capfd, tmp_path / "no.onnx", "--device", "tx2")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(RESNET.read_bytes()[:5000])
    assert "is not an ONNX file or is cut short" in refused(capfd, cut, "--device", "tx2")
    (tiny / "main.onnx").write_bytes(b"x" + (tiny / "main.onnx").read_bytes()[1:])
    assert "main.onnx" in refused(capfd, tiny, "--device", "tx2")


def test_nothing_to_predict(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nothing = model_of([helper.make_node("Identity", ["input"], ["out"])])
    path = write_model(nothing, tmp_path / "identity.onnx")
    assert "no node takes time on a board" in refused(capfd, path, "--device", "tx2")


def test_the_python_interface_gives_the_records_of_the_command(tiny: Path) -> None:
    records = predict(tiny, ["tx1", "tx2"])
    assert [record["device"]["module"] for record in records] == ["tx1", "tx2"]
    assert all(record["precision"] == "fp16" and record["batch"] == 1 for record in records)


def test_a_network_in_memory_is_predicted_like_its_file(tmp_path: Path) -> None:
    """What a search asks for, beside the same network exported and predicted."""
    module = zoo.build("lenet5")
    description = NetworkDescription(
        name="lenet5",
        architecture=Architecture("zoo:lenet5"),
        input_shape=zoo.entry("lenet5").input_shape,
        classes=(),
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
    )
    values = predict_network(Network(module, description), ["tx1", "thor"], precision="fp32")
    example = torch.zeros(1, *description.input_shape)
    model = export_module(module, example, opset=13, ir_version=7).model
    path = tmp_path / "lenet5.onnx"
    path.write_bytes(serialize(model))
    tx1, thor = predict(path, ["tx1", "thor"], precision="fp32")
    assert values["tx1"]["latency_p50_ms"] == pytest.approx(tx1["latency_ms"]["mean"], rel=1e-4)
    assert values["tx1"]["energy_mj"] == pytest.approx(tx1["energy"]["gross_mj"], rel=1e-4)
    assert "energy_mj" not in values["thor"]
    assert values["thor"]["latency_mean_ms"] == pytest.approx(thor["latency_ms"]["mean"], rel=1e-4)
    assert 0.1 < values["tx1"]["latency_mean_ms"] < 1  # six launches, next to no work
    assert predict_network(Network(module, description), []) == {}


def test_predicting_loads_no_torch() -> None:
    program = (
        "import sys; from pathlib import Path; from edgesynth.workflows.predict import predict\n"
        f"predict(Path({str(RESNET)!r}), ['tx2'])\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
