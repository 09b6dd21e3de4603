"""`adapt --method exits` from a trained network to a bundle, on scikit-learn's digits."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.core.precision import parse_precision
from edgesynth.core.requirement import parse_requirements
from edgesynth.data.source import load_dataset
from edgesynth.dynamic.training import ExitPlan
from edgesynth.export.against import Against
from edgesynth.networks import edgenet
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.adapt import ExitsPlan, Wanted, adapt_exits
from edgesynth.workflows.check import check
from edgesynth.workflows.train import train
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.policy import chain, gate
from edgesynth_rt.recorded_runner import RecordedRunner
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE

TRAINING = TrainingPlan(6, learning_rate=4e-3)
EXITS = ("pool1:1x12", "pool2:1x12")
WANTED = Wanted(max_loss=3.0, target="onnxruntime", batch=None)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", seed=0)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parent") / "lenet5.edgenet"
    train("lenet5:width=0.3", "digits", folder, plan=TrainingPlan(6, learning_rate=4e-3))
    return folder


@pytest.fixture(scope="module")
def adapted(parent, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "out"
    plan = ExitsPlan(ExitPlan(TRAINING, distill=0.3), EXITS)
    return out, adapt_exits(str(parent), "digits", out, plan=plan, wanted=WANTED)


def test_less_work_at_a_bounded_loss(adapted):
    _, document = adapted
    chosen = document["chosen"]
    assert document["holds"] and chosen["lost_points"]["validation"] <= 3.0
    assert chosen["times_fewer"]["validation"] > 1.2
    assert chosen["lost_points"]["test"] < 6.0  # 360 images: a point is 3.6 of them
    assert sum(chosen["test"]["shares"].values()) == pytest.approx(1)
    assert [each["id"] for each in document["exits"]] == ["exit1", "exit2", "final"]
    assert document["doubts"] == []
    last = document["exits"][-1]["accuracy"]["validation"]
    assert document["bounds"]["oracle"]["accuracy"] >= last


def half_leave(policy, recorded):
    """A policy by which half of the samples leave at every exit, so that all stages are busy."""
    gates = [
        gate("margin", float(np.median(gate("margin", 0.0).confidence(recorded[name]))))
        for name in policy.logits[:-1]
    ]
    return chain(policy.stages, policy.logits, gates, costs=policy.costs)


@pytest.mark.parametrize("batch", [1, 37])
def test_the_bundle_really_does_what_was_simulated(adapted, digits, batch):
    """Every test image, one by one and with survivors regrouped."""
    out, document = adapted
    assert document["executed"]["same_exit"] == document["executed"]["n"] == len(digits.test)
    with open_bundle(out / "adapted.bundle") as bundle:
        pixels = digits.test.images(np.arange(len(digits.test)))
        inputs = {"input": bundle.preprocess(pixels)}
        everything = OnnxRuntimeRunner(bundle).run_every(inputs)
        chosen = bundle.policy.simulate(everything)
        bundle.policy = half_leave(bundle.policy, everything)
        wanted = bundle.policy.simulate(everything)
        found = run_samples(OnnxRuntimeRunner(bundle), inputs, batch)
    assert np.array_equal(found[STAGE], wanted.left) and len(set(wanted.left)) == 3
    assert np.array_equal(found["final_logits"].argmax(axis=1), wanted.logits.argmax(axis=1))
    right = float((chosen.logits.argmax(axis=1) == digits.test.labels).mean())
    assert right == pytest.approx(document["chosen"]["test"]["accuracy"])


def test_recorded_logits_decide_as_onnx_runtime_does(adapted):
    out, _ = adapted
    with open_bundle(out / "adapted.bundle") as bundle:
        inputs, _ = bundle.golden()
        real = run_samples(OnnxRuntimeRunner(bundle), inputs, 1)
        recorded = run_samples(RecordedRunner(bundle), inputs, 1)
    assert np.array_equal(real[STAGE], recorded[STAGE])


def test_check_and_bench_take_the_bundle(adapted, capsys, tmp_path):
    out, document = adapted
    found = check(out / "adapted.bundle", against=Against(str(out / "adapted.edgenet")))
    assert found["passed"], found
    names = [each["name"] for each in found["checks"]]
    assert "policy" in names and "against" in names
    record = tmp_path / "record.json"
    code = run([
        "bench", str(out / "adapted.bundle"), "--data", "digits", "--duration", "0.05",
        "--warm-up", "5", "--power", "none", "--out", str(record), "--json", "-q",
        "--require", f"macs<={1.001 * document['chosen']['test']['cost']:.0f}",
    ])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    assert run(["inspect", str(record)]) == 0
    shown = capsys.readouterr().out
    assert "leave at exit1" in shown and "(expected" in shown
    page = tmp_path / "report.html"
    assert run(["report", str(record), "--out", str(page), "-q"]) == 0
    assert "Where inputs leave" in page.read_text()
    exits = json.loads(record.read_text())["exits"]
    assert exits["counted_on"] == "digits, test split" and exits["n"] == 360
    assert exits["shares"] == pytest.approx(document["chosen"]["test"]["shares"])
    assert not exits["drift"]["alarm"]
    expected = document["chosen"]["test"]["cost"]
    assert exits["mean_cost"] == {"unit": "macs", "value": pytest.approx(expected)}


def test_one_file_for_onnx_runtime_answers_as_the_stages_do(adapted, digits):
    """Every test image through nested Ifs, without any of edgesynth's code."""
    import onnxruntime

    out, document = adapted
    assert document["switch"]["same"] == document["switch"]["n"]
    data = (out / "adapted-if.onnx").read_bytes()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    with open_bundle(out / "adapted.bundle") as bundle:
        inputs = bundle.preprocess(digits.test.images(np.arange(len(digits.test))))
        wanted = run_samples(OnnxRuntimeRunner(bundle), {"input": inputs}, 1)
    made = [session.run(["logits", "stage"], {"input": each[None]}) for each in inputs]
    assert np.array_equal(np.concatenate([each[1] for each in made]), wanted[STAGE])
    logits = np.concatenate([each[0] for each in made])
    assert np.allclose(logits, wanted["final_logits"], atol=1e-5)


