"""Measuring until the interval is narrow: a simulated board, whose time passes as the load runs."""

import numpy as np
import pytest

from edgesynth_rt.energy import Window
from edgesynth_rt.errors import MeasurementError, UserError
from edgesynth_rt.power_trace import PowerTrace
from edgesynth_rt.until_ci import measure_until_ci

PERIOD_S = 0.1


class Board(object):
    """5 W with noise, read every 100 ms; runs a load of 50 inferences a second, and is sampled."""

    def __init__(self, noise_mw, dies_at_s=None):
        self.now_s = 100.0
        self.ran_s = []
        self._noise_mw, self._dies_at_s = noise_mw, dies_at_s

    def run(self, seconds):
        self.ran_s.append(seconds)
        begin, self.now_s = self.now_s + 0.05, self.now_s + 0.05 + seconds
        return Window(begin, self.now_s, int(50 * seconds))

    def wait_past(self, stamp_s):
        self.now_s = max(self.now_s, stamp_s) + PERIOD_S

    def trace(self):
        end_s = self.now_s if self._dies_at_s is None else min(self.now_s, self._dies_at_s)
        stamps_s = np.arange(99.0, end_s + 1e-9, PERIOD_S)
        noise = np.random.RandomState(5).standard_normal(len(stamps_s))
        power = {"VDD_IN": 5000.0 + self._noise_mw * noise}
        failure = None if end_s == self.now_s else "curr1_input is not there"
        return PowerTrace("ina3221", stamps_s, power, PERIOD_S, refresh_s=0.007, failure=failure)


def measure(board, target, **limits):
    return measure_until_ci(board.run, board, "VDD_IN", target, **limits)


def test_a_quiet_load_is_measured_once():
    board = Board(noise_mw=100)
    result, windows = measure(board, 0.02)
    assert board.ran_s == [30.0] and len(windows) == 1
    assert result["gross_mj"] == pytest.approx(100.0, rel=0.01)
    low, high = result["ci95"]
    assert result["until_ci"] == {
        "target": 0.02,
        "half_width": pytest.approx((high - low) / 2 / result["gross_mj"]),
        "reached": True,
    }


def test_a_restless_load_is_measured_as_long_as_it_takes():
    """1 W of noise in n readings is 1.96 * 0.2 / sqrt(n) of 5 W: 1 % takes 1540 readings."""
    board = Board(noise_mw=1000)
    result, windows = measure(board, 0.01)
    assert result["until_ci"]["reached"] and result["until_ci"]["half_width"] <= 0.01
    assert 154 * 0.8 < sum(board.ran_s) < 154 * 2
    totals = np.cumsum(board.ran_s)
    assert 1 < len(windows) <= 4 and (totals[1:] / totals[:-1] >= 1.5 - 1e-9).all()
    assert result["inferences"] == sum(window.inferences for window in windows)


def test_at_most_so_long():
    board = Board(noise_mw=1000)
    result, _ = measure(board, 0.001, maximum_s=100.0)
    assert sum(board.ran_s) == pytest.approx(100.0)
    assert not result["until_ci"]["reached"] and result["until_ci"]["half_width"] > 0.001


def test_too_few_readings_are_made_up_for_by_time():
    board = Board(noise_mw=100)
    result, _ = measure(board, 0.02, minimum_s=1.0)
    assert board.ran_s[0] == 1.0 and result["samples"] >= 20


def test_too_few_readings_even_then():
    with pytest.raises(MeasurementError, match="independent samples"):
        measure(Board(noise_mw=100), 0.02, minimum_s=1.0, maximum_s=1.5)


def test_a_source_that_dies_ends_it():
    board = Board(noise_mw=1000, dies_at_s=150.0)
    with pytest.raises(MeasurementError, match="ended early: curr1_input is not there"):
        measure(board, 0.001)
    assert len(board.ran_s) == 2


@pytest.mark.parametrize("target", [0.0, 1.0, -0.02])
def test_a_target_that_is_none(target):
    with pytest.raises(UserError, match="--until-ci"):
        measure(Board(1), target)


def test_limits_that_are_none():
    with pytest.raises(UserError, match="runs 60 s at least but 30 s at most"):
        measure(Board(1), 0.02, minimum_s=60.0, maximum_s=30.0)
