"""Operators of our own as plugins, functions left out, and what the GPU cannot do refused."""

import host_gpu
import pytest
import wire
from recorded_tensorrt import VERSIONS

from edgesynth_rt import onnx_wire
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import CheckError, MissingError, UserError
from edgesynth_rt.int8_rule import refuse_int8
from edgesynth_rt.tensorrt_backend import TensorRTBackend

GATE = ("edgesynth", "EsExitGate")
OPERATOR = {"type": "EsExitGate", "version": "1"}
PLUGIN = ("EsExitGate", "1", "")
WITH_FUNCTION = wire.model([("", "Conv"), GATE], functions=[GATE])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "engines")


def make_bundle(folder, onnx, operators=(OPERATOR,)):
    path = host_gpu.write_bundle(
        folder, onnx=onnx, change=lambda manifest: manifest.update(operators=list(operators))
    )
    return open_bundle(path)


def parsed(world):
    return [call[1] for call in world.calls if call[0] == "parse"]


def test_operators_of_a_file():
    inner = wire.branching([GATE, ("", "Relu")])
    onnx = wire.model([("", "Conv"), inner, GATE], functions=[GATE, ("other", "F")])
    assert onnx_wire.operators(onnx) == [
        ("", "Conv"), ("", "If"), GATE, ("", "Relu"), GATE,
    ]  # fmt: skip
    assert onnx_wire.functions(onnx) == [GATE, ("other", "F")]


def test_functions_are_cut_out_and_nothing_else_changes():
    onnx_wire.check_self_contained(WITH_FUNCTION, "x")
    without = onnx_wire.without_functions(WITH_FUNCTION)
    assert without == wire.model([("", "Conv"), GATE])
    assert onnx_wire.without_functions(without) == without


@pytest.mark.parametrize("version", VERSIONS)
def test_with_a_plugin(version, monkeypatch, library, tmp_path, cache):
    """Whatever the parser would do with the function, it does not see it."""
    world = host_gpu.install(monkeypatch, library, version, plugins=[PLUGIN], custom=lambda onnx: 1)
    bundle = make_bundle(tmp_path / "x", WITH_FUNCTION)
    _, (document,) = TensorRTBackend(cache=cache).open(bundle)
    assert parsed(world) == [wire.model([("", "Conv"), GATE])]
    assert document["build"]["custom_by"] == "plugin" and document["build"]["custom_nodes"] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_library_is_an_error(version, monkeypatch, library, tmp_path, cache):
    """Also where the parser would build the function's body: that would be slow without a word."""
    world = host_gpu.install(monkeypatch, library, version)
    bundle = make_bundle(tmp_path / "x", WITH_FUNCTION)
    for operators in ("auto", "all"):
        with pytest.raises(
            MissingError, match="no plugin for operator EsExitGate version 1 is"
        ) as e:
            TensorRTBackend(cache=cache).open(bundle, operators=operators)
        for words in ("docker/build-plugins.sh kernels", "libedgesynth_plugins.so"):
            assert words in str(e.value)
    assert not parsed(world)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_plugins(version, monkeypatch, library, tmp_path, cache):
    """An operator that is no layer needs its function, which older parsers do not know."""
    world = host_gpu.install(monkeypatch, library, version)
    bundle = make_bundle(tmp_path / "x", WITH_FUNCTION)
    backend = TensorRTBackend(cache=cache)
    if not backend.api.reads_functions:
        with pytest.raises(MissingError, match=r"--plugins libedgesynth_plugins.so$"):
            backend.open(bundle, operators="none")
        return
    _, (document,) = backend.open(bundle, operators="none")
    assert parsed(world) == [WITH_FUNCTION] and document["build"]["custom_by"] == "function"
    with pytest.raises(MissingError, match=r"--plugins libedgesynth_plugins.so"):
        backend.open(make_bundle(tmp_path / "y", wire.model([GATE])), operators="none")


@pytest.mark.parametrize("plugin", [("EsExitGate", "2", ""), ("EsExitGate", "1", "es")])
def test_version_and_namespace_must_agree(monkeypatch, library, tmp_path, cache, plugin):
    host_gpu.install(monkeypatch, library, plugins=[plugin], custom=lambda onnx: 1)
    with pytest.raises(MissingError, match="operator EsExitGate version 1"):
        TensorRTBackend(cache=cache).open(make_bundle(tmp_path / "x", WITH_FUNCTION))
    stated = dict(OPERATOR, version=plugin[1], namespace=plugin[2])
    bundle = make_bundle(tmp_path / "y", WITH_FUNCTION, [stated])
    TensorRTBackend(cache=cache).open(bundle)


def test_the_registry_loads_the_library_from_8_6_on(monkeypatch, library, tmp_path, cache):
    for version, works in (("8.5.2", False), ("8.6.1", True)):
        world = host_gpu.install(monkeypatch, library, version, custom=lambda onnx: 1)
        world.loadable = {PLUGIN}
        backend = TensorRTBackend(cache=cache, plugins=library)
        bundle = make_bundle(tmp_path / version, WITH_FUNCTION)
        if works:
            backend.open(bundle)
        else:
            with pytest.raises(MissingError, match=r"is registered by .*libcudart.so"):
                backend.open(bundle)


def test_plugin_layers_are_counted(monkeypatch, library, tmp_path, cache):
    """A node that became something else than a plugin would be slow without a word."""
    host_gpu.install(monkeypatch, library, plugins=[PLUGIN], custom=lambda onnx: 1)
    with pytest.raises(CheckError, match=r"has 2 nodes of edgesynth but .* made 1 plugin layers"):
        TensorRTBackend(cache=cache).open(make_bundle(tmp_path / "x", wire.model([GATE, GATE])))


def test_an_operator_that_the_manifest_does_not_list(monkeypatch, library, tmp_path, cache):
    host_gpu.install(monkeypatch, library, plugins=[PLUGIN], custom=lambda onnx: 1)
    with pytest.raises(UserError, match="uses operator EsExitGate, which its manifest does not"):
        TensorRTBackend(cache=cache).open(make_bundle(tmp_path / "x", WITH_FUNCTION, []))


def test_int8_is_refused_on_this_tegra_x2(monkeypatch, library, tmp_path, cache):
    host_gpu.install(monkeypatch, library)
    quantized = wire.model([("", "QuantizeLinear"), ("", "DequantizeLinear"), ("", "Conv")])
    bundle = make_bundle(tmp_path / "x", quantized)
    with pytest.raises(UserError, match=r"INT8 is refused on this GPU .sm_62.: it has no"):
        TensorRTBackend(cache=cache).open(bundle, "int8")
    with pytest.raises(UserError, match=r"holds DequantizeLinear, which .* export it without"):
        TensorRTBackend(cache=cache).open(bundle, "fp16")


@pytest.mark.parametrize("sm, refused", [
    ((5, 3), True), ((6, 0), True), ((6, 2), True),
    ((6, 1), False), ((7, 2), False), ((8, 7), False),
])  # fmt: skip
def test_int8_by_gpu(sm, refused):
    if refused:
        with pytest.raises(UserError, match="sm_%d%d" % sm):
            refuse_int8(sm, "int8", ["QuantizeLinear"], "x.onnx")
    else:
        refuse_int8(sm, "int8", ["QuantizeLinear"], "x.onnx")
        with pytest.raises(UserError, match="holds no QuantizeLinear"):
            refuse_int8(sm, "int8", ["Conv"], "x.onnx")
    refuse_int8(sm, "fp16", ["Conv"], "x.onnx")
