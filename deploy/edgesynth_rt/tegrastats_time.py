"""When the lines of a tegrastats log were printed (Python 3.6, numpy).

Best are stamps taken on arrival; next what the user's shell put before the lines (`ts`, `date`);
then tegrastats' own stamps (R34 and later): local time in whole seconds, which jumps with NTP and
daylight saving. Without any, lines are taken to be one interval apart, which is too short: the
real period is the interval and the time that one reading takes.
"""

import calendar
import datetime
import re
from collections import namedtuple

import numpy as np

TimeAxis = namedtuple("TimeAxis", "source seconds resolution_s gap_limit_s period_s jumps")
"""source: arrival, prefix, tegrastats or assumed; seconds: time of each sample, ascending, from 0;
resolution_s: 1 for whole seconds, else 0; gap_limit_s: a longer pause between two samples is a gap;
period_s: the median pause;
jumps: indices of samples before which the clock went backwards (one period is put there)."""

DEFAULT_INTERVAL_MS = 1000.0
SENSOR_PERIOD_S = 0.5
"""A shorter pause hides little: the sensor of a TX2 takes means over 0.43 s by itself."""
LONGEST_PAUSE_S = 3600.0
"""Nobody samples power more rarely: two lines further apart do not belong together."""
ASSUMED_ERROR = (
    "the lines have no time, so one every %g ms is assumed (--interval); the real period is longer "
    "(1.1 %% on a TX2 at 1000 ms), and energy and duration with it"
)

_STAMP = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
)
_MONTH = re.compile(
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}([0-9]{1,2}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DAYTIME = re.compile(r"(?<![0-9:])([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?![0-9:])")
_SECONDS = re.compile(r"^\W{0,3}([0-9]{1,19})(?:\.([0-9]{1,9}))?(?![0-9.:])")
_A_LEAP_YEAR = 2000
_MIN_EPOCH_S = 10**9


def stamp_seconds(stamp):
    """Seconds of tegrastats' own stamp MM-DD-YYYY HH:MM:SS, None where it is no date."""
    match = _STAMP.fullmatch(stamp)
    if not match:
        return None
    month, day, year, hour, minute, second = map(int, match.groups())
    return _seconds(year, month, day, hour, minute, second, None)


def prefix_seconds(prefix):
    """(seconds, is whole) of the time in what stands before a line, None where there is no time.

    Understands ISO dates, `Jan 26 18:22:31` (ts, syslog), `18:22:31`, and numbers that are seconds:
    with a fraction, or since 1970 (also in ms, us or ns). A small whole number is no time: it may
    be a line number.
    """
    match = _ISO.search(prefix)
    if match:
        year, month, day, hour, minute, second = map(int, match.groups()[:6])
        return _with_wholeness(
            _seconds(year, month, day, hour, minute, second, match.group(7)), match.group(7)
        )
    match = _MONTH.search(prefix)
    if match:
        day, hour, minute, second = map(int, match.groups()[1:5])
        month = _MONTHS.index(match.group(1)) + 1
        return _with_wholeness(
            _seconds(_A_LEAP_YEAR, month, day, hour, minute, second, match.group(6)),
            match.group(6),
        )
    match = _DAYTIME.search(prefix)
    if match:
        hour, minute, second = map(int, match.groups()[:3])
        seconds = hour * 3600 + minute * 60 + second + _fraction(match.group(4))
        return _with_wholeness(seconds, match.group(4))
    match = _SECONDS.match(prefix)
    return _plain_seconds(*match.groups()) if match else None


def time_axis(samples, interval_ms=None):
    """The `TimeAxis` of samples from the best times that all of them have.

    `samples`: (arrival_s, prefix, stamp) of each. `interval_ms`: assumed where there are no times,
    1000 when None.
    """
    arrivals = [arrival for arrival, _, _ in samples]
    if samples and None not in arrivals:
        return _axis("arrival", np.array(arrivals, dtype=np.float64), 0.0)
    prefixes = [prefix_seconds(prefix) if prefix else None for _, prefix, _ in samples]
    if samples and None not in prefixes:
        resolution_s = 1.0 if all(whole for _, whole in prefixes) else 0.0
        return _axis("prefix", np.array([seconds for seconds, _ in prefixes]), resolution_s)
    stamps = [stamp_seconds(stamp) if stamp else None for _, _, stamp in samples]
    if samples and None not in stamps:
        return _axis("tegrastats", np.array(stamps, dtype=np.float64), 1.0)
    period_s = (interval_ms or DEFAULT_INTERVAL_MS) / 1e3
    return TimeAxis("assumed", np.arange(len(samples)) * period_s, 0.0, np.inf, period_s, ())


def _axis(source, seconds, resolution_s):
    """An ascending axis of `seconds`, which may go backwards and, if whole, may repeat."""
    if resolution_s:
        seconds = _spread(seconds)
    pauses = np.diff(seconds)
    forward = pauses[pauses > 0]
    period_s = float(np.median(forward)) if len(forward) else DEFAULT_INTERVAL_MS / 1e3
    jumps = tuple((np.flatnonzero(pauses < 0) + 1).tolist())
    pauses = np.where(pauses < 0, period_s, pauses)
    seconds = np.concatenate(([0.0], np.cumsum(pauses))) if len(seconds) else seconds
    gap_limit_s = min(max(2.5 * period_s, SENSOR_PERIOD_S), LONGEST_PAUSE_S) + resolution_s / 2
    return TimeAxis(source, seconds, resolution_s, gap_limit_s, period_s, jumps)


def _spread(seconds):
    """Spread the samples that share a whole second evenly over it, as they were printed."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(seconds)) + 1))
    counts = np.diff(np.concatenate((starts, [len(seconds)])))
    whole = counts[1:-1] if len(counts) > 2 else counts  # the log may begin and end within one
    per_second = round(float(np.median(whole))) if len(seconds) else 1
    if per_second == 1:
        return seconds
    within = np.arange(len(seconds)) - np.repeat(starts, counts)
    within[: counts[0]] += max(per_second - counts[0], 0)  # it began in the middle of a second
    return seconds + within / per_second


def _plain_seconds(whole, fraction):
    number = int(whole)
    if fraction is None and number < _MIN_EPOCH_S:
        return None
    for power in (9, 6, 3):  # ns, us, ms since 1970
        if fraction is None and number >= _MIN_EPOCH_S * 10**power:
            return number / 10**power, False
    return number + _fraction(fraction), fraction is None


def _seconds(year, month, day, hour, minute, second, fraction):
    try:
        moment = datetime.datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        return None
    return calendar.timegm(moment.timetuple()) + _fraction(fraction)


def _fraction(digits):
    return int(digits) / 10 ** len(digits) if digits else 0.0


def _with_wholeness(seconds, fraction):
    return None if seconds is None else (seconds, not fraction)
