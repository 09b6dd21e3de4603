"""TensorRT's Python module, one face for 8.0 to 11 (Python 3.6).

`_DIFFERENCES` is the one table of what differs. A row is told apart by what the module has, never
by its version string: "10" sorts before "9", and TensorRT-RTX calls itself 1.7. The names come
from python/src of github:NVIDIA/TensorRT at the tags 8.0.1 to v11.1.
"""

from collections import deque, namedtuple

from edgesynth_rt.errors import CheckError, MissingError, UserError

IoTensor = namedtuple("IoTensor", "name is_input dtype shape")
"""A tensor of an engine: its dtype by numpy's name, a dynamic dimension is -1."""

HOW_TO_GET = (
    "on a Jetson it comes with JetPack (`sudo apt install nvidia-tensorrt python3-libnvinfer`) and "
    "loads into the Python of that JetPack only (3.6 on JetPack 4, 3.8 on 5, 3.10 on 6, 3.12 on 7)"
)

#: DataType member -> numpy's name. trt.nptype() fails with numpy 1.24 on TensorRT up to 8.5.
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
_PLUGIN_LAYERS = ("PLUGIN", "PLUGIN_V2", "PLUGIN_V3")


def import_tensorrt():
    """The module tensorrt; raises MissingError with how to get it."""
    try:
        import tensorrt
    except ImportError as error:
        reason = "" if isinstance(error, ModuleNotFoundError) else " (%s)" % _one_line(error)
        raise MissingError("TensorRT's Python module is not here%s: %s" % (reason, HOW_TO_GET))
    return tensorrt


