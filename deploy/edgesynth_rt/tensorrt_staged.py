"""The engines of a bundle with a policy: a stage is enqueued only while somebody needs it
(Python 3.6).

Tensors between stages stay on the device; only logits cross to the processor, and the decision
where an exit-gate operator made it. A whole batch goes on while one of its samples does: an
engine's batch is fixed. With a batch of one, which is what exits are for, nothing runs in vain.
"""

import time

import numpy as np

from edgesynth_rt.errors import CheckError
from edgesynth_rt.measure import Parts
from edgesynth_rt.policy import targets_of
from edgesynth_rt.staged import STAGE, check_stages, gate_inputs, thresholds
from edgesynth_rt.tensorrt_runner import TensorRTRunner


class StagedTensorRTRunner(TensorRTRunner):
    """As `TensorRTRunner`, with what `OnnxRuntimeRunner` has for policies.

    Latency is that of an input from its transfer until its answer is on the host, decisions
    included; so there is no time of its own for the way back.
    """

    def __init__(self, bundle, api, cuda, plans, options, mapped=False):
        self._policy = check_stages(bundle)
        super(StagedTensorRTRunner, self).__init__(bundle, api, cuda, plans, options, mapped)
        self._answers = np.zeros((self.batch, self._classes()), np.float32)
        self._left = np.zeros(self.batch, np.int64)
        for stage, threshold in zip(bundle.stages, thresholds(bundle)):
            for tensor in gate_inputs(stage):
                name = tensor["name"]
                self._view(self._pinned[name].host, name)[...] = threshold
                self._copy(name, cuda.to_device)
        cuda.synchronize(self._stream.value)

    def run(self, inputs):
        """The answers, and which stage gave them, see `OnnxRuntimeRunner.run`."""
        self._once(self._filled_inputs(inputs))
        return {self._outputs[0]: self._answers.copy(), STAGE: self._left.copy()}

    def run_every(self, inputs):
        """Logits of all stages for all of `inputs`, whatever the policy says."""
        self._send(self._filled_inputs(inputs))
        made = {}
        for index, node in enumerate(self._policy.nodes):
            self._run_stage(index)
            made[node.logits] = self._fetch(node.logits).astype(np.float32)
        return made

    def _once(self, sources):
        cuda, stream = self._cuda, self._stream.value
        h2d_start, h2d_end, start, end = self._events[:4]
        cuda.record(h2d_start, stream)
        self._send(sources)
        cuda.record(h2d_end, stream)
        cuda.record(start, stream)
        begin = time.perf_counter()
        waited = self._decide()
        enqueued = (time.perf_counter() - begin - waited) * 1000.0
        cuda.record(end, stream)
        cuda.wait(end)
        h2d = 0.0 if self.mapped else cuda.elapsed_ms(h2d_start, h2d_end)
        compute = cuda.elapsed_ms(start, end)
        return Parts(h2d + compute, enqueued, h2d, compute, 0.0)

    def _decide(self):
        """Run stages until all samples have an answer; returns the seconds spent waiting."""
        waited = 0.0
        waiting = np.zeros(self.batch, np.int64)
        left = np.zeros(self.batch, bool)
        for index, node in enumerate(self._policy.nodes):
            here = (waiting == index) & ~left
            if not here.any():
                continue
            self._run_stage(index)
            begin = time.perf_counter()
            logits = self._fetch(node.logits)
            waited += time.perf_counter() - begin
            targets = self._targets(index, node, logits)
            waiting[here] = targets[here]
            stops = here & (targets < 0)
            self._answers[stops], self._left[stops] = logits[stops], index
            left |= stops
        return waited

    def _targets(self, index, node, logits):
        """Where each sample goes: by the operator's word where the stage ends with one."""
        gate = self._bundle.stages[index].gate
        if gate is None:
            return targets_of(node, logits)
        leaves = self._fetch(gate["exit"]) != 0
        stop, onward = (-1 if choice is None else choice for choice in node.choices)
        return np.where(leaves, stop, onward)

    def _run_stage(self, index):
        if not self._enqueue[index](self._stream.value):
            raise CheckError("TensorRT %s refused to run %s" % (self.version, self._what()))

    def _send(self, sources):
        """The inputs from page-locked memory to where the engines read them."""
        for name, source in sources.items():
            if not self.mapped:
                self._cuda.to_device(
                    self._memory[name].device, source.host, source.size, self._stream.value
                )
            elif source is not self._pinned[name]:  # the engine reads this very memory
                self._view(self._pinned[name].host, name)[...] = self._view(source.host, name)

    def _fetch(self, name):
        """The tensor `name` on the host, a view that the next run overwrites."""
        self._copy(name, self._cuda.to_host)
        self._cuda.synchronize(self._stream.value)
        return self._view(self._pinned[name].host, name)

    def _copy(self, name, way):
        memory, pinned, stream = self._memory[name], self._pinned[name], self._stream.value
        if memory is pinned:
            return
        if way == self._cuda.to_host:
            way(pinned.host, memory.device, memory.size, stream)
        else:
            way(memory.device, pinned.host, memory.size, stream)

    def _filled_inputs(self, inputs):
        for name in self._inputs:
            self._view(self._pinned[name].host, name)[...] = inputs[name]
        return {name: self._pinned[name] for name in self._inputs}

    def _classes(self):
        (answer,) = self._bundle.outputs
        return answer["shape"][1]

    def _ends(self):
        """Tensors with page-locked memory: inputs, logits, and what gates take and give."""
        names = set(self._policy.logits) | {each["name"] for each in self._bundle.inputs}
        for stage in self._bundle.stages:
            if stage.gate is not None:
                names |= {stage.gate["threshold"], stage.gate["exit"]}
        return names
