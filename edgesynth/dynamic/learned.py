"""Learning a policy: gates one after the other, the deepest first (arXiv:1702.07811).

A gate weighs what an answer here costs, `penalty` for every error that the last stage would not
make, against what it costs to go on: the time of the stages that the gates behind it then run, and
their errors. That is one weighted binary classification per gate and pair of choices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesynth.dynamic.answers import Answers, Costs
from edgesynth.dynamic.gate_fit import fit_gate
from edgesynth_rt.policy import KINDS, STOP, Node, Policy, pairs

CHAIN, TREE = "chain", "tree"
SHAPES = (CHAIN, TREE)


def learn(
    answers: Answers,
    costs: Sequence[float],
    penalty: float,
    *,
    kind: str = "exits",
    shape: str = CHAIN,
    kinds: Sequence[str] = KINDS,
    unit: str = "macs",
) -> Policy:
    """The policy for one price of an error.

    costs: of running each stage; penalty: price of an error in units of running all of a chain, or
    the last network of a cascade. In a chain every stage goes on to the next one; in a tree to any
    later one, and what is skipped costs nothing. kinds: of gates that may be used.
    """
    n, last = len(answers), len(answers.stages) - 1
    whole = whole_of(kind, costs)
    fine = penalty * answers.excess
    route = np.zeros((last + 1, n))
    """Of each stage: what an input costs that comes there, in units of `whole`."""
    route[last] = costs[last] / whole + fine[last]
    nodes = [Node(last, answers.names[last], (STOP,), ())]
    for index in range(last - 1, -1, -1):
        later = (index + 1,) if shape == CHAIN else tuple(range(index + 1, last + 1))
        prices = np.stack([fine[index], *(route[each] for each in later)])
        node = _learn_node(answers, index, (STOP, *later), prices, kinds)
        taken = node.choose(answers.logits[index])
        route[index] = costs[index] / whole + prices[taken, np.arange(n)]
        nodes.insert(0, node)
    return Policy(kind, answers.stages, nodes, list(costs), unit)


def whole_of(kind: str, costs: Sequence[float]) -> float:
    """What an answer costs without a policy: all of a chain of exits, or the last network."""
    return sum(costs) if kind == "exits" else costs[-1]


def _learn_node(
    answers: Answers,
    index: int,
    choices: tuple[int | None, ...],
    prices: Costs,
    kinds: Sequence[str],
) -> Node:
    """prices: of each choice for each sample, (choices, n)."""
    logits = answers.logits[index]
    gates = []
    for first, second in pairs(len(choices)):
        difference = prices[first] - prices[second]
        gates.append(fit_gate(logits, difference < 0, np.abs(difference), kinds))
    return Node(index, answers.names[index], choices, tuple(gates))