class TensorRT(object):
    """One TensorRT module with one log. Every difference between versions is behind a method."""

    def __init__(self, module):
        self.module = module
        self.version = str(module.__version__)
        self.errors = deque(maxlen=20)
        self.warnings = deque(maxlen=20)
        """What TensorRT said of late, one line each."""
        self.log = _make_log(module, self.errors, self.warnings)
        self._ways = {}
        for need, tell, there, absent in _DIFFERENCES:
            self._ways[need] = there if self.has(tell) else absent
        if hasattr(module, "init_libnvinfer_plugins"):  # NVIDIA's own, such as InstanceNorm's
            module.init_libnvinfer_plugins(self.log, "")

    def has(self, path):
        """Whether the module has `Class.member`."""
        name, _, member = path.partition(".")
        return hasattr(getattr(self.module, name, None), member)

    def last_error(self):
        """TensorRT's last error, for a message."""
        return self.errors[-1] if self.errors else "TensorRT gave no reason"

    @property
    def reads_functions(self):
        """Whether the ONNX parser knows model-local functions (from 9.0 on, as INT64 tensors)."""
        return self.has("DataType.INT64")

    # ---- building

    def create_network(self, builder):
        """An empty network with explicit batch, the only kind that ONNX gives."""
        return builder.create_network(self._ways["network_flags"](self.module))

    def set_workspace(self, config, size_bytes):
        """Limit the scratch memory of a layer."""
        self._ways["workspace"](self.module, config, size_bytes)

    def set_precision(self, config, precision):
        """Let layers compute in fp32, fp16 or int8.

        fp32 means IEEE single: TF32, which Orin would take, keeps 10 bits of the fraction only.
        Raises UserError where the ONNX file itself must state the precision.
        """
        if self.has("BuilderFlag.TF32") and precision == "fp32":
            config.clear_flag(self.module.BuilderFlag.TF32)
        if precision in ("fp16", "int8"):
            self._ways["fp16"](self.module, config, precision)
        if precision == "int8":
            self._ways["int8"](self.module, config)

    def set_timing_cache(self, config, data):
        """Attach a timing cache made of `data`, empty where that was made elsewhere."""
        cache = config.create_timing_cache(data)
        if cache is None or not config.set_timing_cache(cache, False):
            cache = config.create_timing_cache(b"")
            if cache is not None:
                config.set_timing_cache(cache, False)

    def timing_cache(self, config):
        """The bytes of the config's timing cache, None without one."""
        cache = config.get_timing_cache()
        return None if cache is None else bytes(memoryview(cache.serialize()))

    def parse(self, network, onnx, what):
        """Fill `network` from the bytes `onnx`; raises CheckError with the parser's errors."""
        parser = self.module.OnnxParser(network, self.log)
        if not parser.parse(onnx):
            errors = [parser.get_error(index) for index in range(min(parser.num_errors, 3))]
            reason = "; ".join(
                "%s: %s" % (self._ways["parser_error"](error), _one_line(error.desc()))
                for error in errors
            )
            raise CheckError(
                "TensorRT %s does not take %s: %s; export the bundle for this TensorRT (--target)"
                % (self.version, what, reason or self.last_error())
            )
        return parser  # its weights must outlive the build

    def plugin_layers(self, network):
        """How many layers of `network` are plugins."""
        return len(self._plugins(network))

    def plugin_inputs(self, network, batch):
        """{tensor name: (numpy's name of the dtype, shape)} of what plugins of `network` read.

        batch: what a dynamic dimension is fixed to.
        """
        found = {}
        for layer in self._plugins(network):
            for place in range(layer.num_inputs):
                tensor = layer.get_input(place)
                shape = tuple(batch if extent == -1 else extent for extent in tensor.shape)
                found[tensor.name] = _dtype(self.module, tensor.dtype, tensor.name), shape
        return found

    def _plugins(self, network):
        kinds = self.module.LayerType
        plugins = [getattr(kinds, name) for name in _PLUGIN_LAYERS if hasattr(kinds, name)]
        layers = [network.get_layer(index) for index in range(network.num_layers)]
        return [layer for layer in layers if layer.type in plugins]

    def find_plugin(self, name, version, namespace):
        """The registered creator of a plugin, None when there is none."""
        registry = self.module.get_plugin_registry()
        return self._ways["plugin"](registry, name, version, namespace)

    def load_plugins(self, path):
        """Let the registry load the library itself; False where it cannot (before 8.6)."""
        return self._ways["load_plugins"](self.module.get_plugin_registry(), path)

    def build(self, builder, network, config, what):
        """The serialized engine; raises CheckError with TensorRT's reason."""
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise CheckError(
                "TensorRT %s builds no engine of %s: %s; a board that runs out of memory needs a "
                "smaller --workspace" % (self.version, what, self.last_error())
            )
        return bytes(memoryview(plan))

    # ---- running

    def deserialize(self, plan, what):
        """The engine in the bytes `plan`; raises CheckError when it was built elsewhere."""
        engine = self.module.Runtime(self.log).deserialize_cuda_engine(plan)
        if engine is None:
            raise CheckError(
                "TensorRT %s does not load the engine of %s: %s; build it again with "
                "`build --force`" % (self.version, what, self.last_error())
            )
        return engine

    def tensors(self, engine):
        """The inputs and outputs of `engine` as `IoTensor`s, in the engine's order."""
        return self._ways["tensors"](self.module, engine)

    def set_shape(self, context, engine, name, shape):
        """Fix the shape of an input with a dynamic batch."""
        if not self._ways["set_shape"](context, engine, name, shape):
            raise CheckError("the engine does not take the shape %s for input %s" % (shape, name))

    def bind(self, context, engine, pointers):
        """A function of a stream's handle that enqueues one inference.

        pointers: {tensor name: device address}. The function returns False when TensorRT refuses.
        """
        return self._ways["bind"](context, engine, pointers)


# ---- the two sides of each difference


def _explicit_batch(module):
    return 1 << int(module.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def _no_flags(module):
    return 0


def _operator_of(error):
    return "%s %s" % (error.node_operator(), error.node_name())


def _node_of(error):
    return "node %d" % error.node()


def _pool_limit(module, config, size_bytes):
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, size_bytes)


def _max_workspace_size(module, config, size_bytes):
    config.max_workspace_size = size_bytes


def _fp16_flag(module, config, precision):
    config.set_flag(module.BuilderFlag.FP16)


def _precision_of_the_file(module, config, precision):
    if precision == "fp16":
        raise UserError(
            "TensorRT %s takes the precision from the ONNX file and has no FP16 switch; export the "
            "bundle for it with half precision, or build with --precision fp32" % module.__version__
        )


