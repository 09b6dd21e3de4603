"""When lines were printed: from arrival, from what stands before them, from stamps, or assumed."""

import numpy as np
import pytest

from edgesynth_rt.tegrastats_time import prefix_seconds, stamp_seconds, time_axis


def stamped(*seconds):
    return [(None, "", "07-21-2025 16:%02d:%02d" % divmod(second, 60)) for second in seconds]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("[1970-01-02 00:00:05] : ", (86405.0, True)),
        ("1970-01-02T00:00:05.25+0200 ", (86405.25, False)),
        ("1970-01-02 00:00:05,125 ", (86405.125, False)),
        ("12:00:01 ", (43201.0, True)),
        ("00:00:01.500000 ", (1.5, False)),  # ts -s
        ("1611685351---", (1611685351.0, True)),
        ("1611685351.25---", (1611685351.25, False)),
        ("1611685351250 ", (1611685351.25, False)),  # ms
        ("1611685351250000 ", (1611685351.25, False)),  # us
        ("1611685351250000000 ", (1611685351.25, False)),  # ns
        ("12.75 ", (12.75, False)),
        ("433:", None),  # grep -n
        ("     7\t", None),  # cat -n
        ("1970-13-02 00:00:05 ", None),
        ("tx2-a: ", None),
        ("", None),
    ],
)
def test_what_stands_before_a_line(prefix, expected):
    assert prefix_seconds(prefix) == expected


def test_syslog_and_ts_dates_are_ascending():
    first, second = "Jan 31 23:59:59 tx2 log[7]: ", "Feb  1 00:00:00 tx2 log[7]: "
    assert prefix_seconds(second)[0] - prefix_seconds(first)[0] == 1
    assert prefix_seconds("Feb 29 00:00:00 ")[1]


def test_stamps():
    assert stamp_seconds("01-02-1970 00:00:05") == 86405
    assert stamp_seconds("13-02-1970 00:00:05") is None
    assert stamp_seconds("02-30-2025 00:00:05") is None


def test_arrival_wins_over_everything():
    axis = time_axis([(5.0, "1611685351 ", "07-21-2025 16:00:00"), (5.5, "1611685352 ", "x")])
    assert (axis.source, axis.seconds.tolist(), axis.resolution_s) == ("arrival", [0.0, 0.5], 0.0)


def test_a_time_that_one_line_lacks_is_not_used():
    axis = time_axis(stamped(0, 1) + [(None, "", None)])
    assert (axis.source, axis.seconds.tolist()) == ("assumed", [0.0, 1.0, 2.0])
    assert time_axis([(None, "", None)] * 3, interval_ms=250).seconds.tolist() == [0, 0.25, 0.5]


def test_whole_seconds_are_kept_where_they_differ():
    axis = time_axis(stamped(0, 1, 2, 4, 5))
    assert (axis.source, axis.seconds.tolist()) == ("tegrastats", [0, 1, 2, 4, 5])
    assert (axis.resolution_s, axis.period_s) == (1.0, 1.0)


def test_lines_of_one_second_are_spread_over_it():
    """Four a second, from the middle of a second on."""
    axis = time_axis(stamped(0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3))
    assert axis.seconds.tolist() == [i / 4 for i in range(11)]
    assert axis.period_s == 0.25


@pytest.mark.parametrize("interval_s", [0.1, 0.23, 0.5, 0.9, 1.0107])
def test_times_from_whole_seconds_are_never_far_off(interval_s):
    """Each within the second that its stamp tells, so sums over a long log are right."""
    true = 0.37 + np.arange(300) * interval_s
    axis = time_axis(stamped(*np.floor(true).astype(int).tolist()))
    error = axis.seconds - (true - true[0])
    assert (np.diff(axis.seconds) >= 0).all()
    assert np.ptp(error) <= 1.0 + 1e-9


def test_a_clock_that_goes_backwards_becomes_one_period():
    axis = time_axis(stamped(100, 101, 102, 50, 51))
    assert (axis.seconds.tolist(), axis.jumps) == ([0, 1, 2, 3, 4], (3,))


def test_midnight_in_times_without_a_date():
    axis = time_axis([(None, prefix, None) for prefix in ("23:59:58 ", "23:59:59 ", "00:00:00 ")])
    assert (axis.seconds.tolist(), axis.jumps) == ([0, 1, 2], (2,))


def test_a_gap_is_longer_than_the_drift_of_whole_seconds():
    limit = time_axis(stamped(0, 1, 2, 3)).gap_limit_s
    assert 2 < limit < 4


def test_a_short_pause_of_a_fast_log_is_no_gap():
    """The sensor itself takes means over 0.43 s on a TX2."""
    axis = time_axis([(arrival_s, "", None) for arrival_s in (0, 0.02, 0.04, 0.3, 0.32, 0.34)])
    assert 0.26 < axis.gap_limit_s < 1


@pytest.mark.parametrize("samples", [[], [(1.0, "", None)], stamped(5)])
def test_no_sample_and_one(samples):
    assert time_axis(samples).seconds.tolist() == [0.0] * len(samples)
