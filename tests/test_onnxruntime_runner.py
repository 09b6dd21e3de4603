"""The ONNX Runtime runner on real files, good and bad."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import CheckError, MissingError, UserError
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.samples import golden_batches, run_samples
from edgesynth_rt.verify import verify_golden
from make_bundle import make_bundle, make_model, read_manifest, sha256, write_manifest


@pytest.mark.parametrize("batch", [1, 4, "N"])
@pytest.mark.parametrize("threads", [1, 2])
def test_golden_outputs_of_an_independent_evaluator(
    tmp_path: Path, batch: int | str, threads: int
) -> None:
    bundle = open_bundle(make_bundle(tmp_path / "b", batch=batch))
    runner = OnnxRuntimeRunner(bundle, threads)
    assert runner.threads == threads and runner.batch == (None if batch == "N" else batch)
    (comparison,) = verify_golden(runner, bundle)
    assert comparison.output == "logits" and comparison.error < 1e-5


def test_every_core(tmp_path: Path) -> None:
    assert OnnxRuntimeRunner(open_bundle(make_bundle(tmp_path / "b")), threads=0).threads >= 1


def test_prepared_cycles_through_its_inputs(tmp_path: Path) -> None:
    bundle = open_bundle(make_bundle(tmp_path / "b"))
    runner = OnnxRuntimeRunner(bundle)
    inputs = golden_batches(bundle, 1)
    assert len(inputs) == 8
    seen: list[Any] = []

    class Spy:
        """Stands where the session stands and notes what it is given."""

        def run(self, outputs: list[str], feed: dict[str, Any]) -> None:
            seen.append(feed)

    runner._sessions = [Spy()]
    call = runner.prepared(inputs)
    for _ in range(10):
        call()
    assert [id(feed) for feed in seen] == [id(inputs[k % 8]) for k in range(10)]


def replace_onnx(folder: Path, data: bytes) -> None:
    """Put another file under the bundle's ONNX, with a manifest that agrees."""
    (folder / "main.onnx").write_bytes(data)
    manifest = read_manifest(folder)
    manifest["stages"][0]["sha256"] = sha256(folder / "main.onnx")
    write_manifest(folder, manifest)


def test_other_weights_do_not_compute_the_golden_outputs(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "b")
    replace_onnx(folder, make_model(seed=1).SerializeToString())
    bundle = open_bundle(folder)
    with pytest.raises(CheckError, match=r"golden outputs on onnxruntime: logits\[\d,\d\] is"):
        verify_golden(OnnxRuntimeRunner(bundle), bundle)


def test_a_graph_that_onnxruntime_refuses(tmp_path: Path) -> None:
    model = make_model()
    model.graph.node[1].op_type = "NoSuchOperator"
    folder = make_bundle(tmp_path / "b")
    replace_onnx(folder, model.SerializeToString())
    with pytest.raises(UserError, match="does not load in onnxruntime") as caught:
        OnnxRuntimeRunner(open_bundle(folder))
    assert "NoSuchOperator" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "side, change, said",
    [
        ("inputs", {"name": "image"}, "input image stands only in"),
        ("outputs", {"name": "probabilities"}, "output logits stands only in"),
        ("inputs", {"shape": [1, 1, 9, 9]}, "input input is"),
        ("inputs", {"dtype": "float16"}, "input input is"),
    ],
)
def test_a_manifest_that_does_not_fit_its_onnx(
    tmp_path: Path, side: str, change: dict[str, Any], said: str
) -> None:
    folder = make_bundle(tmp_path / "b")
    manifest = read_manifest(folder)
    tensor = manifest["stages"][0][side][0]
    tensor.update(change)
    shape = [8, *tensor["shape"][1:]]
    other = {"inputs": ("output/logits", [8, 10]), "outputs": ("input/input", [8, 1, 8, 8])}[side]
    key = f"{side[:-1]}/{tensor['name']}"
    arrays = {key: np.zeros(shape, tensor["dtype"]), other[0]: np.zeros(other[1], np.float32)}
    np.savez(folder / "golden.npz", **arrays)
    manifest["golden"]["sha256"] = sha256(folder / "golden.npz")
    write_manifest(folder, manifest)
    with pytest.raises(UserError) as caught:
        OnnxRuntimeRunner(open_bundle(folder))
    assert said in str(caught.value) and "export the bundle again" in str(caught.value)


def test_inputs_of_another_shape(tmp_path: Path) -> None:
    runner = OnnxRuntimeRunner(open_bundle(make_bundle(tmp_path / "b")))
    with pytest.raises(UserError, match="does not run") as caught:
        run_samples(runner, {"input": np.zeros((1, 1, 9, 9), np.float32)}, 1)
    assert "\n" not in str(caught.value)


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match="pip install onnxruntime"):
        OnnxRuntimeRunner(open_bundle(make_bundle(tmp_path / "b")))
