"""Fitting one gate: weighted binary classification of logits (arXiv:1702.07811).

The class of gates is what the operator EsExitGate computes: a threshold on the greatest
probability, the entropy or the margin, or a linear function of the sorted probabilities. For the
one-number kinds the threshold with the least weighted error is found exactly; the linear function
is fitted by weighted logistic regression first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgesynth.dynamic.answers import Flags, Floats
from edgesynth_rt.policy import KINDS, Gate, confidence, gate

Weights = npt.NDArray[np.float64]
_FEATURES = 10
"""Sorted probabilities that a linear gate looks at; the others get weight 0."""
_RIDGE = 1e-3
_STEEPEST = 8.0
"""Largest argument of a linear gate's sigmoid, so that float32 still tells confidences apart."""
_ALWAYS = {"maximum": 0.0, "entropy": 1e9, "margin": 0.0, "linear": 0.0}
_NEVER = {"maximum": 2.0, "entropy": -1.0, "margin": 2.0, "linear": 2.0}


def fit_gate(logits: Floats, wanted: Flags, weights: Weights, kinds: Sequence[str] = KINDS) -> Gate:
    """The gate of one of `kinds` with the least weighted error.

    logits: (n, classes); wanted: whether each sample should pass, (n,); weights: what a wrong
    decision costs, (n,). Several kinds are compared on halves that they were not fitted on.
    """
    known = ~np.isnan(confidence("maximum", logits)) & (weights > 0)
    logits, wanted, weights = logits[known], wanted[known], weights[known]
    if not len(logits):
        return never("maximum")
    if wanted.all() or not wanted.any():
        return with_threshold(never("maximum"), (_ALWAYS if wanted.all() else _NEVER)["maximum"])
    kind = kinds[0]
    if len(kinds) > 1 and len(logits) > 1:
        errors = {each: _unseen_error(each, logits, wanted, weights) for each in kinds}
        kind = min(kinds, key=lambda each: errors[each])
    return _fit(kind, logits, wanted, weights)


def never(kind: str) -> Gate:
    """A gate of the one-number `kind` that no sample passes."""
    made: Gate = gate(kind, _NEVER[kind])
    return made


def with_threshold(one: Gate, threshold: float) -> Gate:
    """`one` with another threshold."""
    changed: Gate = one._replace(threshold=float(threshold))
    return changed


def error_of(one: Gate, logits: Floats, wanted: Flags, weights: Weights) -> float:
    """Sum of the weights of wrong decisions."""
    return float(weights[one.passes(logits) != wanted].sum())


def _unseen_error(kind: str, logits: Floats, wanted: Flags, weights: Weights) -> float:
    halves = np.arange(len(logits)) % 2 == 0
    total = 0.0
    for seen in (halves, ~halves):
        one = _fit(kind, logits[seen], wanted[seen], weights[seen])
        total += error_of(one, logits[~seen], wanted[~seen], weights[~seen])
    return total


def _fit(kind: str, logits: Floats, wanted: Flags, weights: Weights) -> Gate:
    made = gate(kind, 0.0)
    if kind == "linear":
        made = gate(kind, 0.5, *_logistic(logits, wanted, weights))
    found = made.confidence(logits)
    return with_threshold(made, best_threshold(kind, found, wanted, weights))


def best_threshold(kind: str, found: Floats, wanted: Flags, weights: Weights) -> float:
    """The threshold on confidences `found`, (n,), with the least weighted error, exactly."""
    scores = -found if kind == "entropy" else found
    order = np.argsort(-scores, kind="stable")
    ordered, signed = scores[order], np.where(wanted, -weights, weights)[order]
    # errors when the first j pass: all that should pass but do not, and the others that do
    errors = float(weights[wanted].sum()) + np.concatenate([[0.0], np.cumsum(signed)])
    cuts = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])
    j = int(np.argmin(np.where(cuts, errors, np.inf)))
    if j == 0:
        return _NEVER[kind]
    if j == len(ordered):
        return _ALWAYS[kind]
    threshold = np.float32((float(ordered[j - 1]) + float(ordered[j])) / 2)
    if not ordered[j] < threshold <= ordered[j - 1]:
        threshold = ordered[j - 1]
    return float(-threshold if kind == "entropy" else threshold)


def _logistic(logits: Floats, wanted: Flags, weights: Weights) -> tuple[list[float], float]:
    """Weights and bias of the linear gate, by Newton's method on the ridge-penalized loss."""
    probabilities = _sorted_probabilities(logits)
    features = probabilities[:, :_FEATURES]
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    inputs = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    targets, shares = wanted.astype(np.float64), weights / weights.mean()
    penalty = np.full(inputs.shape[1], _RIDGE * len(inputs))
    penalty[-1] = 1e-9 * len(inputs)
    found = np.zeros(inputs.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (shares * (p - targets)) + penalty * found
        curve = (inputs * (shares * p * (1 - p))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        found -= step * min(1.0, 4.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    raw = found[:-1] / spread
    bias = float(found[-1] - raw @ mean)
    gentler = min(1.0, _STEEPEST / float(np.abs(features @ raw + bias).max() + 1e-12))
    padded = np.zeros(logits.shape[1])
    padded[: len(raw)] = raw * gentler
    return [float(each) for each in padded], bias * gentler


def _sorted_probabilities(logits: Floats) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return -np.sort(-powers / powers.sum(axis=1, keepdims=True), axis=1)
