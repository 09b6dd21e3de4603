"""NetScore: one figure for what a network is worth and what it costs (arXiv:1806.05512).

    20 log10(a^alpha / (p^beta m^gamma)), in decibels

with the accuracy a in percent, the parameters p in millions and the multiply-accumulates m in
billions; alpha 2, beta and gamma 0.5. Ten times fewer parameters or MACs are worth 10 dB, and the
fall from 90 to 80 percent only 2 dB: a search on it needs a floor for the accuracy.
"""

from __future__ import annotations

import math

ALPHA, BETA, GAMMA = 2.0, 0.5, 0.5
ENERGY_WEIGHT = 1 / 8


def netscore(
    accuracy_percent: float,
    params_millions: float,
    macs_billions: float,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    gamma: float = GAMMA,
) -> float:
    """The score in decibels; `accuracy_percent` is the top-1 accuracy or another figure of merit.

    Raises ValueError unless all three are above zero and finite.
    """
    a = _positive("accuracy", accuracy_percent)
    p = _positive("parameters", params_millions)
    m = _positive("MACs", macs_billions)
    return 20 * (alpha * math.log10(a) - beta * math.log10(p) - gamma * math.log10(m))


def energy_netscore(
    accuracy_percent: float,
    latency_s: float,
    power_w: float,
    *,
    alpha: float = ALPHA,
    weight: float = ENERGY_WEIGHT,
) -> float:
    """The form for deployed networks: 20 log10(a^alpha / (t^w P^w)), w = 1/8, in decibels.

    t is the seconds of one inference and P the watts meanwhile, so t P are its joules.
    Raises ValueError unless all three are above zero and finite.
    """
    a = _positive("accuracy", accuracy_percent)
    joules = _positive("latency", latency_s) * _positive("power", power_w)
    return 20 * (alpha * math.log10(a) - weight * math.log10(joules))


def netscore_of(accuracy: float, params: float, macs: float) -> float:
    """`netscore` of an accuracy in [0, 1] and plain counts."""
    return netscore(100 * accuracy, params / 1e6, macs / 1e9)


def _positive(what: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"NetScore needs {what} above zero, not {value:g}")
    return value
