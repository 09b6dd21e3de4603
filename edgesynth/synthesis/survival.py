"""The genetic encoding: how likely a synapse or a cluster is to be passed on.

Evolutionary deep intelligence, arXiv:1606.04393 (synapses) and arXiv:1609.01360 (clusters): the
survival probability falls exponentially with strength relative to the strongest of the layer. The
literal rule prefers the strongest over the weakest by e to 1 at most, which is little more than
chance; `pressure` is edgesynth's generalisation, exp(pressure * (strength / Z - 1)).

Probabilities are logarithms here, so that no pressure underflows. A draw gives each gene a
*hardiness*: with u uniform in (0, 1], it lives under the factor c exactly when u <= c * survival,
that is when log(survival) - log(u) >= -log(c). So the living only grow with c, and any budget has
one well-defined answer for one draw.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

TRUNCATION = 0.05
"""Weights below this share of the layer's strongest count as noise in a cluster's strength."""


def log_survival(strength: Array, pressure: float = 1.0) -> Array:
    """pressure * (strength / Z - 1), Z the largest strength given: eq. 2 of arXiv:1606.04393.

    `strength` is |w| of the live synapses of one layer, or the summed truncated strength of each
    of its clusters (arXiv:1609.01360), any shape; the result has that shape and precision. Without
    any strength all are as weak as can be.
    """
    largest = strength.max(initial=0.0) or 1.0
    return np.asarray((strength / largest - 1) * strength.dtype.type(pressure))


def truncated(strength: Array) -> Array:
    """`strength` (|w|) with the smallest set to zero: a cluster of noise does not live by size."""
    floor = TRUNCATION * strength.max(initial=0.0)
    return np.where(strength < floor, strength.dtype.type(0), strength)


def mixed(log_survivals: list[Array]) -> Array:
    """The mean probability of several parents (arXiv:1709.02043); -inf where one has no gene."""
    if len(log_survivals) == 1:
        return log_survivals[0]
    return np.asarray(np.logaddexp.reduce(log_survivals) - np.log(len(log_survivals)))


def factor_for(survival: Array, share: float) -> float:
    """log(c) of a budget: min(1, c * survival) has the mean `share`; by bisection.

    `survival` holds logarithms; `share` lies in (0, 1].
    """
    high = -float(survival.min(initial=0.0))
    if share >= 1.0:
        return high
    low = float(np.log(share))  # survival is at most 1
    for _ in range(60):
        middle = (low + high) / 2
        if chances(survival, middle).mean() < share:
            low = middle
        else:
            high = middle
    return high


def chances(survival: Array, log_factor: float) -> Array:
    """min(1, c * survival), a probability; `survival` and `log_factor` hold logarithms."""
    return np.asarray(np.exp(np.minimum(0.0, survival + survival.dtype.type(log_factor))))


def hardiness(survival: Array, generator: np.random.Generator) -> Array:
    """log(survival) - log(u): a gene lives under the factor c when this is at least -log(c)."""
    draws = generator.random(survival.shape, dtype=np.float32)
    return survival - np.log1p(-draws)


def hardiest(hardy: Array, number: int) -> npt.NDArray[np.bool_]:
    """True for the `number` hardiest; the first ones of equals."""
    lives = np.zeros(hardy.shape, dtype=bool)
    if number >= hardy.size:
        return ~lives
    if number > 0:
        least = np.partition(hardy, hardy.size - number)[hardy.size - number]
        lives = hardy > least
        lives[np.flatnonzero(hardy == least)[: number - int(lives.sum())]] = True
    return lives
