"""The one code that decides where an input leaves a network, or which network it goes to next.

The same decisions in calibration, in simulation, in ONNX Runtime and on the board (Python 3.6).
Confidences are computed in float32 as the operator EsExitGate does.
"""

from collections import namedtuple

import numpy as np

from edgesynth_rt.errors import UserError

KINDS = ("maximum", "entropy", "margin", "linear")
"""Numbers 0 to 3 of the operator's attribute `policy`."""
STOP = None
"""The choice of answering with the logits at hand."""
_NOTHING = np.float32(-200.0)
"""Its exponential is 0 in float32."""


def confidence(kind, logits, weights=None, bias=0.0):
    """What a gate compares with its threshold, float32 (n,).

    logits: (n, classes). `maximum`: the greatest probability; `entropy`: -sum(p log p) in nats;
    `margin`: the greatest probability less the second (with one class: that one); `linear`:
    sigmoid(weights . probabilities in descending order + bias). NaN where a logit is NaN or
    +infinity, or none is above -infinity.
    """
    logits = np.asarray(logits, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = np.maximum(logits - logits.max(axis=1, keepdims=True), _NOTHING)
        powers = np.exp(shifted)
        total = powers.sum(axis=1)
        if kind == "maximum":
            return np.float32(1.0) / total
        if kind == "entropy":
            return np.log(total) - (powers * shifted).sum(axis=1) / total
        if kind == "margin":
            first_two = -np.partition(-powers, 1, axis=1)[:, :2] if powers.shape[1] > 1 else powers
            second = first_two[:, 1] if powers.shape[1] > 1 else np.float32(0.0)
            return (first_two[:, 0] - second) / total
        ordered = -np.sort(-powers, axis=1) / total[:, None]
        scores = ordered.dot(np.asarray(weights, np.float32)) + np.float32(bias)
        return np.float32(1.0) / (np.float32(1.0) + np.exp(-scores))


def passes(kind, found, threshold):
    """Whether confidences `found` are enough: at most `threshold` for entropy, at least else.

    NaN on either side never is.
    """
    threshold = np.float32(threshold)
    with np.errstate(invalid="ignore"):
        return found <= threshold if kind == "entropy" else found >= threshold


class Gate(namedtuple("Gate", "kind threshold weights bias")):
    """One yes-or-no decision on logits; weights and bias are those of the kind `linear`."""

    def confidence(self, logits):
        """float32 (n,), see `confidence`."""
        return confidence(self.kind, logits, self.weights, self.bias)

    def passes(self, logits):
        """bool (n,)."""
        return passes(self.kind, self.confidence(logits), self.threshold)

    def document(self):
        """As in a manifest."""
        document = {"kind": self.kind, "threshold": self.threshold}
        if self.kind == "linear":
            document.update(weights=list(self.weights), bias=self.bias)
        return document


def gate(kind, threshold, weights=None, bias=0.0):
    """A `Gate` of plain numbers."""
    known = None if weights is None else tuple(float(weight) for weight in weights)
    return Gate(kind, float(threshold), known, float(bias))


class Node(namedtuple("Node", "stage logits choices gates")):
    """What happens behind one stage.

    stage: its index; logits: name of its tensor with the classes; choices: `STOP` or indices of
    later stages, cheapest first; gates: one for every pair of choices i < j, in the order (0, 1),
    (0, 2), ..., (1, 2), ...: it passes where i is better than j.
    """

    def choose(self, logits):
        """Index into `choices` for every sample, int64 (n,).

        Every gate is one vote; of equals the last choice wins, which is the most careful one.
        """
        count = len(self.choices)
        if count == 1:
            return np.zeros(len(logits), np.int64)
        if count == 2:
            return np.where(self.gates[0].passes(logits), 0, 1)
        votes = np.zeros((len(logits), count), np.int64)
        for (first, second), each in zip(pairs(count), self.gates):
            passed = each.passes(logits)
            votes[:, first] += passed
            votes[:, second] += ~passed
        return count - 1 - votes[:, ::-1].argmax(axis=1)


def pairs(count):
    """All (i, j) with i < j below `count`, in the order of a node's gates."""
    return [(i, j) for i in range(count) for j in range(i + 1, count)]


Outcome = namedtuple("Outcome", "left logits visited")
"""left: index of the stage that answered, (n,); logits: its logits, (n, classes); visited: which
stages ran, bool (n, stages)."""


class Policy(object):
    """Which stage answers for which input.

    stages: ids in the order of the bundle; nodes: a `Node` for each; costs: what running each
    stage costs, in `unit`; expected: {stage id: share of inputs that leave there} on the data that
    the policy was chosen by, of `expected_n` samples, or None.
    """

    def __init__(self, kind, stages, nodes, costs=None, unit="macs", expected=None, expected_n=0):
        self.kind = kind
        self.stages = list(stages)
        self.nodes = list(nodes)
        self.costs = None if costs is None else [float(cost) for cost in costs]
        self.unit = unit
        self.expected = expected
        self.expected_n = expected_n

    @property
    def logits(self):
        """Names of the tensors with the classes, in the order of the stages."""
        return [node.logits for node in self.nodes]

    def simulate(self, recorded):
        """The `Outcome` for recorded logits: {tensor name: (n, classes)} of every stage."""
        first = recorded[self.nodes[0].logits]
        n = len(first)
        at = np.zeros(n, np.int64)
        left = np.full(n, -1, np.int64)
        visited = np.zeros((n, len(self.nodes)), bool)
        logits = np.array(first)
        for index, node in enumerate(self.nodes):
            here = np.flatnonzero((at == index) & (left < 0))
            visited[here, index] = True
            found = recorded[node.logits][here]
            targets = targets_of(node, found)
            stops = here[targets < 0]
            left[stops], logits[stops] = index, found[targets < 0]
            at[here] = targets
        return Outcome(left, logits, visited)

    def mean_cost(self, visited):
        """Mean cost of a sample in `unit`."""
        return float(visited.dot(np.asarray(self.costs)).mean())

    def shares(self, left):
        """{stage id: share of the samples that left there}."""
        counts = np.bincount(left, minlength=len(self.stages))
        return {stage: float(counts[k]) / len(left) for k, stage in enumerate(self.stages)}

    def document(self):
        """The policy as it stands in a manifest."""
        return {
            "kind": self.kind,
            "nodes": [self._node(node) for node in self.nodes],
            "cost": None if self.costs is None else {"unit": self.unit, "stages": self.costs},
            "expected": None
            if self.expected is None
            else {"exits": self.expected, "n": self.expected_n},
        }

    def _node(self, node):
        names = [STOP if choice is STOP else self.stages[choice] for choice in node.choices]
        document = {"stage": self.stages[node.stage], "logits": node.logits, "choices": names}
        if node.gates:
            document["gates"] = [each.document() for each in node.gates]
        return document


def targets_of(node, logits):
    """Index of the stage that each sample goes to, -1 where it stays with this answer, (n,)."""
    numbers = np.array([-1 if choice is STOP else choice for choice in node.choices], np.int64)
    return numbers[node.choose(logits)]


def chain(stages, logits, gates, **more):
    """The `Policy` of early exits: one gate behind every stage but the last.

    stages, logits: ids and names, in order; more: see `Policy`.
    """
    last = len(stages) - 1
    nodes = [Node(k, logits[k], (STOP, k + 1), (gates[k],)) for k in range(last)]
    return Policy("exits", stages, nodes + [Node(last, logits[last], (STOP,), ())], **more)


def read_policy(field, stages):
    """The `Policy` of the manifest's field `policy`.

    stages: ids in the order of the manifest. Raises UserError naming the field that is wrong.
    """
    kind = field["kind"].one_of(("exits", "cascade"))
    nodes = field["nodes"].items(len(stages), len(stages))
    costs, unit, expected, n = None, "macs", None, 0
    if field.given("cost"):
        unit = field["cost"]["unit"].text(20)
        listed = field["cost"]["stages"].items(len(stages), len(stages))
        costs = [cost.number(0, 1e300) for cost in listed]
    if field.given("expected"):
        expected = {}
        for stage, share in field["expected"]["exits"].members():
            if stage not in stages:
                raise share.refuse("the share of a stage of this bundle")
            expected[stage] = share.number(0, 1)
        n = field["expected"]["n"].integer(1, 2**63 - 1)
    read = [_read_node(node, k, stages) for k, node in enumerate(nodes)]
    _check_reached(read, stages, field)
    return Policy(kind, stages, read, costs, unit, expected, n)


def _read_node(field, index, stages):
    if field["stage"].text(100) != stages[index]:
        raise field["stage"].refuse('"%s": nodes stand in the order of the stages' % stages[index])
    choices = []
    for choice in field["choices"].items(1, 16):
        if choice.value is None:
            choices.append(STOP)
            continue
        target = stages.index(choice.one_of(stages))
        if target <= index:
            raise choice.refuse("a later stage")
        choices.append(target)
    ranks = [-1 if choice is STOP else choice for choice in choices]
    if ranks != sorted(set(ranks)):
        raise field["choices"].refuse("null first, then stages in their order, each once")
    if index == len(stages) - 1 and choices != [STOP]:
        raise field["choices"].refuse("[null], as nothing follows the last stage")
    wanted = len(pairs(len(choices)))
    gates = field["gates"].items(wanted, wanted) if wanted else []
    return Node(
        index, field["logits"].text(200), tuple(choices), tuple(_read_gate(each) for each in gates)
    )


def _read_gate(field):
    kind = field["kind"].one_of(KINDS)
    threshold = field["threshold"].number(-1e30, 1e30)
    if kind != "linear":
        return gate(kind, threshold)
    weights = [weight.number(-1e30, 1e30) for weight in field["weights"].items(1)]
    return gate(kind, threshold, weights, field["bias"].number(-1e30, 1e30))


def _check_reached(nodes, stages, field):
    reached = {0}
    for node in nodes:
        if node.stage in reached:
            reached.update(choice for choice in node.choices if choice is not STOP)
    missing = sorted(set(range(len(nodes))) - reached)
    if missing:
        raise field["nodes"].refuse("nodes that all are reached (%s is not)" % stages[missing[0]])


def check_logits(policy, recorded, what):
    """Raise UserError unless `recorded` has logits of every stage, all of one shape."""
    shapes = {}
    for name in policy.logits:
        if name not in recorded:
            raise UserError("%s has no logits %s" % (what, name))
        shapes[name] = recorded[name].shape
    if len(set(shapes.values())) != 1 or recorded[policy.logits[0]].ndim != 2:
        raise UserError("%s: logits differ in shape: %s" % (what, shapes))
