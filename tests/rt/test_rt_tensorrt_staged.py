"""A policy on TensorRT engines: the same decisions as simulated, and only the stages needed."""

import hand_made
import host_gpu
import numpy as np
import pytest
from exit_bundles import ONNX, answers, classify, exits_document, tensors, write_exits

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE
from edgesynth_rt.tensorrt_backend import TensorRTBackend
from edgesynth_rt.verify import verify_golden

FIRST = {"kind": "margin", "threshold": 0.6}
SECOND = {"kind": "maximum", "threshold": 0.9}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


def images(n, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, (n, 2, 3, 3)).astype(np.float32)


def bundle_of(folder, monkeypatch):
    """A bundle whose golden outputs belong to `classify`."""
    golden = images(hand_made.SAMPLES)
    monkeypatch.setattr(
        hand_made, "golden_arrays", lambda: {"input/input": golden, "output/logits": golden}
    )
    return open_bundle(write_exits(folder, exits_document(FIRST, SECOND), answers(golden)))


@pytest.mark.parametrize("version", ["8.2.1", "10.3.0"])
@pytest.mark.parametrize("mapped", [False, True])
def test_engines_answer_what_the_simulation_says(version, mapped, monkeypatch, library, tmp_path):
    ran = []

    def compute(onnx, inputs):
        ran.append(ONNX.index(onnx))
        return classify(onnx, inputs)

    host_gpu.install(monkeypatch, library, version, tensors=tensors, compute=compute)
    bundle = bundle_of(tmp_path / "x", monkeypatch)
    runner, documents = TensorRTBackend(cache=str(tmp_path / "c")).open(bundle, mapped=mapped)
    assert [document["key"]["stage"] for document in documents] == ["first", "second", "last"]
    assert [each.output for each in verify_golden(runner, bundle)] == ["a", "b", "c"]
    inputs = images(60, seed=3)
    wanted = bundle.policy.simulate(dict(zip("abc", answers(inputs))))
    assert set(wanted.left) == {0, 1, 2}
    del ran[:]
    found = run_samples(runner, {"input": inputs}, 1)
    assert np.array_equal(found[STAGE], wanted.left)
    assert np.allclose(found["c"], wanted.logits)
    assert np.bincount(ran).tolist() == wanted.visited.sum(axis=0).tolist()
    parts = runner.prepared([{"input": inputs[:1]}])()
    assert parts.latency == pytest.approx(parts.h2d + parts.compute) and parts.d2h == 0
