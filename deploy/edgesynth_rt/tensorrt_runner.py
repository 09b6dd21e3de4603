"""Running the engines of a bundle, timed as trtexec times them (Python 3.6).

Latency is the sum of three times that the GPU's own clock takes: inputs to the device (H2D),
compute, outputs to the host (D2H). Enqueue is how long the host takes to hand the work over; where
it is longer than compute, the processor is the bottleneck. Definitions: github:NVIDIA/TensorRT,
samples/common/sampleInference.cpp and sampleReporting.cpp.
"""

import ctypes
import time

import numpy as np

from edgesynth_rt.chain import check_chain
from edgesynth_rt.errors import CheckError, UserError
from edgesynth_rt.measure import Parts
from edgesynth_rt.staged import gate_inputs


class TensorRTRunner(object):
    """The engines of all stages of a bundle, run one after the other on one stream.

    Same face as `OnnxRuntimeRunner`. Tensors between stages stay on the device.

    api: a `tensorrt_api.TensorRT`; cuda: a `cudart.Cuda`; plans: {stage id: engine bytes};
    options: the `engine_build.BuildOptions` that they were built with; mapped: the engine reads and
    writes the host's memory, which saves the copies where CPU and GPU share it.
    Raises CheckError when an engine does not load, UserError when its tensors are others than the
    manifest says.
    """

    name = "tensorrt"

    def __init__(self, bundle, api, cuda, plans, options, mapped=False):
        stages = check_chain(bundle)
        self.batch = options.batch
        self.precision = options.precision
        self.version = api.version
        self.threads = None
        self.mapped = mapped
        self.facts = {
            "transfers": "none, mapped memory" if mapped else "copied",
            "waiting": "spin" if cuda.spin else "blocking",
        }
        """How it runs, for a record's `measurement`."""
        self._bundle, self._cuda = bundle, cuda
        self._stream = cuda.stream()
        self._events = [cuda.event() for _ in range(6)]
        self._tensors, self._memory, self._pinned = {}, {}, {}
        self._engines, self._enqueue = [], []
        for stage in stages:
            self._add_stage(stage, api, plans[stage.id])
        self._inputs = [tensor["name"] for tensor in bundle.inputs]
        self._outputs = [tensor["name"] for tensor in bundle.outputs]

    def run(self, inputs):
        """Outputs for `inputs`; both are dicts from tensor name to array, first axis the batch."""
        for name in self._inputs:
            self._view(self._pinned[name].host, name)[...] = inputs[name]
        self._once({name: self._pinned[name] for name in self._inputs})
        return {
            tensor["name"]: self._view(self._pinned[tensor["name"]].host, tensor["name"]).astype(
                tensor["dtype"]  # TensorRT 8 gives INT32 where the file says INT64
            )
            for tensor in self._bundle.outputs
        }

    def prepared(self, inputs):
        """A callable that runs the next of `inputs`, a list that it cycles; returns `Parts`."""
        sets = [
            {name: self._filled(name, arrays[name]) for name in self._inputs} for arrays in inputs
        ]
        state = [0]

        def call():
            sources = sets[state[0]]
            state[0] = (state[0] + 1) % len(sets)
            return self._once(sources)

        return call

    def _once(self, sources):
        """One inference from the page-locked `sources` to the page-locked outputs."""
        cuda, stream = self._cuda, self._stream.value
        h2d_start, h2d_end, start, end, d2h_start, d2h_end = self._events
        if self.mapped:  # the engine reads this very memory
            for name, source in sources.items():
                if source is not self._pinned[name]:
                    ctypes.memmove(self._pinned[name].host, source.host, source.size)
        else:
            cuda.record(h2d_start, stream)
            for name, source in sources.items():
                cuda.to_device(self._memory[name].device, source.host, source.size, stream)
            cuda.record(h2d_end, stream)
        cuda.record(start, stream)
        enqueue_begin = time.perf_counter()
        for enqueue in self._enqueue:
            if not enqueue(stream):
                raise CheckError("TensorRT %s refused to run %s" % (self.version, self._what()))
        enqueue_end = time.perf_counter()
        cuda.record(end, stream)
        if self.mapped:
            cuda.wait(end)
            h2d = d2h = 0.0
        else:
            cuda.record(d2h_start, stream)
            for name in self._outputs:
                memory = self._memory[name]
                cuda.to_host(self._pinned[name].host, memory.device, memory.size, stream)
            cuda.record(d2h_end, stream)
            cuda.wait(d2h_end)
            h2d = cuda.elapsed_ms(h2d_start, h2d_end)
            d2h = cuda.elapsed_ms(d2h_start, d2h_end)
        compute = cuda.elapsed_ms(start, end)
        enqueued = (enqueue_end - enqueue_begin) * 1000.0
        return Parts(h2d + compute + d2h, enqueued, h2d, compute, d2h)

    def _add_stage(self, stage, api, plan):
        engine = api.deserialize(plan, stage.what)
        tensors = api.tensors(engine)
        taken = stage.inputs + gate_inputs(stage)
        _check_tensors(stage, "input", taken, [t for t in tensors if t.is_input])
        _check_tensors(stage, "output", stage.outputs, [t for t in tensors if not t.is_input])
        context = engine.create_execution_context()
        if context is None:
            raise CheckError("TensorRT cannot prepare %s: %s" % (stage.what, api.last_error()))
        for tensor in tensors:
            if tensor.is_input and -1 in tensor.shape:
                api.set_shape(context, engine, tensor.name, self._shape(tensor))
        for tensor in tensors:
            self._add_tensor(tensor)
        pointers = {tensor.name: self._memory[tensor.name].device for tensor in tensors}
        self._enqueue.append(api.bind(context, engine, pointers))
        self._engines.append((engine, context))

    def _add_tensor(self, tensor):
        """Memory for a tensor, once also where two stages share it."""
        if tensor.name in self._memory:
            if self._tensors[tensor.name].dtype != tensor.dtype:
                raise UserError(
                    "tensor %s of bundle %s has another type in each stage's engine; build them "
                    "with the same --precision" % (tensor.name, self._bundle.path)
                )
            return
        self._tensors[tensor.name] = tensor
        size = int(np.prod(self._shape(tensor))) * np.dtype(tensor.dtype).itemsize
        ends = self._ends()
        if tensor.name in ends:
            self._pinned[tensor.name] = self._cuda.host_alloc(size)
        mapped = self.mapped and tensor.name in ends
        self._memory[tensor.name] = self._pinned[tensor.name] if mapped else self._cuda.malloc(size)

    def _ends(self):
        """Names of the tensors that have page-locked memory on the host."""
        return {end["name"] for end in self._bundle.inputs + self._bundle.outputs}

    def _filled(self, name, array):
        memory = self._cuda.host_alloc(self._pinned[name].size)
        self._view(memory.host, name)[...] = array
        return memory

    def _view(self, address, name):
        """The memory at `address` as an array of the tensor `name`."""
        tensor = self._tensors[name]
        shape = self._shape(tensor)
        size = int(np.prod(shape)) * np.dtype(tensor.dtype).itemsize
        data = (ctypes.c_char * size).from_address(address)
        return np.frombuffer(data, dtype=tensor.dtype).reshape(shape)

    def _shape(self, tensor):
        return tuple(self.batch if extent == -1 else extent for extent in tensor.shape)

    def _what(self):
        return "bundle %s" % self._bundle.path


def _check_tensors(stage, side, stated, found):
    """The engine's tensors must be the manifest's: name, type and fixed dimensions."""
    actual = {tensor.name: tensor for tensor in found}
    odd = sorted(set(actual) ^ {tensor["name"] for tensor in stated})
    if odd:
        raise UserError(
            "%s: %s %s stands only in the manifest or only in the engine; export the bundle again"
            % (stage.what, side, odd[0])
        )
    for tensor in stated:
        value = actual[tensor["name"]]
        fits = len(value.shape) == len(tensor["shape"]) and all(
            there == -1 or not isinstance(here, int) or there == here
            for there, here in zip(value.shape, tensor["shape"])
        )
        same = value.dtype == tensor["dtype"] or (value.dtype, tensor["dtype"]) == (
            "int32",
            "int64",
        )
        if not same or not fits:
            raise UserError(
                "%s: %s %s is %s %s in the engine, the manifest says %s %s; export the bundle again"
                % (
                    stage.what,
                    side,
                    tensor["name"],
                    value.dtype,
                    list(value.shape),
                    tensor["dtype"],
                    tensor["shape"],
                )
            )
