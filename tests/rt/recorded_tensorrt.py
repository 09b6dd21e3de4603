"""TensorRT as far as its recorded interface goes, for machines without TensorRT.

`make_module("8.2.1", ...)` builds a module strictly from `tensorrt_api.json`: a class has the
members that this release has, takes the arguments that they take, and everything else raises what
the real bindings raise (AttributeError, TypeError). What a member does is in `_Behaviour`; a
recorded member without behaviour raises NotImplementedError, so nothing passes unnoticed.

What an engine computes is the caller's: `compute(onnx, inputs) -> outputs` on numpy arrays. The
addresses that it is given are real ones, see `host_cudart.c`.
"""

import ctypes
import json
import time
import types

import numpy as np
from recorded_interface import VERSIONS as VERSIONS
from recorded_interface import make_class, make_enumeration, record

_PLAN = b"PLAN"
_NUMPY = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}


class World(object):
    """What the faked module stands in: the graph, the engine's arithmetic, and a log of calls.

    tensors(onnx): [(name, is_input, dtype, shape)], -1 for a dynamic dimension; compute(onnx,
    inputs): outputs; plugins: {(name, version, namespace)} that are registered; custom(onnx): how
    many plugin layers parsing makes; reads(onnx): [(name, dtype, shape)], what each of them reads;
    refuse(onnx): why no engine can be built, or None; run_ms(onnx): how long a run takes; gpu: goes
    into the engine, which loads on the same one only.
    """

    def __init__(self, tensors, compute, plugins=(), custom=lambda onnx: 0, gpu="a"):
        self.tensors = tensors
        self.compute = compute
        self.plugins = set(plugins)
        self.custom = custom
        self.gpu = gpu
        self.reads = lambda onnx: []
        self.refuse = lambda onnx: None
        self.run_ms = lambda onnx: 0
        self.loadable = set()
        self.parse_error = None
        self.build_error = None
        self.calls = []


def make_module(version, world):
    """A module with the interface of TensorRT `version` in the `World` given."""
    module = types.ModuleType("tensorrt")
    module.__version__ = version
    classes = record(version)
    behaviours = dict(vars(_Behaviour(module, world)))
    for name, members in classes.items():
        if "value" in members.values():
            setattr(module, name, make_enumeration(name, members))
        else:
            setattr(module, name, make_class(name, members, behaviours.get(name, {})))
    log = {"__init__": lambda self: None, "Severity": module.Severity}
    module.ILogger = type("ILogger", (), log)
    del module.Severity
    module.get_plugin_registry = module.IPluginRegistry
    module.init_libnvinfer_plugins = lambda logger, namespace: True
    return module


