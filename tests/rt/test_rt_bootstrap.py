"""Confidence intervals hold the truth as often as they say, also for readings that are alike."""

import math

import numpy as np
import pytest

from edgesynth_rt.bootstrap import block_length, correlation, half_width_95, student_975


def autoregressive(n, r, seed):
    """n values of mean 0, each r times the one before plus noise."""
    noise = np.random.RandomState(seed).standard_normal(n + 100)
    values = np.zeros(n + 100)
    for index in range(1, n + 100):
        values[index] = r * values[index - 1] + noise[index]
    return values[100:]


@pytest.mark.parametrize(("n", "r"), [(40, 0.0), (60, 0.5), (150, 0.8)])
def test_coverage_of_the_interval(n, r):
    trials = 150
    held = 0
    for seed in range(trials):
        values = autoregressive(n, r, seed)
        held += abs(values.mean()) <= half_width_95(values, np.ones(n), seed)
    # 95 % is promised; 150 trials scatter by 1.8 % around it
    assert 0.88 <= held / float(trials) <= 0.995


def test_single_draws_would_be_far_too_sure():
    values = autoregressive(300, 0.85, 4)
    alone = 1.96 * values.std() / math.sqrt(300)
    assert half_width_95(values, np.ones(300)) > 2 * alone


def test_weights_count_as_copies():
    values = np.random.RandomState(3).standard_normal(50)
    light = half_width_95(values, np.full(50, 0.1))
    assert half_width_95(values, np.full(50, 7.0)) == pytest.approx(light)
    assert half_width_95(values, np.where(np.arange(50) < 25, 1.0, 1e-9)) > 1.2 * light


def test_a_constant_has_no_width():
    assert half_width_95(np.full(30, 5.0), np.ones(30)) == 0.0


def test_too_few_values():
    with pytest.raises(ValueError, match="too few"):
        half_width_95([1.0, 2.0], [1.0, 1.0])


def test_blocks_grow_with_the_correlation():
    lengths = [block_length(300, r) for r in (0.0, 0.3, 0.6, 0.85)]
    assert lengths == sorted(lengths) and lengths[0] == 1 and lengths[-1] <= 60


def test_correlation_is_that_of_the_series():
    assert correlation(autoregressive(5000, 0.7, 0)) == pytest.approx(0.7, abs=0.03)
    assert correlation(np.array([1.0, -1.0] * 20)) == 0.0


@pytest.mark.parametrize(
    ("degrees", "quantile"),  # a table of Student's t
    [(3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.2622), (19, 2.0930), (120, 1.9799)],
)
def test_student(degrees, quantile):
    assert student_975(degrees) == pytest.approx(quantile, rel=0.002)
