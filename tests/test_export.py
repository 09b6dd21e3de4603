"""`edgesynth export`: a user's own trained model becomes a bundle, or one line says why not."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

import small_networks
from edgesynth.cli.main import run
from edgesynth.core.errors import CheckError
from edgesynth.core.network import Architecture, NetworkDescription, Preprocessing
from edgesynth.core.progress import Silent
from edgesynth.export.bundle import compare_golden
from edgesynth.export.options import (
    ExportOptions,
    bundle_paths,
    fit_channels,
    name_of,
    parse_batch,
    parse_input_shape,
    parse_preprocessing,
)
from edgesynth.hardware.target import load_target, target_names
from edgesynth.networks.network import Network
from edgesynth.workflows.export import export
from edgesynth_rt.bundle import open_bundle
from my_nets import TrafficNet, traffic
from small_models import Branching, FrozenBatch, TwoHeads, classifier, write_model

SHAPE = ["--input-shape", "3x16x16"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with trained weights in it."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    torch.save(traffic().state_dict(), "traffic.pt")
    return tmp_path


def failing(capsys, *arguments, code=2):
    """The one line that a command line ends with."""
    assert run(["export", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err.strip().splitlines()[-1]


def network_of(module, shape=small_networks.SHAPE, name="net"):
    description = NetworkDescription(
        name=name,
        architecture=Architecture("factory:tests:net"),
        input_shape=shape,
        classes=(),
        preprocessing=Preprocessing(mean=(0.5,) * shape[0], std=(0.25,) * shape[0]),
    )
    return Network(module, description)


def test_ones_own_model_end_to_end(here, capsys):
    (here / "labels.txt").write_text("stop\nyield\nspeed 50\nno entry\n")
    command = ["export", "my_nets:traffic", "--weights", "traffic.pt", *SHAPE]
    command += ["--labels", "labels.txt", "--mean", "0.485,0.456,0.406", "--std", "0.229"]
    assert run(command) == 0
    shown = capsys.readouterr().out
    for part in ("traffic.bundle", "opset 13, IR 7", "4 labels: stop", "edgesynth check"):
        assert part in shown

    bundle = open_bundle(here / "traffic.bundle")
    manifest = bundle.manifest
    assert manifest["target"] == "jetpack-4.6"
    assert bundle.labels == ["stop", "yield", "speed 50", "no entry"]
    assert manifest["preprocessing"]["std"] == [0.229, 0.229, 0.229]
    assert manifest["cost"]["params"] == sum(p.numel() for p in traffic().parameters())
    assert len(manifest["provenance"]["parent"]) == 64

    module = TrafficNet().eval()
    module.load_state_dict(torch.load("traffic.pt", weights_only=True))
    inputs, outputs = bundle.golden()
    with torch.no_grad():
        expected = module(torch.tensor(inputs["input"])).numpy()
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-4, atol=1e-5)
    assert all(each.passed for each in compare_golden(bundle))


def test_the_json_document(here, capsys):
    assert run(["export", "my_nets:traffic", *SHAPE, "--json", "--batch", "dynamic"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "edgesynth.export/1"
    (stage,) = document["stages"]
    assert (stage["opset"], stage["ir_version"]) == (13, 7)
    assert stage["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["N", 3, 16, 16]}]
    assert stage["size_bytes"] == (here / "traffic.bundle" / "main.onnx").stat().st_size
    assert document["preprocessing"] is None
    assert document["agreement"][0]["passed"]


@pytest.mark.parametrize("target", target_names())
def test_every_target_gets_its_versions(tmp_path, target):
    network = small_networks.network(small_networks.Mobile)
    export(network, target=target, out=tmp_path / "m.bundle")
    model = onnx.load(tmp_path / "m.bundle" / "main.onnx")
    wanted = load_target(target)
    assert model.opset_import[0].version == wanted.opset.export
    assert model.ir_version == wanted.ir.export


def test_the_same_network_gives_the_same_bundle(tmp_path):
    for name in ("a", "b"):
        network = small_networks.network(small_networks.Residual)
        export(network, out=tmp_path / f"{name}.bundle")
    for file in ("main.onnx", "golden.npz", "manifest.json"):
        first, second = (tmp_path / f"{name}.bundle" / file for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes(), file


def test_dead_synapses_do_not_come_back(tmp_path):
    network = small_networks.network(small_networks.Plain)
    weight = network.module.f2.weight
    network.masks["f2.weight"] = torch.zeros_like(weight, dtype=torch.bool)
    export(network, out=tmp_path / "m.bundle")
    _, outputs = open_bundle(tmp_path / "m.bundle").golden()
    bias = network.module.f2.bias.detach().numpy()
    np.testing.assert_allclose(outputs["logits"], np.tile(bias, (8, 1)), atol=1e-6)


def test_a_zoo_network_takes_golden_images_from_the_data(tmp_path):
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    from edgesynth.data.source import load_dataset

    said = []

    class Listener(Silent):
        def say(self, text):
            said.append(text)

    out = tmp_path / "lenet5.bundle"
    export("lenet5", out=out, options=ExportOptions(data="digits"), progress=Listener())
    assert any("random weights" in line for line in said)
    bundle = open_bundle(out)
    inputs, _ = bundle.golden()
    data = load_dataset("digits")
    images = data.validation.images(np.arange(len(data.validation)))
    for sample in inputs["input"]:
        known = np.abs(bundle.preprocess(images) - sample).max(axis=(1, 2, 3))
        assert known.min() < 1e-6
    assert bundle.labels == list(data.classes)


def test_two_outputs_of_different_range_have_tolerances_of_their_own(tmp_path):
    torch.manual_seed(0)
    document = export(network_of(TwoHeads()), out=tmp_path / "m.bundle")
    bounds = document["golden"]["output_atol"]
    assert bounds["boxes"] > 100 * bounds["scores"]
    assert document["golden"]["atol"] == bounds["boxes"]
    assert open_bundle(tmp_path / "m.bundle").manifest["task"] == "unknown"


def test_several_networks_into_one_folder(here, capsys):
    write_model(classifier(), here / "plain.onnx")
    arguments = ["my_nets:traffic", "plain.onnx", "--out", "all", "--json"]
    assert run(["export", *arguments, "--input-shape", "3x8x8"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["exports"]] == ["traffic", "plain"]
    assert open_bundle(here / "all" / "plain.bundle").name == "plain"


def test_a_users_onnx_file(here, capsys):
    write_model(classifier(17, 8), here / "new.onnx")
    assert run(["export", "new.onnx", "--name", "mine", "--mean", "0.5", "--std", "0.5"]) == 0
    assert "opset 13, IR 7" in capsys.readouterr().out
    manifest = open_bundle(here / "mine.bundle").manifest
    assert manifest["preprocessing"]["mean"] == [0.5, 0.5, 0.5]


def test_an_operator_that_the_target_lacks(here, capsys):
    line = failing(capsys, "my_nets:remainder", *SHAPE, code=1)
    assert line == (
        'edgesynth: remainder does not fit jetpack-4.6: node "/Mod" (Mod): TensorRT 8.2.1 has no '
        "Mod; write x - n * torch.floor(x / n) instead of x % n"
    )
    assert not (here / "remainder.bundle").exists()
    assert run(["export", "my_nets:remainder", *SHAPE, "--target", "jetpack-6.2"]) == 0


@pytest.mark.parametrize(
    ("module", "batch", "message"),
    [
        (Branching(), 1, "computes other numbers"),
        (FrozenBatch(), "dynamic", "frozen into the file"),
    ],
)
def test_what_tracing_froze_is_found_before_anything_is_written(tmp_path, module, batch, message):
    options = ExportOptions(batch=batch)
    with pytest.raises(CheckError, match=message):
        export(network_of(module), out=tmp_path / "m.bundle", options=options)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite(tmp_path):
    network = small_networks.network(small_networks.Plain)
    network.module.f2.bias.data[2] = float("nan")
    with pytest.raises(CheckError, match=r'output "logits" is not finite at \[0, 2\]'):
        export(network, out=tmp_path / "m.bundle")


def test_wrong_weights(here, capsys):
    options = [*SHAPE, "--weights", "traffic.pt"]
    line = failing(capsys, "my_nets:wider", *options)
    assert "made for another architecture" in line
    assert "stem.0.weight is (8, 3, 3, 3), the architecture has (9, 3, 3, 3)" in line
    torch.save(traffic(), "whole.pt")
    assert "pickled code, which is never run" in failing(
        capsys, "my_nets:traffic", *SHAPE, "--weights", "whole.pt"
    )
    data = (here / "traffic.pt").read_bytes()
    (here / "cut.pt").write_bytes(data[: len(data) // 2])
    assert "cut.pt cannot be read" in failing(
        capsys, "my_nets:traffic", *SHAPE, "--weights", "cut.pt"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["my_nets:traffic"], "give the input's size"),
        (["my_nets:traffic", "--input-shape", "224x224"], "is not CHANNELSxHEIGHTxWIDTH"),
        (["my_nets:traffic", "--input-shape", "1x3x224x224"], "the batch is given by --batch"),
        (["my_nets:traffic", "--input-shape", "1x16x16"], "cannot run an input of 1x16x16"),
        (["my_nets:nothing", *SHAPE], "has no function nothing"),
        (["my_nets:not_a_module", *SHAPE], "returned int, not a torch.nn.Module"),
        (["lenet6"], 'did you mean "lenet5"'),
        (["lenet5", "--target", "jetpack-4.7"], 'did you mean "jetpack-4.6"'),
        (["lenet5", "--batch", "many"], 'neither a number from 1 to 1024 nor "dynamic"'),
        (["lenet5", "--mean", "a,b"], "not a list of numbers"),
        (["lenet5", "--mean", "0.1,0.2"], "2 values of mean and std for lenet5"),
        (["lenet5", "--std", "0"], "must be above 0"),
        (["lenet5", "--mean", "33.3"], "add --scale 1"),
        (["lenet5", "--labels", "none.txt"], "none.txt cannot be read"),
        (["lenet5", "--output-names", "a,b"], "2 output names for a network with 1 outputs"),
        (["traffic.pt"], "edgesynth export package.module:function --weights traffic.pt"),
        (["none.onnx"], "none.onnx cannot be read"),
        (["lenet5", "my_nets:lenet5"], 'are called "lenet5"'),
        (["lenet5", "my_nets:traffic", "--name", "x"], "--name is for one network"),
    ],
)
def test_bad_input_is_answered_in_one_line(here, capsys, arguments, message):
    assert message in failing(capsys, *arguments)
    assert not list(here.glob("*.bundle"))


def test_labels_must_be_as_many_as_classes(here, capsys):
    (here / "labels.json").write_text('["a", "b", "c"]')
    arguments = ["my_nets:traffic", *SHAPE, "--labels", "labels.json"]
    assert "3 labels for a network with 4 classes" in failing(capsys, *arguments)


def test_nothing_but_a_bundle_is_ever_replaced(here, capsys):
    (here / "thesis").mkdir()
    (here / "thesis" / "chapter1.tex").write_text("years of work")
    (here / "thesis" / "manifest.json").write_text('{"schema": "somebody else"}')
    arguments = ["my_nets:traffic", *SHAPE, "--out"]
    assert "is a folder but not a bundle" in failing(capsys, *arguments, "thesis")
    assert "is not a bundle folder" in failing(capsys, *arguments, "traffic.pt")
    assert (here / "thesis" / "chapter1.tex").read_text() == "years of work"
    assert run(["export", *arguments, "traffic.bundle"]) == 0
    assert run(["export", *arguments, "traffic.bundle", "--target", "onnxruntime"]) == 0
    assert open_bundle(here / "traffic.bundle").manifest["target"] == "onnxruntime"


@pytest.mark.parametrize("batch", [1, 3, 16, "dynamic"])
def test_every_batch_runs(tmp_path, batch):
    network = small_networks.network(small_networks.Mobile)
    export(network, out=tmp_path / "m.bundle", options=ExportOptions(batch=batch))
    bundle = open_bundle(tmp_path / "m.bundle")
    assert bundle.single_stage.batch == (None if batch == "dynamic" else batch)
    assert bundle.manifest["golden"]["samples"] == {3: 9, 16: 16}.get(batch, 8)
    assert all(each.passed for each in compare_golden(bundle))


def test_a_failed_export_leaves_the_old_bundle(here, capsys):
    assert run(["export", "my_nets:traffic", *SHAPE]) == 0
    before = (here / "traffic.bundle" / "manifest.json").read_bytes()
    failing(capsys, "my_nets:remainder", *SHAPE, "--out", "traffic.bundle", code=1)
    assert (here / "traffic.bundle" / "manifest.json").read_bytes() == before
    assert [each.name for each in here.glob("traffic.bundle/*")] != []
    assert not list(here.glob(".part-*"))


def test_a_disk_that_is_full_leaves_nothing_behind(here):
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from edgesynth.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    before = sorted(here.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", program, "export", "my_nets:traffic", *SHAPE],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "main.onnx cannot be written: File too large" in line
    assert sorted(here.iterdir()) == before


def test_a_bundle_is_no_network(here, capsys):
    assert run(["export", "my_nets:traffic", *SHAPE]) == 0
    assert "is a bundle already" in failing(capsys, "traffic.bundle")


def test_options_by_hand():
    assert parse_input_shape("3x224x320") == (3, 224, 320)
    assert (parse_batch("8"), parse_batch("dynamic")) == (8, "dynamic")
    assert parse_preprocessing(None, None, None) is None
    both = parse_preprocessing("127.5", "127.5,64,32", 1.0)
    assert (both.mean, both.std, both.scale) == ((127.5,) * 3, (127.5, 64.0, 32.0), 1.0)
    assert fit_channels(parse_preprocessing("0.5", "0.5", None), 3, "net").mean == (0.5,) * 3
    assert name_of("nets.signs:small") == "small"
    assert name_of("/models/signs.v2.onnx") == "signs.v2"
    assert str(bundle_paths(["nets:small"], None, None)[0]) == "small.bundle"
