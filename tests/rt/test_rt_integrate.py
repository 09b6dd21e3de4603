"""The trapezoid rule: by hand, against closed forms, and what counts for nothing."""

import math

import numpy as np
import pytest

from edgesynth_rt.integrate import covered_s, energy_mj, trapezoid


def test_by_hand():
    # 2 W for 1 s, then up to 4 W over 2 s: 2 + 6 = 8 J
    times, power_mw = np.array([0.0, 1.0, 3.0]), np.array([2e3, 2e3, 4e3])
    assert trapezoid(times, power_mw, 0.0, 3.0) == (8e3, 3.0)
    assert trapezoid(times, power_mw, 0.5, 2.0) == (1e3 + 2.5e3, 1.5)


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 10.0), (2.03, 7.77), (3.0, 3.05)])
def test_a_ramp_is_exact(start_s, end_s):
    """A straight line is what the rule and its interpolated edges follow exactly."""
    times = np.arange(0, 10.01, 0.1)
    found_mj, found_s = trapezoid(times, 1e3 + 500 * times, start_s, end_s, 1.0)
    exact_mj = 1e3 * (end_s - start_s) + 250 * (end_s**2 - start_s**2)
    assert found_mj == pytest.approx(exact_mj, rel=1e-9)
    assert found_s == pytest.approx(end_s - start_s)


def test_a_sine_is_right_to_the_rules_order():
    times = np.arange(0, 20.01, 0.1)
    exact_mj = 5e3 * (17.5 - 1.5) + 2e3 * (math.cos(1.5) - math.cos(17.5))
    assert trapezoid(times, 5e3 + 2e3 * np.sin(times), 1.5, 17.5)[0] == pytest.approx(
        exact_mj, rel=1e-4
    )


def test_gaps_count_for_nothing():
    times, power_mw = np.array([0.0, 2.0, 60.0, 61.0]), np.full(4, 1e3)
    assert trapezoid(times, power_mw, 0.0, 61.0, 2.5) == (3e3, 3.0)
    assert trapezoid(times, power_mw, 1.5, 60.25, 2.5) == (0.75e3, 0.75)
    assert covered_s(times, 1.5, 60.25, 2.5) == 0.75


def test_nothing_is_known_between_two_runs():
    times, power_mw = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1e3, 1e3, 5e3, 5e3])
    assert trapezoid(times, power_mw, 0.0, 3.0, 9.0, np.array([0, 0, 1, 1])) == (6e3, 2.0)


def test_nothing_is_known_outside_of_the_points():
    times, power_mw = np.array([1.0, 2.0]), np.array([1e3, 1e3])
    assert trapezoid(times, power_mw, 0.0, 9.0) == (1e3, 1.0)
    assert trapezoid(times[:1], power_mw[:1], 0.0, 9.0) == (0.0, 0.0)
    with pytest.raises(ValueError, match="not inside the stamps"):
        energy_mj(times, power_mw, 0.0, 9.0)


def test_two_points_at_one_time():
    """A step: two lines of tegrastats that arrived together."""
    times, power_mw = np.array([0.0, 1.0, 1.0, 2.0]), np.array([1e3, 1e3, 3e3, 3e3])
    assert trapezoid(times, power_mw, 0.0, 2.0) == (4e3, 2.0)
