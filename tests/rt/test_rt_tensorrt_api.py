"""The adapter against the recorded interface of every TensorRT from 8.0 to 11."""

import re
import sys

import host_gpu
import pytest
import recorded_tensorrt
from recorded_tensorrt import VERSIONS

from edgesynth_rt.errors import CheckError, MissingError, UserError
from edgesynth_rt.tensorrt_api import TensorRT, import_tensorrt


def make(version, **world):
    made = recorded_tensorrt.World(lambda onnx: host_gpu.IO, host_gpu.classify, **world)
    return TensorRT(recorded_tensorrt.make_module(version, made)), made


def before(version, limit):
    numbers = [tuple(int(part) for part in text.split(".")) for text in (version, limit)]
    return numbers[0] < numbers[1]


def test_the_stand_in_accepts_nothing_but_what_is_recorded():
    api, _ = make("8.2.1")
    builder = api.module.Builder(api.log)
    config = builder.create_builder_config()
    with pytest.raises(AttributeError):
        config.set_memory_pool_limit(0, 1)  # from 8.4 on
    with pytest.raises(AttributeError):
        config.workspace = 1
    with pytest.raises(TypeError, match="incompatible"):
        config.set_flag()
    with pytest.raises(TypeError, match="No constructor"):
        api.module.IBuilderConfig()
    with pytest.raises(NotImplementedError):
        builder.reset()


def test_the_recorded_releases_differ_where_the_adapter_says():
    """Every row of the table has a release on each side, so that none is there for nothing."""
    from edgesynth_rt.tensorrt_api import _DIFFERENCES

    for _, tell, _, _ in _DIFFERENCES:
        name, member = tell.split(".")
        has = [member in recorded_tensorrt.record(v).get(name, {}) for v in VERSIONS]
        assert True in has and False in has, tell


@pytest.mark.parametrize("version", VERSIONS)
def test_build(version):
    api, world = make(version)
    builder = api.module.Builder(api.log)
    network = api.create_network(builder)
    parser = api.parse(network, b"onnx", "x.onnx")
    config = builder.create_builder_config()
    api.set_workspace(config, 256 << 20)
    api.set_timing_cache(config, b"")
    assert api.build(builder, network, config, "x.onnx")
    assert api.timing_cache(config) == b"timed"
    calls = dict(world.calls)
    assert calls["parse"] == b"onnx"
    explicit = hasattr(api.module.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH")
    assert (calls["create_network"] != 0) == explicit == before(version, "11.0.0")
    where = "workspace" if before(version, "8.4.0") else "WORKSPACE"
    assert calls["build"][where] == 256 << 20
    assert parser is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_precision(version):
    api, _ = make(version)
    config = api.module.Builder(api.log).create_builder_config()
    config.set_flag(api.module.BuilderFlag.TF32)
    api.set_precision(config, "fp32")
    assert config.state["flags"] == set()
    if before(version, "11.0.0"):
        api.set_precision(config, "fp16")
        assert config.state["flags"] == {"FP16"}
        api.set_precision(config, "int8")
        assert config.state["flags"] == {"FP16", "INT8"}
    else:
        with pytest.raises(UserError, match="precision from the ONNX file"):
            api.set_precision(config, "fp16")
        api.set_precision(config, "int8")  # its nodes say it
        assert config.state["flags"] == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_tensors(version):
    io = [("a", True, "float32", (-1, 3)), ("b", False, "int32", (-1,)), ("c", False, "int8", (1,))]
    api, world = make(version)
    world.tensors = lambda onnx: io
    builder = api.module.Builder(api.log)
    network = api.create_network(builder)
    api.parse(network, b"", "x")
    engine = api.deserialize(api.build(builder, network, builder.create_builder_config(), "x"), "x")
    assert [tuple(tensor) for tensor in api.tensors(engine)] == io


def test_a_type_that_numpy_lacks():
    api, _ = make("10.3.0")
    engine = api.module.Runtime(api.log).deserialize_cuda_engine(b'PLAN00000009["a", {}]')
    engine.state["tensors"] = [("x", True, "float32", (1,))]
    type(engine).get_tensor_dtype = lambda self, name: api.module.DataType.FP8
    with pytest.raises(UserError, match=r"tensor x of the engine is DataType.FP8"):
        api.tensors(engine)


@pytest.mark.parametrize("version", VERSIONS)
def test_plugins(version):
    api, world = make(version, plugins=[("EsExitGate", "1", "")])
    assert api.find_plugin("EsExitGate", "1", "") is not None
    assert api.find_plugin("EsExitGate", "2", "") is None
    assert api.find_plugin("EsExitGate", "1", "other") is None
    world.loadable = {("EsNew", "1", "")}
    assert api.load_plugins("/x.so") == (not before(version, "8.6.0"))


@pytest.mark.parametrize("version", VERSIONS)
def test_functions_are_read_from_9_on(version):
    api, _ = make(version)
    assert api.reads_functions == (not before(version, "9.0.0"))


@pytest.mark.parametrize("version", VERSIONS)
def test_refusals_carry_the_words_of_tensorrt(version):
    api, world = make(version)
    builder = api.module.Builder(api.log)
    network = api.create_network(builder)
    world.parse_error = "No importer registered for op: Foo\n(at x.cpp:1)"
    place = "node 7" if before(version, "10.0.0") else "Foo /foo"
    with pytest.raises(CheckError, match=r"does not take x.onnx: %s: No importer .* Foo" % place):
        api.parse(network, b"", "x.onnx")
    world.parse_error, world.build_error = None, "Internal Error: (Could not find any impl"
    with pytest.raises(CheckError, match=r"builds no engine of x.onnx: Internal Error.*workspace"):
        api.build(builder, network, builder.create_builder_config(), "x.onnx")
    with pytest.raises(CheckError, match=r"does not load the engine of x.onnx: Version tag"):
        api.deserialize(b"another", "x.onnx")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_timing_cache_of_another_gpu_is_replaced(version):
    api, _ = make(version)
    config = api.module.Builder(api.log).create_builder_config()
    api.set_timing_cache(config, b"of another GPU")
    assert api.timing_cache(config) == b"timed"


def test_no_tensorrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingError) as caught:
        import_tensorrt()
    assert re.search("comes with JetPack .*python3-libnvinfer.*3.6 on JetPack 4", str(caught.value))