class _Behaviour(object):
    """What the members of each class do, by class and member; `vars` of an instance is the table.

    Entries that a release does not have are left out, so the table itself never decides.
    """

    def __init__(self, module, world):
        self._module, self._world = module, world
        version = record(module.__version__)
        for name in dir(self):
            if name.startswith("make_"):
                kind = name[5:]
                table = getattr(self, name)()
                known = set(version.get(kind, ())) | {"__init__"}
                setattr(self, kind, {key: value for key, value in table.items() if key in known})

    def _new(self, kind, **state):
        made = object.__new__(getattr(self._module, kind))
        made.state = state
        return made

    def make_Builder(self):  # noqa: N802 - the name of the class
        world, new = self._world, self._new

        def create_network(self, flags=0):
            world.calls.append(("create_network", flags))
            return new("INetworkDefinition", onnx=b"", plugins=0)

        severity = _severity(self._module)

        def build(self, network, config):
            world.calls.append(("build", dict(config.state)))
            reason = world.build_error or world.refuse(network.state["onnx"])
            if reason:
                self.state["log"].log(severity.ERROR, reason)
                return None
            told = {key: config.state[key] for key in sorted(config.state) if key != "timing"}
            header = json.dumps([world.gpu, told], default=str).encode("ascii")
            return _PLAN + b"%08d" % len(header) + header + network.state["onnx"]

        return {
            "__init__": _keeping("log"),
            "create_network": create_network,
            "create_builder_config": lambda self: new("IBuilderConfig", flags=set(), profiles=[]),
            "create_optimization_profile": lambda self: new("IOptimizationProfile", shapes={}),
            "build_serialized_network": build,
        }

    def make_IBuilderConfig(self):  # noqa: N802
        def keep(name):
            return (
                lambda self: self.state[name],
                lambda self, value: self.state.__setitem__(name, value),
            )

        def create_timing_cache(self, serialized):
            return new("ITimingCache", data=bytes(serialized))

        def set_timing_cache(self, cache, ignore_mismatch):
            if cache.state["data"] == b"of another GPU" and not ignore_mismatch:
                return False
            self.state["timing"] = cache
            return True

        new = self._new
        return {
            "set_flag": lambda self, flag: self.state["flags"].add(flag.name),
            "clear_flag": lambda self, flag: self.state["flags"].discard(flag.name),
            "max_workspace_size": keep("workspace"),
            "set_memory_pool_limit": lambda self, pool, size: self.state.update({pool.name: size}),
            "add_optimization_profile": lambda self, p: self.state["profiles"].append(
                p.state["shapes"]
            ),
            "create_timing_cache": create_timing_cache,
            "set_timing_cache": set_timing_cache,
            "get_timing_cache": lambda self: self.state.get("timing"),
        }

    def make_ITimingCache(self):  # noqa: N802
        return {"serialize": lambda self: self.state["data"] + b"timed"}

    def make_IOptimizationProfile(self):  # noqa: N802
        def set_shape(self, name, smallest, best, largest):
            self.state["shapes"][name] = [list(smallest), list(best), list(largest)]

        return {"set_shape": set_shape}

    def make_OnnxParser(self):  # noqa: N802
        world, new = self._world, self._new

        def parse(self, model, path=None):
            world.calls.append(("parse", bytes(model)))
            if world.parse_error:
                return False
            network = self.state["network"]
            network.state.update(onnx=bytes(model), plugins=world.custom(bytes(model)))
            return True

        return {
            "__init__": _keeping("network", "log"),
            "parse": parse,
            "num_errors": (lambda self: 1 if world.parse_error else 0, None),
            "get_error": lambda self, index: new("ParserError", text=world.parse_error),
        }

    def make_ParserError(self):  # noqa: N802
        return {
            "desc": lambda self: self.state["text"],
            "node": lambda self: 7,
            "node_name": lambda self: "/foo",
            "node_operator": lambda self: "Foo",
        }

    def make_INetworkDefinition(self):  # noqa: N802
        new, world = self._new, self._world

        def get_layer(self, index):
            is_plugin = index < self.state["plugins"]
            reads = world.reads(self.state["onnx"])[index : index + 1] if is_plugin else []
            return new("ILayer", plugin=is_plugin, reads=reads)

        return {
            "num_layers": (lambda self: self.state["plugins"] + 1, None),
            "get_layer": get_layer,
        }

    def make_ILayer(self):  # noqa: N802
        kinds = getattr(self._module, "LayerType", None) or make_enumeration(
            "LayerType", record(self._module.__version__)["LayerType"]
        )
        new = self._new
        return {
            "type": (
                lambda self: kinds.PLUGIN_V2 if self.state["plugin"] else kinds.CONVOLUTION,
                lambda self, value: None,
            ),
            "num_inputs": (lambda self: len(self.state["reads"]), None),
            "get_input": lambda self, index: new("ITensor", told=self.state["reads"][index]),
        }

    def make_ITensor(self):  # noqa: N802
        module = self._module

        def keep(place, value=lambda told: told):
            return lambda self: value(self.state["told"][place]), lambda self, other: None

        kinds = {numpy_name: member for member, numpy_name in _NUMPY.items()}
        return {
            "name": keep(0),
            "dtype": keep(1, lambda name: getattr(module.DataType, kinds[name])),
            "shape": keep(2),
        }

    def make_IPluginRegistry(self):  # noqa: N802
        world = self._world

        def find(self, kind, version, plugin_namespace=""):
            return object() if (kind, version, plugin_namespace) in world.plugins else None

        def load(self, plugin_lib):
            world.plugins |= world.loadable
            return object() if world.loadable else None

        return {
            "__init__": lambda self: None,
            "get_creator": find,
            "get_plugin_creator": find,
            "load_library": load,
        }

    def make_Runtime(self):  # noqa: N802
        world, new = self._world, self._new

        severity = _severity(self._module)

        def deserialize(self, plan):
            size = int(plan[4:12]) if plan[:4] == _PLAN else 0
            header = json.loads(plan[12 : 12 + size].decode("ascii")) if size else [None, {}]
            if header[0] != world.gpu:
                self.state["log"].log(severity.ERROR, "Version tag does not match")
                return None
            onnx = plan[12 + size :]
            return new("ICudaEngine", onnx=onnx, tensors=world.tensors(onnx), told=header[1])

        return {"__init__": _keeping("log"), "deserialize_cuda_engine": deserialize}

    def make_ICudaEngine(self):  # noqa: N802
        new, module = self._new, self._module

        def entry(self, key):
            tensors = self.state["tensors"]
            if isinstance(key, int):
                return tensors[key]
            return tensors[index(self, key)]

        def dtype(self, key):
            wanted = entry(self, key)[2]
            kinds = [k for k in _NUMPY if _NUMPY[k] == wanted and hasattr(module.DataType, k)]
            return getattr(module.DataType, kinds[0] if kinds else "INT32")  # INT64 before 9

        def mode(self, name):
            return module.TensorIOMode.INPUT if entry(self, name)[1] else module.TensorIOMode.OUTPUT

        def index(self, name):
            return [tensor[0] for tensor in self.state["tensors"]].index(name)

        count = (lambda self: len(self.state["tensors"]), None)
        return {
            "num_io_tensors": count,
            "num_bindings": count,
            "get_tensor_name": lambda self, i: entry(self, i)[0],
            "get_binding_name": lambda self, i: entry(self, i)[0],
            "get_tensor_mode": mode,
            "binding_is_input": lambda self, i: entry(self, i)[1],
            "get_tensor_dtype": dtype,
            "get_binding_dtype": dtype,
            "get_tensor_shape": lambda self, name: entry(self, name)[3],
            "get_binding_shape": lambda self, i: entry(self, i)[3],
            "get_binding_index": index,
            "create_execution_context": lambda self: new(
                "IExecutionContext", engine=self, addresses={}, shapes={}
            ),
        }

    def make_IExecutionContext(self):  # noqa: N802
        world = self._world

        def set_shape(self, name, shape):
            self.state["shapes"][name] = tuple(shape)
            return True

        def set_binding_shape(self, binding, shape):
            return set_shape(self, self.state["engine"].state["tensors"][binding][0], shape)

        def set_address(self, name, memory):
            self.state["addresses"][name] = memory
            return True

        def run(self):
            engine = self.state["engine"].state
            batch = [shape[0] for shape in self.state["shapes"].values()] or [None]
            arrays = {}
            for name, is_input, dtype, extents in engine["tensors"]:
                shape = tuple(batch[0] if extent == -1 else extent for extent in extents)
                address = self.state["addresses"][name]
                arrays[name] = _view(address, dtype, shape), is_input
            inputs = {name: array.copy() for name, (array, is_input) in arrays.items() if is_input}
            outputs = world.compute(engine["onnx"], inputs)
            time.sleep(world.run_ms(engine["onnx"]) / 1000.0)
            for name, (array, is_input) in arrays.items():
                if not is_input:
                    array[...] = outputs[name]
            return True

        def run_v2(self, bindings, stream_handle, input_consumed=None):
            names = [tensor[0] for tensor in self.state["engine"].state["tensors"]]
            self.state["addresses"] = dict(zip(names, bindings))
            return run(self)

        return {
            "set_input_shape": set_shape,
            "set_binding_shape": set_binding_shape,
            "set_tensor_address": set_address,
            "execute_async_v2": run_v2,
            "execute_async_v3": lambda self, stream_handle: run(self),
        }


def _severity(module):
    """The severities, equal to those of the module, which gets its own later."""
    return make_enumeration("Severity", record(module.__version__)["Severity"])


def _keeping(*names):
    def initialize(self, *arguments):
        if len(arguments) != len(names):
            raise TypeError("incompatible constructor arguments")
        self.state = dict(zip(names, arguments))

    return initialize


def _view(address, dtype, shape):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype=dtype).reshape(shape)
