"""`edgesynth check`: what a bundle promises is looked at, and a lie is found."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from edgesynth.cli.main import run
from edgesynth.export import nvidia_parser
from edgesynth.export.nvidia_parser import is_installed, nvidia_check
from edgesynth.export.onnx_file import serialize
from edgesynth.export.options import ExportOptions
from edgesynth.workflows.check import check
from edgesynth.workflows.export import export
from edgesynth_rt.files import sha256_of
from my_nets import traffic
from small_models import FLOAT, classifier, model_of, write_model

needs_nvidia = pytest.mark.skipif(
    not is_installed(), reason="NVIDIA's parser: pip install 'edgesynth[nvidia-parser]'"
)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle of `my_nets:traffic` beside its weights."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    torch.save(traffic().state_dict(), "traffic.pt")
    options = ExportOptions(weights=Path("traffic.pt"), input_shape=(3, 16, 16))
    export("my_nets:traffic", out=Path("traffic.bundle"), options=options)
    return Path("traffic.bundle")


@pytest.fixture
def without_nvidia(monkeypatch):
    """As on a machine without NVIDIA's wheels, which also keeps tests fast."""
    monkeypatch.setattr(nvidia_parser, "is_installed", lambda: False)


def rewrite(bundle, change):
    """Apply `change` to the manifest; hashes are made right again, as a careful liar would."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    for stage in manifest["stages"]:
        if (bundle / stage["onnx"]).is_file():
            stage["sha256"] = sha256_of(bundle / stage["onnx"])
    manifest["golden"]["sha256"] = sha256_of(bundle / manifest["golden"]["file"])
    path.write_text(json.dumps(manifest))


def statuses(document):
    return {each["name"]: each["status"] for each in document["checks"]}


def detail(document, name):
    (found,) = [each for each in document["checks"] if each["name"] == name]
    return found["detail"]


@needs_nvidia
def test_a_good_bundle_passes_everything(bundle, capsys):
    command = ["check", bundle, "--against", "my_nets:traffic", "--weights", "traffic.pt"]
    assert run([*map(str, command), "--require", "params<=1k", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "edgesynth.check/1"
    assert document["passed"]
    assert statuses(document) == {
        "files": "passed",
        "onnxruntime": "passed",
        "against": "passed",
        "target": "passed",
        "nvidia-parser": "passed",
        "require params<=1k": "passed",
    }
    assert "opset 13, IR 7" in detail(document, "target")
    assert "built an engine" in detail(document, "nvidia-parser")
    assert "8 golden and 8 new samples" in detail(document, "against")


def test_a_parser_that_is_not_installed_is_said_and_never_passed(bundle, without_nvidia, capsys):
    assert run(["check", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert "NOT CHECKED" in shown
    assert "pip install 'edgesynth[nvidia-parser]'" in shown


def test_a_perturbed_weight_fails_with_the_worst_element(bundle, without_nvidia, capsys):
    path = bundle / "main.onnx"
    model = onnx.load(path)
    (bias,) = [each for each in model.graph.initializer if each.name == "head.bias"]
    values = numpy_helper.to_array(bias).copy()
    values[3] += 0.05
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    write_model(model, path)
    rewrite(bundle, lambda manifest: None)
    assert run(["check", str(bundle), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert statuses(document)["onnxruntime"] == "failed"
    (output,) = document["checks"][1]["outputs"]
    assert output["worst_index"][1] == 3
    assert output["max_abs_error"] == pytest.approx(0.05, rel=1e-3)
    assert "logits: FAILED" in detail(document, "onnxruntime")
    assert run(["check", str(bundle), "--atol", "0.06"]) == 0


def test_another_network_fails_against(bundle, without_nvidia):
    torch.manual_seed(6)
    torch.save(traffic().state_dict(), "other.pt")
    from edgesynth.export.against import Against

    document = check(bundle, against=Against("my_nets:traffic", Path("other.pt")))
    assert statuses(document)["onnxruntime"] == "passed"
    assert statuses(document)["against"] == "failed"
    assert not document["passed"]


def test_an_onnx_file_can_be_the_source(bundle, without_nvidia):
    from edgesynth.export.against import Against

    document = check(bundle, against=Against(str(bundle / "main.onnx")))
    assert statuses(document)["against"] == "passed"


@pytest.mark.parametrize("offset", [40, -40])
def test_a_changed_byte_fails_the_files(bundle, without_nvidia, offset, capsys):
    path = bundle / "main.onnx"
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    assert run(["check", str(bundle), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert statuses(document) == {"files": "failed"}
    assert "main.onnx was changed" in detail(document, "files")


def test_a_path_that_leaves_the_bundle_fails_the_files(bundle, without_nvidia):
    (bundle.parent / "outside.onnx").write_bytes((bundle / "main.onnx").read_bytes())
    rewrite(bundle, lambda manifest: manifest["stages"][0].update(onnx="../outside.onnx"))
    document = check(bundle)
    assert statuses(document) == {"files": "failed"}
    assert "../outside.onnx" in detail(document, "files")


def test_a_file_for_another_target_fails_with_node_and_remedy(bundle, without_nvidia):
    """A bundle whose ONNX was made for a newer target and relabelled."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Mod", ["f", "n"], ["logits"], "head/mod", fmod=1),
    ]
    model = model_of(
        nodes,
        weights={"n": np.full(3, 0.3, np.float32)},
        inputs=[("input", FLOAT, (1, 3, 16, 16))],
        outputs=[("logits", FLOAT, (1, 3))],
        opset=17,
        ir_version=8,
    )
    write_model(model, Path("mod.onnx"))
    export("mod.onnx", target="jetpack-6.2", out=Path("mod.bundle"))
    rewrite(Path("mod.bundle"), lambda manifest: manifest.update(target="jetpack-4.6"))
    document = check(Path("mod.bundle"))
    assert statuses(document)["target"] == "failed"
    text = detail(document, "target")
    assert "it has opset 17, TensorRT 8.2.1 reads 7 to 13" in text
    assert 'node "head/mod" (Mod): TensorRT 8.2.1 has no Mod; write x - n' in text


