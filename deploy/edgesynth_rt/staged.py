"""Real execution of a policy: a stage runs only for the inputs that go there (Python 3.6)."""

import numpy as np

from edgesynth_rt.errors import UserError
from edgesynth_rt.manifest import REMEDY
from edgesynth_rt.policy import STOP, targets_of

STAGE = "stage"
"""Name under which a runner tells which stage answered, beside the answers."""


def check_stages(bundle):
    """That every stage finds its inputs on every way that leads to it; returns the policy.

    Raises UserError naming the tensor that is missing, differs, or is no logits.
    """
    policy = bundle.policy
    tensors = {tensor["name"]: tensor for tensor in bundle.inputs}
    known = [None] * len(bundle.stages)
    known[0] = set(tensors)
    for index, (stage, node) in enumerate(zip(bundle.stages, policy.nodes)):
        for tensor in stage.inputs:
            if tensor["name"] not in known[index]:
                raise UserError(
                    "%s takes %s, which is not there on every way that leads to it; %s"
                    % (stage.what, tensor["name"], REMEDY)
                )
            source = tensors[tensor["name"]]
            if (source["dtype"], source["shape"]) != (tensor["dtype"], tensor["shape"]):
                raise UserError(
                    "%s takes %s as %s %s, but it is %s %s; %s"
                    % (stage.what, tensor["name"], tensor["dtype"], tensor["shape"],
                       source["dtype"], source["shape"], REMEDY)
                )  # fmt: skip
        for tensor in stage.outputs:
            if tensor["name"] in tensors:
                raise UserError(
                    "%s gives %s, a name that is taken already; %s"
                    % (stage.what, tensor["name"], REMEDY)
                )
            tensors[tensor["name"]] = tensor
        own = {tensor["name"] for tensor in stage.outputs}
        if node.logits not in own or len(tensors[node.logits]["shape"]) != 2:
            raise UserError(
                "%s gives no %s of shape (batch, classes), by which its policy decides; %s"
                % (stage.what, node.logits, REMEDY)
            )
        for choice in node.choices:
            if choice is not STOP:
                there = known[index] | own
                known[choice] = there if known[choice] is None else known[choice] & there
    return policy


def run_policy(policy, stages, run_stage, inputs, batch=None):
    """(logits, left): the answers, (n, classes), and the index of the stage that gave each, (n,).

    stages: those of the bundle; run_stage: function of a stage's index and its inputs, a dict of
    arrays, to its outputs; inputs: dict of arrays with n samples. Samples that go on are regrouped:
    a stage runs once for all that reach it. With a fixed `batch` it runs in pieces of that size,
    the last one filled up.
    """
    n = len(next(iter(inputs.values())))
    if n == 1 and batch in (None, 1):
        return _run_one(policy, stages, run_stage, inputs)
    everyone = np.arange(n)
    known = {name: (everyone, values) for name, values in inputs.items()}
    waiting = np.zeros(n, np.int64)
    left = np.full(n, -1, np.int64)
    answers = None
    for index, (stage, node) in enumerate(zip(stages, policy.nodes)):
        here = np.flatnonzero((waiting == index) & (left < 0))
        if not len(here):
            continue
        taken = {tensor["name"]: _rows(known[tensor["name"]], here) for tensor in stage.inputs}
        outputs = _in_pieces(run_stage, index, taken, len(here), batch)
        known.update({name: (here, values) for name, values in outputs.items()})
        logits = outputs[node.logits]
        targets = targets_of(node, logits)
        waiting[here] = targets
        stops = targets < 0
        if answers is None:
            answers = np.zeros((n, logits.shape[1]), logits.dtype)
        left[here[stops]], answers[here[stops]] = index, logits[stops]
    return answers, left


def _run_one(policy, stages, run_stage, inputs):
    """`run_policy` for one sample, where nothing has to be regrouped: the time counts here."""
    known, index = dict(inputs), 0
    while True:
        taken = {tensor["name"]: known[tensor["name"]] for tensor in stages[index].inputs}
        outputs = run_stage(index, taken)
        node = policy.nodes[index]
        logits = outputs[node.logits]
        if len(node.choices) == 1:
            target = -1 if node.choices[0] is STOP else node.choices[0]
        else:
            target = targets_of(node, logits)[0]
        if target < 0:
            return logits, np.array([index])
        known.update(outputs)
        index = target


def _rows(source, wanted):
    """The rows of the samples `wanted`; source: (samples, their rows), samples ascending."""
    samples, values = source
    if len(samples) == len(wanted):
        return values
    return values[np.searchsorted(samples, wanted)]


def _in_pieces(run_stage, index, taken, count, batch):
    """Outputs of one stage for `count` samples, `batch` at a time where that is fixed."""
    if batch is None:
        return run_stage(index, taken)
    pieces = []
    for first in range(0, count, batch):
        piece = {name: values[first : first + batch] for name, values in taken.items()}
        missing = batch - len(next(iter(piece.values())))
        if missing:
            piece = {
                name: np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
                for name, values in piece.items()
            }
        pieces.append(run_stage(index, piece))
    return {name: np.concatenate([piece[name] for piece in pieces])[:count] for name in pieces[0]}


def run_every(stages, run_stage, inputs):
    """Outputs of all stages for all inputs, as if nothing ever left; dict by tensor name."""
    known, made = dict(inputs), {}
    for index, stage in enumerate(stages):
        taken = {tensor["name"]: known[tensor["name"]] for tensor in stage.inputs}
        outputs = run_stage(index, taken)
        known.update(outputs)
        made.update(outputs)
    return made


def gate_inputs(stage):
    """The threshold that the exit-gate operator of a stage takes besides, as manifests list it."""
    if stage.gate is None:
        return []
    return [{"name": stage.gate["threshold"], "dtype": "float32", "shape": [1]}]


def thresholds(bundle):
    """What each stage's exit-gate operator compares with, float32 (1,); None without a policy."""
    if bundle.policy is None:
        return [None] * len(bundle.stages)
    return [
        np.array([node.gates[0].threshold if node.gates else np.nan], np.float32)
        for node in bundle.policy.nodes
    ]
