"""The genetic encoding: how likely a synapse or a cluster is to be passed on.

Evolutionary deep intelligence, arXiv:1606.04393 (synapses) and arXiv:1609.01360 (clusters): the
survival probability falls exponentially with strength relative to the strongest of the layer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TRUNCATION = 0.05
"""Weights below this share of the layer's strongest count as noise in a cluster's strength."""


def synapse_survival(weights: npt.NDArray[np.floating]) -> Array:
    """exp(|w| / Z - 1) with Z the largest |w|: between 1/e and 1 (arXiv:1606.04393, eq. 2).

    `weights` are the live synapses of one layer, any shape; the result has that shape.
    """
    strength = np.abs(weights).astype(np.float64)
    return _relative_survival(strength)


def cluster_survival(strengths: Array) -> Array:
    """exp(S / Z - 1), S the summed truncated strength of a cluster, Z the largest of the layer.

    `strengths` has one sum per cluster (see `truncated`), shape (clusters,); arXiv:1609.01360.
    """
    return _relative_survival(strengths)


def truncated(weights: npt.NDArray[np.floating]) -> Array:
    """|w| with the smallest set to zero, so that a cluster of noise does not live by its size."""
    strength = np.abs(weights).astype(np.float64)
    floor = TRUNCATION * strength.max(initial=0.0)
    return np.where(strength < floor, 0.0, strength)


def _relative_survival(strength: Array) -> Array:
    largest = strength.max(initial=0.0)
    if largest == 0.0:
        return np.full(strength.shape, np.exp(-1.0))
    return np.asarray(np.exp(strength / largest - 1.0))


def with_factor(survival: Array, factor: float) -> Array:
    """The environment as a scalar factor F, P = F * exp(...) (arXiv:1606.04393, eq. 3)."""
    return np.asarray(np.minimum(1.0, factor * survival))


def with_budget(survival: Array, share: float) -> Array:
    """The environment as a budget: min(1, c * exp(...)) with c such that its mean is `share`.

    Solved by bisection; `share` lies in (0, 1].
    """
    if share >= 1.0:
        return np.ones_like(survival)
    low, high = 0.0, 1.0 / survival.min(initial=1.0)
    for _ in range(60):
        middle = (low + high) / 2
        if np.minimum(1.0, middle * survival).mean() < share:
            low = middle
        else:
            high = middle
    return np.asarray(np.minimum(1.0, high * survival))
