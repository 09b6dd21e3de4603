"""`inspect` reads every kind of artefact, and refuses everything else in one line."""

from __future__ import annotations

import json
import re
import shutil

import msgspec
import pytest

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.networks import edgenet
from edgesynth.networks.source import resolve
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import synthesize
from edgesynth.workflows.export import export
from edgesynth.workflows.inspect import inspect
from make_bundle import make_bundle, read_manifest, write_manifest
from report_samples import write_demo
from small_networks import Residual, network


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """One artefact of every kind, made by the product itself."""
    folder = tmp_path_factory.mktemp("artefacts")
    parent = resolve("lenet5")
    edgenet.save(parent, folder / "lenet5.edgenet")
    edgenet.save(
        synthesize([parent], Genome(Environment("factor", 0.7)), (0, 2, 1)),
        folder / "child.edgenet",
    )
    foreign = synthesize([network(Residual)], Genome(Environment("factor", 0.7)), (0, 2, 1))
    edgenet.save(foreign, folder / "foreign.edgenet")
    export(str(folder / "lenet5.edgenet"), target="jetpack-4.6", out=folder / "lenet5.bundle")
    write_demo(folder / "demo")
    return folder


def shown(capsys, *arguments):
    assert run(["inspect", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_network_is_counted_as_published(artefacts, capsys):
    document = inspect(artefacts / "lenet5.edgenet")
    assert (document["schema"], document["artefact"]) == ("edgesynth.inspection/1", "network")
    assert (document["cost"]["params"], document["cost"]["macs"]) == (431_080, 2_293_000)
    assert [layer["name"] for layer in document["layers"]] == ["conv1", "conv2", "fc1", "fc2"]
    assert document["layers"][1]["outputs"] == {"kept": 50, "of": 50}
    text = shown(capsys, artefacts / "lenet5.edgenet")
    assert "431,080 parameters, 2,293,000 MACs" in text


def test_a_child_shows_what_it_kept(artefacts, capsys):
    document = inspect(artefacts / "child.edgenet")
    conv2 = next(layer for layer in document["layers"] if layer["name"] == "conv2")
    assert conv2["outputs"]["of"] == 50 and 0 < conv2["outputs"]["kept"] < 50
    module = edgenet.load(artefacts / "child.edgenet").module
    assert conv2["outputs"]["kept"] == module.conv2.out_channels
    assert document["cost"]["params"] == sum(p.numel() for p in module.parameters())
    assert 0 < document["synapses"]["live"] < document["synapses"]["of"]
    assert f"{conv2['outputs']['kept']} of 50" in shown(capsys, artefacts / "child.edgenet")


def test_code_of_others_runs_only_when_trusted(artefacts, capsys):
    factory = "small_networks:Residual"
    document = inspect(artefacts / "foreign.edgenet")
    assert document["cost"] == {
        "not_counted": f"{factory} is not trusted to run; add --trust {factory}"
    }
    assert document["layers"][0]["name"] in document["kept"]
    assert f"add --trust {factory}" in " ".join(
        shown(capsys, artefacts / "foreign.edgenet").split()
    )
    trusted = inspect(artefacts / "foreign.edgenet", trust=[factory])
    assert trusted["cost"]["params"] > 0


def test_a_bundle_whose_manifest_has_no_policy_at_all(tmp_path):
    folder = make_bundle(tmp_path / "tiny.bundle")
    manifest = read_manifest(folder)
    del manifest["policy"]
    write_manifest(folder, manifest)
    assert inspect(folder)["policy"] is None


def test_a_bundle_shows_its_stages_and_their_operators(artefacts, capsys):
    document = inspect(artefacts / "lenet5.bundle")
    assert (document["artefact"], document["hashes"]) == ("bundle", "verified")
    stage = document["stages"][0]
    assert stage["inputs"][0]["shape"] == [1, 1, 28, 28]
    assert stage["onnx"]["opsets"]["ai.onnx"] == 13
    assert stage["onnx"]["params"] == 431_080
    assert stage["onnx"]["operators"]["Conv"] == 2
    text = shown(capsys, artefacts / "lenet5.bundle")
    assert "jetpack-4.6" in text and "ai.onnx 13" in text and "Gemm" in text
    assert inspect(artefacts / "lenet5.bundle" / "manifest.json")["id"] == document["id"]


def test_an_onnx_file_shows_tensors_and_operators(artefacts, capsys):
    document = inspect(next((artefacts / "lenet5.bundle").glob("*.onnx")))
    assert document["artefact"] == "onnx"
    assert document["outputs"] == [{"name": "logits", "dtype": "float32", "shape": [1, 10]}]
    assert document["size_bytes"] > 4 * 431_080
    text = shown(capsys, next((artefacts / "lenet5.bundle").glob("*.onnx")))
    assert "input float32 1x1x28x28" in text


def test_a_run_is_a_family_tree(artefacts, capsys):
    document = inspect(artefacts / "demo" / "run")
    assert len(document["offspring"]) == 21
    best = next(one for one in document["offspring"] if one["best"])
    assert (best["id"], best["parent"], best["params"]) == ("g04-1", "g03-2", 65_979)
    text = shown(capsys, artefacts / "demo" / "run")
    lines = text.splitlines()
    depth = {
        key: next(line.index(key) for line in lines if re.search(rf"{key}\b.*  accuracy 0", line))
        for key in ("g01-0", "g02-2", "g03-2", "g04-1")
    }
    assert sorted(depth.values()) == list(depth.values())  # children are indented
    assert any("g04-1 (selected, best)  accuracy " in line for line in lines)
    assert (
        inspect(artefacts / "demo" / "run" / "history.jsonl")["offspring"] == document["offspring"]
    )


def test_a_record_is_read_with_its_latencies(artefacts, capsys):
    path = artefacts / "demo" / "records" / "child.record.json"
    document = inspect(path)
    assert document["raw_latencies"] == 1500
    assert document["record"]["kind"] == "measured"
    assert "measured" in shown(capsys, path)
    assert "predicted" in shown(capsys, path.with_name("child-tx2.record.json"))


@pytest.mark.parametrize("name", ["child.edgenet", "lenet5.bundle", "demo/run"])
def test_json_is_one_document(artefacts, name, capsys):
    document = json.loads(shown(capsys, artefacts / name, "--json"))
    assert document["path"] == str(artefacts / name)
    assert document == json.loads(msgspec.json.encode(inspect(artefacts / name)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda a, t: t / "absent", "there is no"),
        (lambda a, t: a, "holds no artefact itself"),
        (lambda a, t: (t / "x.txt").write_text("x") and t / "x.txt", "of no kind"),
        (
            lambda a, t: (t / "x.json").write_text('{"schema": "z/1"}') and t / "x.json",
            "of no kind",
        ),
        (lambda a, t: (t / "x.json").write_text("[" * 9) and t / "x.json", "not valid JSON"),
        (lambda a, t: cut(next((a / "lenet5.bundle").glob("*.onnx")), t / "x.onnx"), "cut short"),
        (lambda a, t: (t / "x.onnx").write_bytes(b"") or t / "x.onnx", "cut short"),
        (lambda a, t: changed(a / "lenet5.bundle", t / "x.bundle", "golden.npz"), "golden.npz"),
        (
            lambda a, t: changed(a / "child.edgenet", t / "x.edgenet", "weights.safetensors"),
            "do not have the hash",
        ),
        (
            lambda a, t: changed(a / "foreign.edgenet", t / "x.edgenet", "weights.safetensors"),
            "do not have the hash",
        ),
        (lambda a, t: (t / "x.edgenet").mkdir() or t / "x.edgenet", "cannot be read"),
    ],
)
def test_bad_input_is_one_line(artefacts, tmp_path, capsys, make, words):
    assert run(["inspect", str(make(artefacts, tmp_path))]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error


def cut(source, target):
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    return target


def changed(source, target, name):
    """A copy of the folder `source` with one byte of `name` changed."""
    shutil.copytree(source, target)
    data = bytearray((target / name).read_bytes())
    data[-1] ^= 1
    (target / name).write_bytes(bytes(data))
    return target


def test_unknown_kinds_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"\.edgenet folder, a \.bundle folder .* \.onnx file"):
        inspect(tmp_path)
