"""Statistics by hand-computed cases; their coverage is tested on the host."""

import numpy as np
import pytest

from edgesynth_rt.errors import MeasurementError
from edgesynth_rt.statistics import (
    difference,
    percentile,
    share_difference,
    summarize,
    wilson,
)


@pytest.mark.parametrize(
    "n, percent, found",
    [
        (100, 90, 90),  # int(0.1f * 100) = 10 are left out at the top
        (100, 95, 95),
        (100, 99, 100),  # 1 - 0.99f is a little under 0.01, so none is left out
        (1000, 99, 991),
        (10, 90, 9),
        (9, 90, 9),
        (1, 99, 1),
        (4, 0, 1),
        (4, 100, 4),
    ],
)
def test_percentile_is_the_one_of_trtexec(n, percent, found):
    assert percentile(np.arange(1, n + 1), percent) == found


def test_percentile_outside_0_to_100():
    with pytest.raises(ValueError):
        percentile([1.0], 100.5)


def test_summary():
    found = summarize([4.0, 1.0, 2.0, 3.0], percentiles=(75,))
    assert found == {
        "mean": 2.5,
        "p50": 2.5,  # the mean of the middle two
        "p75": 3.0,
        "p90": 4.0,
        "p95": 4.0,
        "p99": 4.0,
        "min": 1.0,
        "max": 4.0,
        "n": 4,
    }
    assert list(found)[:2] == ["mean", "p50"]


@pytest.mark.parametrize(
    "latencies, said",
    [
        ([], "no iteration"),
        ([1.0, 0.0], "1 of 2"),
        ([-1.0], "1 of 1"),
        ([float("nan")], "no measurable"),
    ],
)
def test_no_summary_of_times_that_are_none(latencies, said):
    with pytest.raises(MeasurementError, match=said):
        summarize(latencies)


def test_a_constant_difference_is_exact():
    base = np.linspace(1, 2, 200)
    found = difference(base, base * 1.1, paired=True)
    assert found["ratio"] == pytest.approx(1.1)
    assert found["ratio_ci95"] == pytest.approx([1.1, 1.1])
    assert found["difference_ms"] == pytest.approx(0.15, abs=1e-3)
    assert found["shown"]


def test_equal_samples_show_no_difference():
    base = np.linspace(1, 2, 200)
    for paired in (True, False):
        found = difference(base, base, paired)
        assert found["difference_ms"] == 0 and found["ratio"] == 1 and not found["shown"]


def test_under_one_percent_is_not_shown_however_certain():
    base = np.linspace(1, 2, 20000)
    found = difference(base, base * 1.005, paired=True)
    assert found["ci95_ms"][0] > 0 and not found["shown"]
    assert difference(base, base * 1.02, paired=True)["shown"]


def test_pairs_cancel_what_disturbs_both():
    draw = np.random.RandomState(0)
    disturbance = 1 + np.repeat(draw.rand(20), 10)  # a slow machine for ten iterations at a time
    base, other = disturbance, disturbance * 1.05
    assert difference(base, other, paired=True)["shown"]
    assert not difference(base, other, paired=False)["shown"]


def test_batch_means_by_hand():
    """40 samples are 20 batches of 2; batch differences alternate 0 and 2, mean 1."""
    base = np.full(40, 10.0)
    other = np.tile([10.0, 10.0, 12.0, 12.0], 10)
    found = difference(base, other, paired=True, statistic="mean")
    half = 2.093024 * np.std([0, 2] * 10, ddof=1) / np.sqrt(20)
    assert found["difference_ms"] == pytest.approx(1)
    assert found["ci95_ms"] == pytest.approx([1 - half, 1 + half])


def test_too_few_samples_and_unequal_pairs():
    with pytest.raises(MeasurementError, match="needs 40 iterations, there are 39"):
        difference([1.0] * 39, [1.0] * 40, paired=False)
    with pytest.raises(MeasurementError, match="differ in number: 40 and 41"):
        difference([1.0] * 40, [1.0] * 41, paired=True)


# Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
@pytest.mark.parametrize(
    "right, n, low, high",
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0000),
    ],
)
def test_wilson_published(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


# Newcombe, "Interval estimation for the difference between independent proportions", 1998,
# table II, method 10: 56/70 - 48/80 and 9/10 - 3/10
@pytest.mark.parametrize(
    "p, q, low, high", [((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090)]
)
def test_share_difference_published(p, q, low, high):
    assert share_difference(*(p + q)) == pytest.approx((low, high), abs=5e-5)


def test_no_share():
    for right, n in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError):
            wilson(right, n)