def test_a_threshold_is_changed_in_the_manifest(adapted, tmp_path):
    out, _ = adapted
    folder = shutil.copytree(out / "adapted.bundle", tmp_path / "changed.bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    for node in manifest["policy"]["nodes"][:-1]:
        node["gates"] = [{"kind": "maximum", "threshold": 2.0}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert check(folder)["passed"]
    with open_bundle(folder) as bundle:
        inputs, _ = bundle.golden()
        left = run_samples(OnnxRuntimeRunner(bundle), inputs, 1)[STAGE]
    assert set(left) == {2}


def test_the_network_is_read_again_with_its_exits(adapted, digits):
    out, document = adapted
    network = edgenet.load(out / "adapted.edgenet")
    assert [each.layer for each in network.description.exits] == ["pool1", "pool2"]
    with open_bundle(out / "adapted.bundle") as bundle, torch.no_grad():
        inputs, outputs = bundle.golden()
        logits = network.module(torch.tensor(inputs["input"]))
        assert np.allclose(logits[0].numpy(), outputs["exit1_logits"], atol=1e-4)
        assert np.allclose(logits[2].numpy(), outputs["final_logits"], atol=1e-4)
    assert document["chosen"]["policy"]["nodes"][0]["stage"] == "exit1"


def test_the_page_shows_curves_and_which_images_leave_where(adapted, digits):
    out, document = adapted
    page = (out / "report.html").read_text()
    assert "Accuracy against mean cost" in page and "Which inputs leave where" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    shown = document["examples"]
    assert {each["stage"] for each in shown} <= {"exit1", "exit2", "final"} and shown
    for each in shown[:5]:
        picture = Image.open(io.BytesIO(base64.b64decode(each["png"])))
        (pixels,) = digits.test.images(np.array([each["image"]]))
        assert np.array_equal(np.asarray(picture), pixels[0])
        assert each["class"] == digits.classes[digits.test.labels[each["image"]]]


def test_inspect_shows_exits_and_policy(adapted, capsys):
    out, _ = adapted
    assert run(["inspect", str(out / "adapted.edgenet")]) == 0
    assert "pool1:1x12, pool2:1x12" in capsys.readouterr().out
    assert run(["inspect", str(out / "adapted.bundle")]) == 0
    shown = capsys.readouterr().out
    assert "exit1" in shown and "answer, exit2" in shown


def test_a_frozen_backbone_keeps_every_weight(tmp_path, capsys):
    """From the command line, for a network with 4-bit weights: they stay on their grid."""
    parent = tmp_path / "int4.edgenet"
    train(
        "lenet5:width=0.2", "digits", parent,
        plan=TrainingPlan(2, learning_rate=4e-3), precision=parse_precision("int4").policy(1),
    )  # fmt: skip
    options = ["--data", "digits", "--out", str(tmp_path / "out"), "--epochs", "1", "--json", "-q"]
    exits = ["--exit", "pool1:0x1", "--target", "onnxruntime", "--max-loss", "5"]
    command = ["adapt", str(parent), "--method", "exits", *options, *exits]
    assert run(command) == 2
    assert "add --backbone frozen" in capsys.readouterr().err
    code = run([*command, "--backbone", "frozen"])
    document = json.loads(capsys.readouterr().out)
    assert code == (0 if document["holds"] else 1)
    before = edgenet.load(parent).module.state_dict()
    after = edgenet.load(tmp_path / "out" / "adapted.edgenet").module.state_dict()
    for name, tensor in before.items():
        assert torch.equal(tensor, after["backbone." + name]), name
    last = document["exits"][-1]["accuracy"]
    assert last == document["parent"]["accuracy"]


def test_what_is_refused(parent, adapted, tmp_path):
    out, _ = adapted
    plan = ExitsPlan(ExitPlan(TRAINING), EXITS)
    with pytest.raises(UserError, match="add --force"):
        adapt_exits(str(parent), "digits", out, plan=plan, wanted=WANTED)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(UserError, match="is no adaptation"):
        adapt_exits(str(parent), "digits", tmp_path / "mine", plan=plan, wanted=WANTED)
    with pytest.raises(UserError, match="has exits already"):
        adapt_exits(
            str(out / "adapted.edgenet"), "digits", tmp_path / "x", plan=plan, wanted=WANTED
        )
    with pytest.raises(UserError, match="choose another --cost"):
        Wanted(requirements=parse_requirements(("latency_mean<=5ms@tx2",)))
