"""Power over time as a sampler saw it, stamped with the monotonic clock (Python 3.6, numpy)."""

import math

import numpy as np

from edgesynth_rt import files
from edgesynth_rt.errors import MeasurementError, UserError

SCHEMA = "edgesynth.power-trace/1"


class PowerTrace(object):
    """Readings of one source in the order of time.

    source: its name; stamps_s: seconds of CLOCK_MONOTONIC, ascending; power_mw: {rail: array of
    the same length, NaN where a line lacked the rail}; watched: {name: array}, what was read
    beside it, such as the GPU's clock; period_s: the period that was asked for; lsb_mw: {rail:
    smallest step or None}; interval_means, refresh_s, total: see `power_source.PowerSource`;
    failure: why sampling ended before it was told to, or None; dropped: readings left out (the
    first of tegrastats, cut lines).
    """

    def __init__(
        self,
        source,
        stamps_s,
        power_mw,
        period_s,
        watched=None,
        lsb_mw=None,
        interval_means=False,
        refresh_s=None,
        total=None,
        failure=None,
        dropped=0,
    ):
        self.source = source
        self.stamps_s = np.asarray(stamps_s, dtype=np.float64)
        self.power_mw = {rail: _column(power_mw[rail]) for rail in power_mw}
        self.watched = {name: _column(watched[name]) for name in watched or {}}
        self.period_s = float(period_s)
        self.lsb_mw = dict.fromkeys(self.power_mw)
        self.lsb_mw.update(lsb_mw or {})
        self.interval_means = interval_means
        self.refresh_s = refresh_s
        self.total = None if total is None else tuple(total)
        self.failure = failure
        self.dropped = dropped
        for name, column in list(self.power_mw.items()) + list(self.watched.items()):
            if len(column) != len(self.stamps_s):
                raise ValueError("%d values of %s" % (len(column), name))
        if (np.diff(self.stamps_s) < 0).any():
            raise MeasurementError(
                "the stamps of source %s run backwards; measure again" % self.source
            )

    @property
    def rails(self):
        """Names of the rails."""
        return tuple(self.power_mw)

    def sum(self, rails):
        """(stamps, mW, all rails' readings) where every one of `rails` was read.

        Returns stamps (n,), the sum (n,), and the single readings (n, len(rails)).
        Raises UserError for a rail that is not in the trace.
        """
        rails = (rails,) if isinstance(rails, str) else tuple(rails)
        for rail in rails:
            if rail not in self.power_mw:
                raise UserError(
                    "source %s has no rail %s; it has %s"
                    % (self.source, rail, ", ".join(self.power_mw) or "none")
                )
        if not rails:
            raise UserError("name at least one rail of %s" % ", ".join(self.power_mw))
        readings = np.stack([self.power_mw[rail] for rail in rails], axis=1)
        whole = np.isfinite(readings).all(axis=1)
        return self.stamps_s[whole], readings[whole].sum(axis=1), readings[whole]

    def watched_in(self, windows):
        """{name: values} of what was watched while the load ran; windows: (start_s, end_s, ...)."""
        inside = np.zeros(len(self.stamps_s), dtype=bool)
        for window in windows:
            inside |= (self.stamps_s >= window[0]) & (self.stamps_s <= window[1])
        return {name: column[inside] for name, column in self.watched.items()}

    def document(self):
        """The trace as JSON: stamps to the microsecond, power to the microwatt."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "period_s": self.period_s,
            "refresh_s": self.refresh_s,
            "interval_means": self.interval_means,
            "total": None if self.total is None else list(self.total),
            "lsb_mw": self.lsb_mw,
            "failure": self.failure,
            "dropped": self.dropped,
            "stamps_s": [round(stamp, 6) for stamp in self.stamps_s.tolist()],
            "power_mw": {rail: _values(column) for rail, column in self.power_mw.items()},
            "watched": {name: _values(column) for name, column in self.watched.items()},
        }


def write_trace(path, trace):
    """Write `trace` to `path` in one step."""
    files.write_json(path, trace.document())


def read_trace(path):
    """The trace at `path`. Raises UserError naming the file when it is absent or damaged."""
    document = files.read_json(path, "power trace")
    if document.get("schema") != SCHEMA:
        raise UserError(
            'power trace %s has schema "%s", not %s' % (path, document.get("schema"), SCHEMA)
        )
    fields = {key: value for key, value in document.items() if key != "schema"}
    try:
        return PowerTrace(**fields)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError("power trace %s is damaged: %s; measure again" % (path, error))


def _column(values):
    """Numbers as float64; None is NaN."""
    return np.asarray(values, dtype=np.float64)


def _values(column):
    """Numbers for JSON; NaN is null."""
    return [round(value, 3) if math.isfinite(value) else None for value in column.tolist()]
