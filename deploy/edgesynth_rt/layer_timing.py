"""How long one layer takes on this GPU, as a plugin and as TensorRT's own kernel (Python 3.6).

Each way becomes an engine of its own, with the options of the engine that it is for. What the
layer's neighbours could be fused with it is not seen, and the change of the format at its borders
counts on both sides. Ten runs are enqueued at a time, as they would be in a network: a single one
would mostly show how long a launch takes.
"""

import ctypes

import numpy as np

from edgesynth_rt.dense_form import dense_nodes
from edgesynth_rt.errors import CheckError
from edgesynth_rt.onnx_nodes import make_model

_WARM_UP, _GROUPS, _GROUP = 3, 20, 10
_SEED = 20


class LayerTimer(object):
    """Times nodes of one network.

    cuda: a `cudart.Cuda`; compile_model(onnx, what): the plan of an engine, raising CheckError when
    TensorRT refuses; api: a `tensorrt_api.TensorRT`; opsets: {domain: version} of the network;
    tensors: {name: (dtype, shape)} of the nodes' inputs, see `TensorRT.plugin_inputs`; what: the
    network's name in messages; say: called with a line of talk.
    """

    def __init__(self, api, cuda, compile_model, opsets, tensors, what, say):
        self._api, self._cuda = api, cuda
        self._compile, self._opsets, self._tensors = compile_model, opsets, tensors
        self._what, self._say = what, say
        self._random = np.random.RandomState(_SEED)

    def __call__(self, node):
        """(milliseconds by plugin, milliseconds dense) of one node, None where one is refused."""
        self._say("timing %s (%s) by plugin and dense" % (node.name, node.kind))
        nodes, tensors = dense_nodes(node, self._what)
        plugin_ms = self._time(self._model(node, [node.data], ()), node)
        return plugin_ms, self._time(self._model(node, nodes, tensors), node)

    def _model(self, node, nodes, tensors):
        inputs = [(name,) + self._tensors[name] for name in node.inputs]
        outputs = [(name, inputs[0][1], None) for name in node.outputs]
        return make_model(nodes, inputs, outputs, self._opsets, tensors)

    def _time(self, onnx, node):
        """Median milliseconds of a run of the model `onnx`, None when TensorRT refuses it."""
        what = "layer %s of %s" % (node.name, self._what)
        try:
            plan = self._compile(onnx, what)
        except CheckError as error:
            self._say(str(error))
            return None
        api, cuda = self._api, self._cuda
        engine = api.deserialize(plan, what)
        context = engine.create_execution_context()
        memory = {
            tensor.name: self._memory(tensor.shape, tensor.dtype) for tensor in api.tensors(engine)
        }
        enqueue = api.bind(context, engine, {name: kept.device for name, kept in memory.items()})
        stream, start, end = cuda.stream(), cuda.event(), cuda.event()
        times = []
        for _ in range(_WARM_UP + _GROUPS):
            cuda.record(start, stream.value)
            ran = [enqueue(stream.value) for _ in range(_GROUP)]
            cuda.record(end, stream.value)
            cuda.wait(end)
            if not all(ran):
                raise CheckError("TensorRT %s refused to run %s" % (api.version, what))
            times.append(cuda.elapsed_ms(start, end) / _GROUP)
        return float(np.median(times[_WARM_UP:]))

    def _memory(self, shape, dtype):
        """Device memory with numbers in it: some arithmetic depends on them."""
        values = self._random.uniform(-1, 1, tuple(shape)).astype(dtype)
        host, device = self._cuda.host_alloc(values.nbytes), self._cuda.malloc(values.nbytes)
        ctypes.memmove(host.host, values.tobytes(), values.nbytes)
        stream = self._cuda.stream()
        self._cuda.to_device(device.device, host.host, values.nbytes, stream.value)
        self._cuda.synchronize(stream.value)
        return device
