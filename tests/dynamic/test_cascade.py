"""`adapt --method cascade`: networks of the user's own, one of them a bare ONNX file."""

import numpy as np
import pytest
import torch

from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.data.source import load_dataset
from edgesynth.export.from_network import from_network
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.export.session import Session
from edgesynth.export.staged import stage_of
from edgesynth.hardware.target import load_target
from edgesynth.networks import edgenet
from edgesynth.tasks.pixels import to_input
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.adapt import CascadePlan, Wanted, adapt_cascade
from edgesynth.workflows.check import check
from edgesynth.workflows.train import train
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE

WANTED = Wanted(max_loss=3.0, target="onnxruntime", batch=None)
OTHER = Preprocessing(mean=(0.0,), std=(0.5,))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Two sizes of LeNet-5; the middle one as an ONNX file, whose source is not there."""
    folder = tmp_path_factory.mktemp("networks")
    for width, epochs in ((0.1, 4), (0.2, 5), (0.5, 6)):
        train(
            f"lenet5:width={width}",
            "digits",
            folder / f"w{width}.edgenet",
            plan=TrainingPlan(epochs, learning_rate=4e-3),
        )
    network = edgenet.load(folder / "w0.2.edgenet")
    example = network.example_input()
    model = export_module(network.module, example, opset=13, ir_version=7, dynamic_batch=True)
    (folder / "middle.onnx").write_bytes(serialize(model.model))
    return [folder / name for name in ("w0.5.edgenet", "middle.onnx", "w0.1.edgenet")]


@pytest.fixture(scope="module")
def adapted(networks, tmp_path_factory):
    out = tmp_path_factory.mktemp("cascade") / "out"
    sources = [str(each) for each in networks]
    return out, adapt_cascade(sources, "digits", out, plan=CascadePlan(), wanted=WANTED)


def test_the_cheap_networks_answer_first(adapted):
    _, document = adapted
    assert [each["id"] for each in document["exits"]] == ["w0-1", "middle", "w0-5"]
    costs = [each["trunk"] for each in document["exits"]]
    assert costs == sorted(costs)
    chosen = document["chosen"]
    assert document["holds"] and chosen["times_fewer"]["validation"] > 1.5
    assert document["executed"]["same_class"] == document["executed"]["n"] == 360
    assert set(document["curves"]) >= {"learned", "learned tree", "entropy"}
    assert any("middle.onnx does not say" in doubt for doubt in document["doubts"])


@pytest.mark.parametrize("batch", [1, 50])
def test_the_bundle_runs_what_the_policy_says(adapted, batch):
    out, _ = adapted
    assert check(out / "adapted.bundle")["passed"]
    dataset = load_dataset("digits", seed=0)
    with open_bundle(out / "adapted.bundle") as bundle:
        runner = OnnxRuntimeRunner(bundle)
        inputs = {"input": bundle.preprocess(dataset.test.images(np.arange(360)))}
        wanted = bundle.policy.simulate(runner.run_every(inputs))
        found = run_samples(runner, inputs, batch)
    assert np.array_equal(found[STAGE], wanted.left)
    assert np.array_equal(found["w0-5_logits"].argmax(axis=1), wanted.logits.argmax(axis=1))


def test_a_network_with_other_preprocessing_gets_it_in_its_file(networks, tmp_path):
    network = edgenet.load(networks[0])
    own = network.description.preprocessing
    made = from_network(network, load_target("jetpack-4.6"), batch=None, preprocessing=own)
    stage = stage_of(made, "other", OTHER)
    pixels = load_dataset("digits", seed=0).validation.images(np.arange(9))
    found = Session(serialize(stage.model), "other").run({"input": to_input(pixels, OTHER).numpy()})
    with torch.no_grad():
        wanted = network.module(to_input(pixels, own)).numpy()
    assert np.allclose(found["other_logits"], wanted, atol=1e-4)


def test_one_network_is_no_cascade(networks, tmp_path):
    with pytest.raises(UserError, match="needs two networks"):
        adapt_cascade(
            [str(networks[0])], "digits", tmp_path / "x", plan=CascadePlan(), wanted=WANTED
        )