def test_requirements(bundle, without_nvidia, capsys):
    document = check(bundle, require=("params<=10", "accuracy>=0.5"))
    assert statuses(document)["require params<=10"] == "failed"
    assert "does not state accuracy" in detail(document, "require accuracy>=0.5")
    assert run(["check", str(bundle), "--require", "latency<=3ms"]) == 2
    assert "edgesynth bench --require" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.bundle"], "there is no bundle at none.bundle"),
        (["traffic.bundle", "--weights", "traffic.pt"], "--weights belong to the --against"),
        (["traffic.bundle", "--against", "lenet5"], "random weights"),
        (
            ["traffic.bundle", "--against", "my_nets:wider", "--weights", "traffic.pt"],
            "another arch",
        ),
        (["traffic.bundle", "--require", "parms<=3"], 'did you mean "params"'),
    ],
)
def test_bad_input_is_answered_in_one_line(bundle, without_nvidia, capsys, arguments, message):
    assert run(["check", *arguments, "-q"]) == 2
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error


@needs_nvidia
def test_nvidias_parser_refuses_what_it_does_not_know(tmp_path):
    node = helper.make_node("Unique", ["input"], ["out"], "only once")
    path = write_model(model_of([node], outputs=[("out", FLOAT, ("n",))]), tmp_path / "u.onnx")
    verdict = nvidia_check(path)
    assert verdict.status == "failed"
    assert 'node "only once" (Unique)' in verdict.detail


@needs_nvidia
def test_nvidias_parser_refuses_a_file_cut_in_half(tmp_path):
    data = serialize(classifier())
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: len(data) // 2])
    assert nvidia_check(path).status == "failed"


@needs_nvidia
def test_nvidias_builder_takes_an_open_batch(tmp_path):
    verdict = nvidia_check(write_model(classifier(batch="N"), tmp_path / "open.onnx"))
    assert verdict.status == "passed"


@needs_nvidia
def test_a_builder_that_takes_too_long_is_stopped(tmp_path):
    verdict = nvidia_check(write_model(classifier(), tmp_path / "net.onnx"), timeout_s=0.01)
    assert verdict.status == "not checked"
    assert "0.01 s" in verdict.detail


@pytest.mark.parametrize(
    ("program", "message"),
    [("kill -ABRT $$", "ended with signal 6"), ("echo 'KeyError: 3' >&2; exit 1", "KeyError: 3")],
)
@needs_nvidia
def test_a_parser_that_dies_fails_the_check_and_nothing_else(
    tmp_path, monkeypatch, program, message
):
    """NVIDIA's library aborts the process on some graphs; here another program does."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(nvidia_parser.sys, "executable", str(script))
    verdict = nvidia_check(write_model(classifier(), tmp_path / "net.onnx"))
    assert verdict.status == "failed"
    assert message in verdict.detail
