"""Threshold policies: the baselines that a learned policy is held against, and its fine tuning."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from edgesynth.dynamic.answers import Answers, Costs, Flags
from edgesynth.dynamic.gate_fit import best_threshold, never, with_threshold
from edgesynth.dynamic.learned import whole_of
from edgesynth_rt.policy import Gate, Policy, chain

_COMBINATIONS = 4096
_LEVELS = 64


def screen(
    answers: Answers,
    costs: Sequence[float],
    method: str,
    unit: str = "macs",
    kind: str = "exits",
) -> list[Policy]:
    """All chains of one-number gates `method` that no other one dominates.

    Thresholds are screened on a grid of quantiles at every exit, all combinations of them, as
    BranchyNet does (arXiv:1709.01686): the best thresholds that these answers can give. From the
    cheapest on.
    """
    gates = [never(method) for _ in answers.stages[:-1]]
    return screen_gates(answers, costs, gates, unit, kind)


def screen_gates(
    answers: Answers,
    costs: Sequence[float],
    gates: Sequence[Gate],
    unit: str = "macs",
    kind: str = "exits",
) -> list[Policy]:
    """The same with `gates` of any kind, one for each exit, whose thresholds alone are screened."""
    exits = len(answers.stages) - 1
    levels = min(_LEVELS, max(2, int(_COMBINATIONS ** (1 / exits))))
    thresholds, passing = [], []
    for one, logits in zip(gates, answers.logits, strict=False):
        found = one.confidence(logits)
        known = found[~np.isnan(found)]
        quantiles = np.unique(np.quantile(known, np.linspace(0, 1, levels - 1)))
        options = [
            with_threshold(one, never(one.kind).threshold),
            *(with_threshold(one, float(each)) for each in quantiles),
        ]
        thresholds.append(options)
        passing.append([each.passes(logits) for each in options])
    tried = []
    for combination in itertools.product(*(range(len(each)) for each in thresholds)):
        flags = [passing[k][choice] for k, choice in enumerate(combination)]
        tried.append((*_accuracy_and_cost(answers, costs, flags), combination))
    kept = undominated([(accuracy, cost) for accuracy, cost, _ in tried])
    return [
        chain_of(
            answers, [thresholds[k][c] for k, c in enumerate(tried[index][2])], costs, unit, kind
        )
        for index in kept
    ]


def chain_of(
    answers: Answers, gates: Sequence[Gate], costs: Sequence[float], unit: str, kind: str = "exits"
) -> Policy:
    """The chain with these gates."""
    made: Policy = chain(answers.stages, answers.names, list(gates), costs=list(costs), unit=unit)
    made.kind = kind
    return made


def undominated(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (accuracy, cost) that no other one beats in both, from the cheapest on."""
    order = sorted(range(len(points)), key=lambda k: (points[k][1], -points[k][0]))
    kept: list[int] = []
    best = -1.0
    for index in order:
        if points[index][0] > best:
            best = points[index][0]
            kept.append(index)
    return kept


def polish(
    policy: Policy, answers: Answers, costs: Sequence[float], penalty: float, rounds: int = 2
) -> Policy:
    """`policy`, a chain, with thresholds tuned together for cost + `penalty` * errors.

    Each threshold in turn takes its exact optimum on the samples that reach it while the others
    stay. Errors count in full here, where learning counts those in excess of the last stage.
    """
    gates = [node.gates[0] for node in policy.nodes[:-1]]
    prices: Costs = np.asarray(costs, np.float64) / whole_of(policy.kind, costs)
    wrong: Costs = penalty * (~answers.right).astype(np.float64)
    for _ in range(rounds):
        for index in range(len(gates) - 1, -1, -1):
            passing = [
                one.passes(logits) for one, logits in zip(gates, answers.logits, strict=False)
            ]
            reach = ~np.any(passing[:index], axis=0) if index else np.ones(len(answers), bool)
            if not reach.any():
                continue
            onward = _onward(index + 1, passing, prices, wrong)
            difference = (wrong[index] - onward)[reach]
            found = gates[index].confidence(answers.logits[index][reach])
            threshold = best_threshold(gates[index].kind, found, difference < 0, np.abs(difference))
            gates[index] = with_threshold(gates[index], threshold)
    return chain_of(answers, gates, costs, policy.unit, policy.kind)


def _onward(first: int, passing: Sequence[Flags], prices: Costs, wrong: Costs) -> Costs:
    """Price of going on to stage `first`, for every sample."""
    route = prices[-1] + wrong[-1]
    for index in range(len(passing) - 1, first - 1, -1):
        route = prices[index] + np.where(passing[index], wrong[index], route)
    return np.asarray(route)


def _accuracy_and_cost(
    answers: Answers, costs: Sequence[float], passing: Sequence[Flags]
) -> tuple[float, float]:
    """Of a chain, from which samples pass which gate."""
    left = np.zeros(len(answers), bool)
    right, spent = np.zeros(len(answers), bool), 0.0
    for index, flags in enumerate([*passing, np.ones(len(answers), bool)]):
        spent += costs[index] * float((~left).mean())
        leaving = flags & ~left
        right |= leaving & answers.right[index]
        left |= leaving
    return float(right.mean()), spent
