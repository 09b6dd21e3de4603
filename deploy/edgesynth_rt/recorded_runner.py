"""A backend that computes nothing: it knows the logits of every stage for known inputs.

For trying thresholds and policies where no engine and no ONNX Runtime is (Python 3.6). The
decisions are made by the same code as everywhere; times mean nothing.
"""

import hashlib

import numpy as np

from edgesynth_rt.errors import UserError
from edgesynth_rt.staged import STAGE, check_stages, run_every, run_policy

INDEX = "recorded index"


class RecordedRunner(object):
    """Same face as `OnnxRuntimeRunner`, for a bundle with a policy.

    inputs: {input's name: array (n, ...)}; outputs: {name of logits: (n, classes)} of every stage.
    Both are the bundle's golden ones unless given. Raises UserError for a bundle without a policy.
    """

    name = "recorded"
    version = "1"
    precision = None
    threads = None
    facts = {}

    def __init__(self, bundle, inputs=None, outputs=None):
        if bundle.policy is None:
            raise UserError(
                "bundle %s has no policy; recorded logits stand for the stages of one" % bundle.path
            )
        golden_inputs, golden_outputs = bundle.golden()
        self._policy = check_stages(bundle)
        self._outputs = golden_outputs if outputs is None else outputs
        self._answer = bundle.outputs[0]["name"]
        self._names = sorted(golden_inputs)
        known = golden_inputs if inputs is None else inputs
        keys = self._keys(known)
        self._places = {key: k for k, key in enumerate(keys)}
        self._stages = [_Stage(node.logits) for node in self._policy.nodes]
        self.batch = bundle.batch
        self.stage_runs = [0] * len(self._stages)
        """Samples that each stage was run for."""

    def run(self, inputs):
        """The answers, and which stage gave them, see `OnnxRuntimeRunner.run`."""
        answers, left = run_policy(
            self._policy, self._stages, self._run_stage, self._found(inputs), self.batch
        )
        return {self._answer: answers, STAGE: left}

    def run_every(self, inputs):
        """Logits of all stages for all inputs."""
        return run_every(self._stages, self._run_stage, self._found(inputs))

    def prepared(self, inputs):
        """A callable that runs the next of `inputs`, a list that it cycles."""
        state = [0]

        def call():
            self.run(inputs[state[0]])
            state[0] = (state[0] + 1) % len(inputs)

        return call

    def _run_stage(self, index, taken):
        places = taken[INDEX]
        self.stage_runs[index] += len(places)
        name = self._policy.nodes[index].logits
        return {name: self._outputs[name][places]}

    def _found(self, inputs):
        """{INDEX: where each sample was recorded}."""
        keys = self._keys(inputs)
        unknown = [k for k, key in enumerate(keys) if key not in self._places]
        if unknown:
            raise UserError(
                "sample %d was not recorded; the backend of recorded logits knows %d inputs"
                % (unknown[0], len(self._places))
            )
        return {INDEX: np.array([self._places[key] for key in keys])}

    def _keys(self, inputs):
        arrays = [np.ascontiguousarray(inputs[name]) for name in self._names]
        return [
            hashlib.sha256(b"".join(array[k].tobytes() for array in arrays)).digest()
            for k in range(len(arrays[0]))
        ]


class _Stage(object):
    """What `staged` wants to know of a stage: its one input is the number of a sample."""

    def __init__(self, logits):
        self.inputs = [{"name": INDEX}]
        self.outputs = [{"name": logits}]
