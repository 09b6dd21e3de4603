"""Plugin or dense, layer by layer: by the option, by timing, by the exporter's estimate."""

import host_gpu
import numpy as np
import pytest
import wire
from recorded_tensorrt import VERSIONS

from edgesynth_rt import onnx_nodes, onnx_wire
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.engine_build import BuildOptions, EngineBuilder
from edgesynth_rt.errors import CheckError, MissingError
from edgesynth_rt.operator_choice import choose
from edgesynth_rt.tensorrt_api import TensorRT
from edgesynth_rt.tensorrt_backend import TensorRTBackend

OPERATORS = [{"type": "EsSparseLinear", "version": "1"}, {"type": "EsExitGate", "version": "1"}]
PLUGINS = [("EsSparseLinear", "1", ""), ("EsExitGate", "1", "")]
READS = [("a", "float32", (-1, 3)), ("b", "float32", (-1, 2))]


def layer(name, source, target, outputs, features):
    """A sparse layer with the weights 1, 2, ... on its diagonal."""
    size = min(outputs, features)
    values = {
        "weight_shape": [outputs, features],
        "positions": np.arange(size, dtype=np.int32) * (features + 1),
        "values": np.arange(1, size + 1, dtype=np.float32),
        "bias": np.zeros(outputs, np.float32),
        "activation": 1,
    }
    attributes = b"".join(wire.field(5, wire.attribute(key, values[key])) for key in sorted(values))
    return (
        wire.field(1, source.encode("ascii"))
        + wire.field(2, target.encode("ascii"))
        + wire.field(3, name.encode("ascii"))
        + wire.named(("edgesynth", "EsSparseLinear"))
        + attributes
    )


MODEL = wire.model([layer("fc1", "a", "b", 2, 3), layer("fc2", "b", "c", 4, 2)])
WITH_GATE = wire.model([layer("fc1", "a", "b", 2, 3), ("edgesynth", "EsExitGate")])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "engines")


def make_bundle(folder, onnx=MODEL, **keys):
    def change(manifest):
        manifest.update(keys, operators=OPERATORS)

    return open_bundle(host_gpu.write_bundle(folder, onnx=onnx, change=change))


def plugin_nodes(onnx):
    return sum(domain == "edgesynth" for domain, _ in onnx_wire.operators(onnx))


def is_layer(onnx):
    """Whether this is a model of one layer, to be timed, rather than the network."""
    return len(onnx_nodes.graph_nodes(onnx)) < 2 or b"EsSparseLinear" not in onnx


def install(monkeypatch, library, version, **behaviour):
    world = host_gpu.install(
        monkeypatch, library, version, plugins=PLUGINS, custom=plugin_nodes, tensors=tensors
    )
    world.compute = compute
    world.reads = lambda onnx: READS
    for name, value in behaviour.items():
        setattr(world, name, value)
    return world


def tensors(onnx):
    """Inputs and outputs of an engine: the bundle's, or those of one layer."""
    nodes = onnx_nodes.graph_nodes(onnx)
    last = nodes[-1].outputs
    if len(nodes) > 1 and nodes[0].inputs[:1] == ["a"] and last == ["c"]:
        return host_gpu.IO
    sizes = {"a": (1, 3), "b": (1, 2), "c": (1, 4)}
    source = nodes[0].inputs[0]
    return [
        (source, True, "float32", sizes[source]),
        (last[0], False, "float32", sizes[last[0]]),
    ]


def compute(onnx, inputs):
    if "input" in inputs:
        return host_gpu.classify(onnx, inputs)
    return {name: 0.0 for name, is_input, _, _ in tensors(onnx) if not is_input}


