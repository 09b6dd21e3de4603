"""Coverage of the intervals on simulated runs, and constants against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from edgesynth_rt import statistics
from edgesynth_rt.statistics import difference, percentile, summarize, wilson

RUNS = 300


def slow_noise(draw: np.random.Generator, n: int, phi: float) -> np.ndarray:
    """A first-order autoregressive series of unit variance: consecutive values agree."""
    return signal.lfilter([1], [1, -phi], draw.standard_normal(n) * np.sqrt(1 - phi**2))


def coverage(n: int, phi: float, paired: bool) -> float:
    """How often the interval of a true ratio of 1.1 holds it."""
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(RUNS):
        base = np.exp(0.1 * slow_noise(draw, n, phi))
        if paired:
            own = [np.exp(0.05 * draw.standard_normal(n)) for _ in range(2)]
            other, base = 1.1 * base * own[0], base * own[1]
        else:
            other = 1.1 * np.exp(0.1 * slow_noise(draw, n, phi))
        low, high = difference(base, other, paired)["ratio_ci95"]
        hits += low <= 1.1 <= high
    return hits / RUNS


# independent, mildly and strongly autocorrelated; the fewest samples, and an ordinary number
@pytest.mark.parametrize(
    "n, phi, least", [(40, 0, 0.92), (200, 0.5, 0.92), (200, 0.9, 0.90), (2000, 0.9, 0.92)]
)
@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_covers_the_truth(n: int, phi: float, least: float, paired: bool) -> None:
    assert coverage(n, phi, paired) >= least


def test_an_interval_of_single_iterations_would_not() -> None:
    """The reason for batch means: Welch over autocorrelated iterations misses the truth."""
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(RUNS):
        base, other = (np.exp(0.1 * slow_noise(draw, 2000, 0.9)) for _ in range(2))
        interval = stats.ttest_ind(other, base, equal_var=False).confidence_interval()
        hits += interval.low <= 0 <= interval.high
    assert hits / RUNS < 0.5


def test_constants() -> None:
    assert stats.t.ppf(0.975, statistics.BATCHES - 1) == pytest.approx(statistics._T_975_19)
    assert stats.norm.ppf(0.975) == pytest.approx(statistics._Z_975)


@given(st.integers(1, 5000), st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    interval = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n) == pytest.approx((interval.low, interval.high), abs=1e-12)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300), st.floats(0, 100))
def test_a_percentile_was_measured_and_grows(samples: list[float], percent: float) -> None:
    ascending = sorted(samples)
    found = percentile(ascending, percent)
    assert found in samples
    assert found <= percentile(ascending, min(100.0, percent + 5))


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300))
def test_a_summary_is_ordered(samples: list[float]) -> None:
    found = summarize(samples)
    order = [found[key] for key in ("min", "p50", "p90", "p95", "p99", "max")]
    assert order == sorted(order)
    assert found["min"] <= found["mean"] * (1 + 1e-12)
    assert found["mean"] <= found["max"] * (1 + 1e-12)
