"""Bundles of several stages on TensorRT: every stage an engine, tensors joined by name."""

import hand_made
import host_gpu
import numpy as np
import pytest
import wire

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.chain import check_chain
from edgesynth_rt.errors import UserError
from edgesynth_rt.tensorrt_backend import TensorRTBackend

FIRST, SECOND = wire.model([("", "First")]), wire.model([("", "Second")])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


def staged(folder, change=None):
    """input (1,2,3,3) -> First: halves (1,2) -> Second: logits (1,4) from halves and input."""

    def two_stages(manifest):
        (stage,) = manifest["stages"]
        halves = {"name": "halves", "dtype": "float32", "shape": [1, 2]}
        first = dict(stage, id="first", onnx="first.onnx", sha256=hand_made.sha256(FIRST))
        first["outputs"] = [halves]
        second = dict(stage, id="second", onnx="second.onnx", sha256=hand_made.sha256(SECOND))
        second["inputs"] = [dict(halves)] + stage["inputs"]
        manifest["stages"] = [first, second]
        if change:
            change(manifest)

    inputs = np.random.RandomState(1).uniform(-1, 1, (3, 2, 3, 3)).astype(np.float32)
    logits = np.concatenate([compute_all(inputs[k : k + 1]) for k in range(3)])
    golden = hand_made.golden_bytes(input=inputs, logits=logits)
    path = hand_made.write_bundle(folder, change=two_stages, golden=golden)
    for name, data in (("first.onnx", FIRST), ("second.onnx", SECOND)):
        with open(path + "/" + name, "wb") as stream:
            stream.write(data)
    return path


def compute_all(inputs):
    halves = inputs.sum(axis=(2, 3))
    return np.concatenate([halves, halves * inputs[:, 0, 0, :1]], axis=1)


def compute(onnx, inputs):
    if onnx == FIRST:
        return {"halves": inputs["input"].sum(axis=(2, 3))}
    halves = inputs["halves"]
    return {"logits": np.concatenate([halves, halves * inputs["input"][:, 0, 0, :1]], axis=1)}


def tensors(onnx):
    halves = ("halves", onnx == SECOND, "float32", (1, 2))
    return [halves, host_gpu.IO[0]] + ([host_gpu.IO[1]] if onnx == SECOND else [])


@pytest.mark.parametrize("version", ["8.2.1", "10.3.0"])
def test_stage_by_stage(version, monkeypatch, library, tmp_path):
    world = host_gpu.install(monkeypatch, library, version, tensors=tensors, compute=compute)
    bundle = open_bundle(staged(tmp_path / "x"))
    runner, documents = TensorRTBackend(cache=str(tmp_path / "c")).open(bundle)
    assert [document["key"]["stage"] for document in documents] == ["first", "second"]
    assert documents[0]["path"] != documents[1]["path"]
    assert [call[1] for call in world.calls if call[0] == "parse"] == [FIRST, SECOND]
    inputs, outputs = bundle.golden()
    found = runner.run({"input": inputs["input"][2:]})
    assert set(found) == {"logits"}
    assert np.allclose(found["logits"], outputs["logits"][2:])


@pytest.mark.parametrize("change, reason", [
    (lambda m: m["stages"][1]["inputs"][0].update(name="other"), "takes other, which no stage"),
    (lambda m: m["stages"].reverse(), "takes halves, which no stage|no array"),
])  # fmt: skip
def test_stages_that_do_not_join(tmp_path, change, reason):
    with pytest.raises(UserError, match=reason):
        check_chain(open_bundle(staged(tmp_path / "x", change)))


def test_stages_that_disagree_about_a_tensor(tmp_path):
    def change(manifest):
        first = manifest["stages"][0]
        first["outputs"] = [dict(first["outputs"][0], shape=[1, 3])]

    with pytest.raises(UserError, match=r"takes halves as float32 \[1, 2\], but it is"):
        check_chain(open_bundle(staged(tmp_path / "x", change)))
