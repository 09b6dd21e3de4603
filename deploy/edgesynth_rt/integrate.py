"""Energy of a stretch of time from stamped power readings (Python 3.6, numpy).

Readings are points of a curve, joined by straight lines, or means since the reading before (of an
energy counter). Times are seconds of one monotonic clock, power is in mW, energy in mJ.
"""

import numpy as np

SLOWEST_SENSOR_S = 0.45
"""No Jetson's monitor is slower: the TX2's takes 512 averages of 3 channels of 280 us, 430 ms."""


def trapezoid(stamps_s, power_mw, start_s, end_s, longest_gap_s=np.inf, runs=None):
    """(energy in mJ, seconds covered) between `start_s` and `end_s`, of points.

    The power at both ends is interpolated between the points around them. Two points further apart
    than `longest_gap_s`, or of different `runs` (one number for each point), say nothing about the
    time between them; neither does what lies outside of the points.
    stamps_s, power_mw: arrays (n,), stamps ascending, power finite.
    """
    place, left, right = _pieces(stamps_s, start_s, end_s, longest_gap_s, runs)
    starts, first, last = stamps_s[place], power_mw[place], power_mw[place + 1]
    middle = ((left + right) / 2 - starts) / (stamps_s[place + 1] - starts)
    mean_mw = first + (last - first) * middle  # the mean of a line is its middle's value
    return float(np.dot(mean_mw, right - left)), float((right - left).sum())


def energy_mj(stamps_s, power_mw, start_s, end_s, interval_means=False):
    """Energy in mJ between `start_s` and `end_s`, which lie inside the stamps.

    stamps_s, power_mw: arrays (n,), stamps ascending. Points: see `trapezoid`. Interval means:
    exact, except that an interval which the start or the end cuts counts by the share that lies
    inside.
    Raises ValueError when start and end are not inside the stamps.
    """
    stamps_s, power_mw = np.asarray(stamps_s), np.asarray(power_mw)
    if not len(stamps_s) or not stamps_s[0] <= start_s <= end_s <= stamps_s[-1]:
        raise ValueError("from %r to %r is not inside the stamps" % (start_s, end_s))
    if interval_means:
        counter = np.concatenate([[0.0], np.cumsum(np.diff(stamps_s) * power_mw[1:])])
        return float(np.interp(end_s, stamps_s, counter) - np.interp(start_s, stamps_s, counter))
    return trapezoid(stamps_s, power_mw, start_s, end_s)[0]


def covered_s(stamps_s, start_s, end_s, longest_gap_s):
    """How much of the time from `start_s` to `end_s` lies between two readings close together.

    Two readings further apart than `longest_gap_s` say nothing about the time between them.
    """
    _, left, right = _pieces(stamps_s, start_s, end_s, longest_gap_s)
    return float((right - left).sum())


def _pieces(stamps_s, start_s, end_s, longest_gap_s, runs=None):
    """(place, left, right): what of the time after each stamp counts, from left to right."""
    left, right = np.clip(stamps_s[:-1], start_s, end_s), np.clip(stamps_s[1:], start_s, end_s)
    counted = (np.diff(stamps_s) <= longest_gap_s) & (right > left)
    if runs is not None:
        counted &= runs[:-1] == runs[1:]
    place = np.flatnonzero(counted)
    return place, left[place], right[place]


def shares_s(stamps_s, start_s, end_s, interval_means=False):
    """For how much of the time from `start_s` to `end_s` each reading stands, (n,) in seconds.

    A point stands for the time that is nearer to it than to its neighbours, an interval mean for
    its interval. The shares of inner readings add up to the time between the two ends.
    """
    stamps_s = np.asarray(stamps_s)
    if interval_means:
        bounds = np.concatenate([stamps_s[:1], stamps_s])
    else:
        middles = (stamps_s[1:] + stamps_s[:-1]) / 2
        bounds = np.concatenate([stamps_s[:1], middles, stamps_s[-1:]])
    return np.diff(np.clip(bounds, start_s, end_s))


def independent(stamps_s, readings, refresh_s=None):
    """Which readings are one: the number of its conversion for each reading, from 0, (n,).

    A sensor that is asked faster than it converts repeats itself, and repetitions are no new
    evidence. Readings that follow each other and are equal count as one, but as one again after
    `refresh_s` seconds (the sensor's own period, or the slowest that a Jetson has), since a steady
    load gives equal conversions too. readings: (n, rails).
    """
    refresh_s = SLOWEST_SENSOR_S if refresh_s is None else refresh_s
    conversions = np.zeros(len(stamps_s), dtype=np.int64)
    changed = (readings[1:] != readings[:-1]).any(axis=1)
    since = stamps_s[0] if len(stamps_s) else 0.0
    for index in range(1, len(stamps_s)):
        new = changed[index - 1] or stamps_s[index] - since >= refresh_s
        conversions[index] = conversions[index - 1] + new
        if new:
            since = stamps_s[index]
    return conversions
