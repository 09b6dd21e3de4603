"""Engines from bundle to runner: built, verified, cached, rejected, by every TensorRT's calls."""

import json
import os

import host_gpu
import numpy as np
import pytest
from hand_made import write_bundle as write_plain
from recorded_tensorrt import VERSIONS

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.engine_cache import EngineCache
from edgesynth_rt.errors import CheckError, MissingError, UserError
from edgesynth_rt.measure import measure
from edgesynth_rt.samples import golden_batches
from edgesynth_rt.tensorrt_backend import TensorRTBackend


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def bundle(tmp_path):
    return open_bundle(host_gpu.write_bundle(tmp_path / "x.bundle"))


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "engines")


def builds(world):
    return [call for call in world.calls if call[0] == "build"]


@pytest.mark.parametrize("version", VERSIONS)
def test_build_once_run_often(version, monkeypatch, library, bundle, cache):
    world = host_gpu.install(monkeypatch, library, version)
    lines = []
    backend = TensorRTBackend(cache=cache, say=lines.append)
    runner, (document,) = backend.open(bundle)
    assert len(builds(world)) == 1 and "building the engine of" in lines[0]
    assert document["schema"] == "edgesynth.engine/1" and not document["cached"]
    assert document["key"]["gpu"] == "NVIDIA Tegra X2" and document["key"]["sm"] == "6.2"
    assert document["key"]["tensorrt"] == version and document["key"]["bundle"] == bundle.id
    assert document["verified"][0]["error"] == 0 and os.path.isfile(document["path"])
    inputs, outputs = bundle.golden()
    found = runner.run({"input": inputs["input"][1:2]})
    assert np.array_equal(found["logits"], outputs["logits"][1:2])
    again, (kept,) = TensorRTBackend(cache=cache).open(bundle)
    assert len(builds(world)) == 1 and kept["cached"]
    assert again.run({"input": inputs["input"][2:]})["logits"].shape == (1, 4)


@pytest.mark.parametrize("mapped", [False, True])
def test_times(monkeypatch, library, bundle, cache, mapped):
    host_gpu.install(monkeypatch, library)
    runner, _ = TensorRTBackend(cache=cache).open(bundle, mapped=mapped)
    parts = runner.prepared(golden_batches(bundle, 1))()
    assert parts.latency == pytest.approx(parts.h2d + parts.compute + parts.d2h)
    assert 0 < parts.enqueue <= parts.compute + 1e-3  # the stand-in computes while enqueueing
    assert (parts.h2d, parts.d2h) == (0, 0) if mapped else parts.h2d > 0 and parts.d2h > 0
    (series,) = measure([runner.prepared(golden_batches(bundle, 1))], 1, 20, 0)
    assert len(series.parts_ms["compute"]) == len(series.latency_ms) >= 20
    assert all(wall > latency for wall, latency in zip(series.wall_ms, series.latency_ms))
    inputs, outputs = bundle.golden()
    found = runner.run({"input": inputs["input"][:1]})["logits"]
    assert np.array_equal(found, outputs["logits"][:1])  # also after other inputs went through


def test_an_engine_that_computes_something_else_is_rejected(monkeypatch, library, bundle, cache):
    world = host_gpu.install(
        monkeypatch, library, compute=lambda onnx, inputs: {"logits": np.ones((1, 4))}
    )
    with pytest.raises(CheckError, match="does not compute its golden outputs on tensorrt: logits"):
        TensorRTBackend(cache=cache).open(bundle)
    assert not [name for name in os.listdir(cache) if name.endswith((".engine", ".json"))]
    world.compute = host_gpu.classify
    TensorRTBackend(cache=cache).open(bundle)
    world.compute = lambda onnx, inputs: {"logits": np.full((1, 4), np.nan)}
    with pytest.raises(CheckError, match="is nan, golden"):
        TensorRTBackend(cache=cache).open(bundle)  # from the cache, and checked all the same


@pytest.mark.parametrize(
    "off, precision, holds", [(5e-3, "fp32", 0), (5e-3, "fp16", 1), (0.1, "fp16", 0)]
)
def test_half_precision_has_the_tolerance_of_half_precision(
    monkeypatch, library, bundle, cache, off, precision, holds
):
    def compute(onnx, inputs):
        return {"logits": host_gpu.classify(onnx, inputs)["logits"] * (1 + off)}

    host_gpu.install(monkeypatch, library, compute=compute)
    backend = TensorRTBackend(cache=cache)
    if holds:
        runner, (document,) = backend.open(bundle, precision)
        assert runner.precision == "fp16" and document["key"]["options"]["precision"] == "fp16"
        assert 0 < document["verified"][0]["error"] <= document["verified"][0]["tolerance"]
    else:
        with pytest.raises(CheckError, match="tolerance"):
            backend.open(bundle, precision)