def chosen(document):
    return {row["node"]: row["chosen"] for row in document["build"]["operators"]["layers"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_faster_one_is_taken(version, monkeypatch, library, tmp_path, cache):
    """fc1 is faster as a plugin, fc2 as TensorRT's own kernel."""

    def run_ms(onnx):
        dense_is_slow = b"fc1" in onnx
        return 3 if dense_is_slow == (b"Gemm" in onnx) else 1

    world = install(monkeypatch, library, version, run_ms=run_ms)
    said = []
    _, (document,) = TensorRTBackend(cache=cache, say=said.append).open(make_bundle(tmp_path / "x"))
    assert chosen(document) == {"fc1": "plugin", "fc2": "dense"}
    table = document["build"]["operators"]
    assert table["mode"] == "auto" and table["decided_by"] == "timing"
    row = table["layers"][0]
    assert row["operator"] == "EsSparseLinear" and 1 <= row["plugin_ms"] < row["dense_ms"]
    assert "times as fast" in row["reason"]
    assert document["build"]["plugin_layers"] == document["build"]["custom_nodes"] == 1
    assert "timing fc1 (EsSparseLinear) by plugin and dense" in said
    final = [call[1] for call in world.calls if call[0] == "parse"][-1]
    kinds = [node.kind for node in onnx_nodes.graph_nodes(final)]
    assert kinds == ["EsSparseLinear", "Gemm", "Relu"]


@pytest.mark.parametrize("mode, kinds", [
    ("all", ["EsSparseLinear", "EsSparseLinear"]),
    ("none", ["Gemm", "Relu", "Gemm", "Relu"]),
])  # fmt: skip
def test_by_the_option(mode, kinds, monkeypatch, library, tmp_path, cache):
    world = install(monkeypatch, library, "8.2.1")
    _, (document,) = TensorRTBackend(cache=cache).open(make_bundle(tmp_path / "x"), operators=mode)
    (onnx,) = [call[1] for call in world.calls if call[0] == "parse"]
    assert [node.kind for node in onnx_nodes.graph_nodes(onnx)] == kinds
    assert document["build"]["operators"]["decided_by"] == "option"
    assert document["key"]["options"]["operators"] == mode  # an engine for each
    assert document["build"]["custom_by"] == ("plugin" if mode == "all" else None)


def test_none_needs_no_library(monkeypatch, library, tmp_path, cache):
    install(monkeypatch, library, "8.2.1").plugins.clear()
    bundle = make_bundle(tmp_path / "x")
    with pytest.raises(MissingError, match=r"or build without plugins: --operators none$"):
        TensorRTBackend(cache=cache).open(bundle)
    TensorRTBackend(cache=cache).open(bundle, operators="none")


def test_a_gate_stays_a_plugin(monkeypatch, library, tmp_path):
    """There is no layer of TensorRT's that does the same."""
    onnx, table = choose(WITH_GATE, "none", "x.onnx")
    assert [row["chosen"] for row in table["layers"]] == ["dense", "plugin"]
    assert [node.kind for node in onnx_nodes.graph_nodes(onnx)] == ["Gemm", "Relu", "EsExitGate"]


@pytest.mark.parametrize("estimates, kinds", [
    ({"fc1": "dense", "fc2": "plugin"}, ["Gemm", "Relu", "EsSparseLinear"]),
    ({}, ["EsSparseLinear", "EsSparseLinear"]),
])  # fmt: skip
def test_without_a_gpu_the_estimate_decides(estimates, kinds, monkeypatch, library, tmp_path):
    world = install(monkeypatch, library, "8.6.1")
    import tensorrt

    (stage,) = make_bundle(tmp_path / "x").stages
    builder = EngineBuilder(TensorRT(tensorrt), BuildOptions("fp32", 64, 1), (5, 3))
    table = builder.build(stage, OPERATORS, estimates).facts["operators"]
    assert table["decided_by"] == "estimate"
    assert all("estimate" in row["reason"] for row in table["layers"])
    assert all(row["plugin_ms"] is None for row in table["layers"])
    (onnx,) = [call[1] for call in world.calls if call[0] == "parse"]
    assert [node.kind for node in onnx_nodes.graph_nodes(onnx)] == kinds


def test_the_manifest_carries_the_estimates(monkeypatch, library, tmp_path):
    from edgesynth_rt.errors import UserError

    layers = [{"node": "fc1", "estimate": "dense"}]
    assert make_bundle(tmp_path / "x", operator_layers=layers).manifest["operator_layers"] == layers
    with pytest.raises(UserError, match=r"operator_layers.0..estimate is .fast., not one of"):
        make_bundle(tmp_path / "y", operator_layers=[{"node": "fc1", "estimate": "fast"}])


def test_what_tensorrt_refuses_is_not_chosen(monkeypatch, library, tmp_path, cache):
    def refuse(onnx):
        return "no supported formats" if is_layer(onnx) and b"EsSparse" in onnx else None

    install(monkeypatch, library, "8.2.1", refuse=refuse)
    said = []
    _, (document,) = TensorRTBackend(cache=cache, say=said.append).open(make_bundle(tmp_path / "x"))
    assert chosen(document) == {"fc1": "dense", "fc2": "dense"}
    assert any("layer fc1" in line and "no supported formats" in line for line in said)
    row = document["build"]["operators"]["layers"][0]
    assert row["plugin_ms"] is None and row["reason"] == "TensorRT does not build the other one"


def test_an_engine_that_stops_running(monkeypatch, library, tmp_path, cache):
    world = install(monkeypatch, library, "8.2.1")

    def broken(onnx, inputs):
        raise CheckError("TensorRT 8.2.1 refused to run")

    world.compute = broken
    with pytest.raises(CheckError, match="refused to run"):
        TensorRTBackend(cache=cache).open(make_bundle(tmp_path / "x"))