def _int8_flag(module, config):
    config.set_flag(module.BuilderFlag.INT8)


def _int8_by_nodes(module, config):
    """The file's QuantizeLinear nodes say it all."""


def _io_tensors(module, engine):
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return [
        IoTensor(
            name,
            engine.get_tensor_mode(name) == module.TensorIOMode.INPUT,
            _dtype(module, engine.get_tensor_dtype(name), name),
            tuple(engine.get_tensor_shape(name)),
        )
        for name in names
    ]


def _bindings(module, engine):
    return [
        IoTensor(
            engine.get_binding_name(index),
            bool(engine.binding_is_input(index)),
            _dtype(module, engine.get_binding_dtype(index), engine.get_binding_name(index)),
            tuple(engine.get_binding_shape(index)),
        )
        for index in range(engine.num_bindings)
    ]


def _set_input_shape(context, engine, name, shape):
    return context.set_input_shape(name, tuple(shape))


def _set_binding_shape(context, engine, name, shape):
    return context.set_binding_shape(engine.get_binding_index(name), tuple(shape))


def _bind_addresses(context, engine, pointers):
    for name, pointer in pointers.items():
        if not context.set_tensor_address(name, pointer):
            raise CheckError("the engine does not take an address for tensor %s" % name)
    return context.execute_async_v3


def _bind_list(context, engine, pointers):
    bindings = [0] * engine.num_bindings
    for name, pointer in pointers.items():
        bindings[engine.get_binding_index(name)] = pointer
    return lambda stream: context.execute_async_v2(bindings, stream)


def _get_creator(registry, name, version, namespace):
    return registry.get_creator(name, version, namespace)


def _get_plugin_creator(registry, name, version, namespace):
    return registry.get_plugin_creator(name, version, namespace)


def _load_library(registry, path):
    return registry.load_library(path) is not None


def _load_nothing(registry, path):
    return False


#: need, what tells the versions apart, what to do where it is there, and where it is not
_DIFFERENCES = (
    # required until 8.6, ignored in 10, gone in 11
    ("network_flags", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH", _explicit_batch, _no_flags),
    # from 10; what the error is about
    ("parser_error", "ParserError.node_operator", _operator_of, _node_of),
    # from 8.4; the property is gone in 10
    ("workspace", "IBuilderConfig.set_memory_pool_limit", _pool_limit, _max_workspace_size),
    # both flags are gone in 11, which is always strongly typed
    ("fp16", "BuilderFlag.FP16", _fp16_flag, _precision_of_the_file),
    ("int8", "BuilderFlag.INT8", _int8_flag, _int8_by_nodes),
    # from 8.5; bindings are gone in 10
    ("tensors", "ICudaEngine.num_io_tensors", _io_tensors, _bindings),
    ("set_shape", "IExecutionContext.set_input_shape", _set_input_shape, _set_binding_shape),
    ("bind", "IExecutionContext.execute_async_v3", _bind_addresses, _bind_list),
    # from 10; the older one is gone in 11
    ("plugin", "IPluginRegistry.get_creator", _get_creator, _get_plugin_creator),
    # from 8.6
    ("load_plugins", "IPluginRegistry.load_library", _load_library, _load_nothing),
)


def _dtype(module, found, tensor):
    for member, name in _DTYPES.items():
        if hasattr(module.DataType, member) and found == getattr(module.DataType, member):
            return name
    raise UserError("tensor %s of the engine is %s, which numpy does not have" % (tensor, found))


def _make_log(module, errors, warnings):
    """A TensorRT logger that keeps errors and warnings and prints nothing."""
    severities = module.ILogger.Severity

    class Log(module.ILogger):
        def __init__(self):
            module.ILogger.__init__(self)

        def log(self, severity, message):
            if severity in (severities.INTERNAL_ERROR, severities.ERROR):
                errors.append(_one_line(message))
            elif severity == severities.WARNING:
                warnings.append(_one_line(message))

    return Log()


def _one_line(message):
    return " ".join(str(message).split())[:300]