def test_every_part_of_the_key_counts(monkeypatch, library, tmp_path, bundle, cache):
    world = host_gpu.install(monkeypatch, library)
    control = host_gpu.control(library)
    try:
        TensorRTBackend(cache=cache).open(bundle)
        TensorRTBackend(cache=cache).open(bundle, "fp16")
        TensorRTBackend(cache=cache).open(bundle, workspace_mib=64)
        other = host_gpu.write_bundle(tmp_path / "y", change=lambda m: m.update(name="y"))
        TensorRTBackend(cache=cache).open(open_bundle(other))
        plugins = str(tmp_path / "libplugins.so")
        os.link(library, plugins)
        TensorRTBackend(cache=cache, plugins=plugins).open(bundle)
        control.es_runtime(11040)
        TensorRTBackend(cache=cache).open(bundle)
        assert len(builds(world)) == 6
        TensorRTBackend(cache=cache).open(bundle)
        assert len(builds(world)) == 6
        TensorRTBackend(cache=cache).open(bundle, force=True)
        assert len(builds(world)) == 7
    finally:
        control.es_runtime(10020)
    newer = host_gpu.install(monkeypatch, library, "8.4.1")
    TensorRTBackend(cache=cache).open(bundle)
    assert len(builds(newer)) == 1


@pytest.mark.parametrize("damage", ["engine", "unverified", "key", "no engine", "no json"])
def test_a_damaged_cache_is_built_anew(monkeypatch, library, bundle, cache, damage):
    world = host_gpu.install(monkeypatch, library)
    _, (document,) = TensorRTBackend(cache=cache).open(bundle)
    side = document["path"][: -len("engine")] + "json"
    with open(side) as stream:
        written = json.load(stream)
    if damage == "engine":
        with open(document["path"], "ab") as stream:
            stream.write(b"x")
    elif damage == "no engine":
        os.remove(document["path"])
    elif damage == "no json":
        os.remove(side)
    else:
        written.update({"verified": []} if damage == "unverified" else {"key": {}})
        with open(side, "w") as stream:
            json.dump(written, stream)
    TensorRTBackend(cache=cache).open(bundle)
    assert len(builds(world)) == 2


def test_the_timing_cache_serves_the_next_build(monkeypatch, library, bundle, cache):
    world = host_gpu.install(monkeypatch, library)
    TensorRTBackend(cache=cache).open(bundle)
    TensorRTBackend(cache=cache).open(bundle, force=True)
    assert [call[1]["timing"].state["data"] for call in builds(world)] == [b"", b"timed"]


def test_a_cache_that_others_write_in_is_refused(tmp_path):
    folder = tmp_path / "engines"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UserError, match=r"others may write .* --cache, or `chmod 700` it"):
        EngineCache(str(folder))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        EngineCache(str(tmp_path / "file" / "below"))


def test_a_dynamic_batch_is_fixed(monkeypatch, library, tmp_path, cache):
    def change(manifest):
        for tensors in ("inputs", "outputs"):
            manifest["stages"][0][tensors][0]["shape"][0] = "N"

    bundle = open_bundle(host_gpu.write_bundle(tmp_path / "x", change=change))
    io = [(name, side, dtype, (-1,) + shape[1:]) for name, side, dtype, shape in host_gpu.IO]
    for version in ("8.2.1", "10.3.0"):
        world = host_gpu.install(monkeypatch, library, version, tensors=lambda onnx: io)
        runner, _ = TensorRTBackend(cache=cache).open(bundle, batch=2)
        assert runner.batch == 2
        (profile,) = builds(world)[0][1]["profiles"]
        assert profile == {"input": [[2, 2, 3, 3]] * 3}


def test_an_engine_with_other_tensors_is_refused(monkeypatch, library, bundle, cache):
    for io, reason in (
        ([host_gpu.IO[0], ("probs", False, "float32", (1, 4))], "output .* only in the"),
        ([host_gpu.IO[0], ("logits", False, "float16", (1, 4))], "is float16 .* float32"),
        ([("input", True, "float32", (1, 2, 3, 4)), host_gpu.IO[1]], "the manifest says"),
    ):
        host_gpu.install(monkeypatch, library, tensors=lambda onnx, io=io: io)
        with pytest.raises(UserError, match=reason):
            TensorRTBackend(cache=cache).open(bundle)


def test_int64_comes_as_int32_from_tensorrt_8(monkeypatch, library, tmp_path, cache):
    def change(manifest):
        manifest["stages"][0]["outputs"][0]["dtype"] = "int64"

    import hand_made

    logits = np.arange(12, dtype=np.int64).reshape(3, 4)
    golden = hand_made.golden_bytes(logits=logits)
    bundle = open_bundle(write_plain(tmp_path / "x", change=change, golden=golden))
    first = hand_made.golden_arrays()["input/input"][:, 0, 0, 0]

    def compute(onnx, inputs):
        row = list(first).index(inputs["input"][0, 0, 0, 0])
        return {"logits": logits[row : row + 1]}

    io = [host_gpu.IO[0], ("logits", False, "int32", (1, 4))]
    host_gpu.install(monkeypatch, library, tensors=lambda onnx: io, compute=compute)
    runner, _ = TensorRTBackend(cache=cache).open(bundle)
    found = runner.run({"input": bundle.golden()[0]["input"][1:2]})["logits"]
    assert found.dtype == np.int64 and found.tolist() == [[4, 5, 6, 7]]


def test_what_is_missing(monkeypatch, library, bundle, cache, tmp_path):
    host_gpu.install(monkeypatch, library)
    with pytest.raises(MissingError, match=r"no plugin library at .*gone.so"):
        TensorRTBackend(cache=cache, plugins=str(tmp_path / "gone.so"))
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(MissingError, match=r"does not load .*build it on this board"):
        TensorRTBackend(cache=cache, plugins=str(tmp_path / "text.so"))
    with pytest.raises(UserError, match="fixed batch of 1, not 4"):
        TensorRTBackend(cache=cache).open(bundle, batch=4)
