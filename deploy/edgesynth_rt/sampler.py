"""Sampling power beside a benchmark, from a process of its own (Python 3.6)."""

import json
import os
import shutil
import tempfile
import time
from contextlib import suppress

from edgesynth_rt.errors import MeasurementError, MissingError
from edgesynth_rt.power_source import NAMES
from edgesynth_rt.power_trace import PowerTrace
from edgesynth_rt.processes import Helper

HOW_TO_GET_TEGRASTATS = (
    "no tegrastats on PATH: it comes with Jetson Linux as /usr/bin/tegrastats (~/tegrastats on "
    "L4T 28); in a container mount it with -v /usr/bin/tegrastats:/usr/bin/tegrastats:ro; for "
    "another machine, record there with: tegrastats --logfile power.txt"
)
PERIOD_S = 0.1
_START_S = 20.0  # a Nano that swaps takes seconds to start Python
_END_S = 10.0
_LAST_BYTES = 1 << 18  # hold a whole line of the sampling process, whatever a program printed


def source_sampler(name="auto", root="/", period_s=PERIOD_S, watch=None, candidates=NAMES):
    """A `Sampler` of a power source.

    name, root, candidates: see `power_source.find_source`; period_s: between two readings;
    watch: {name: path of a file with a number} to be read beside it, such as the GPU's clock.
    """
    spec = {
        "program": None,
        "source": name,
        "root": root,
        "candidates": list(candidates),
        "watch": dict(watch or {}),
    }
    return Sampler(spec, period_s)


def find_tegrastats():
    """Path of the tegrastats program. Raises MissingError that says how to get it."""
    found = shutil.which("tegrastats") or shutil.which(os.path.expanduser("~/tegrastats"))
    if not found:
        raise MissingError(HOW_TO_GET_TEGRASTATS)
    return found


def tegrastats_sampler(parse, program=None, period_s=0.2):
    """A `Sampler` of the lines of tegrastats.

    parse: a function of one line that gives ({rail: mW}, {name: value}): the rails, and whatever
    else is wanted of it, such as the GPU's clock; no rails for a line that is none.
    program: the command or its path, `find_tegrastats` where None.
    """
    interval_ms = max(round(period_s * 1000), 1)
    command = [program or find_tegrastats(), "--interval", str(interval_ms)]
    return Sampler({"program": command}, period_s, parse)


class Sampler(object):
    """Samples from `start` to `stop`; a context manager that does both.

    with source_sampler("ina3221") as sampler:
        ... idle window, then the load ...
        sampler.wait_past(end_s)
        trace = sampler.trace()
    """

    def __init__(self, spec, period_s, parse=None):
        if not period_s > 0:
            raise ValueError("a period of %r s" % period_s)
        self._spec = dict(spec, period_s=period_s)
        self._period_s = period_s
        self._parse = parse
        self._helper = None
        self._folder = None
        self._facts = {}
        self._ended = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        try:
            self._end()
        finally:
            self._tidy()

    def start(self):
        """Start sampling; returns when the sensor has been read.

        Raises MissingError when there is no such source or it cannot be read.
        """
        self._folder = tempfile.mkdtemp(prefix="edgesynth-power-")
        self._ended = None
        try:
            with open(self._path("errors"), "wb") as error_file:
                spec = dict(self._spec, spool=self._path("samples"))
                self._helper = Helper("sampler_process", spec, error_file)
            answer = self._helper.answer(_START_S + 2 * self._period_s)
            if answer is None:
                raise MeasurementError("the sampling process failed: %s" % self._last_words())
            if "ended" in answer:  # before the first reading
                raise MeasurementError(answer["ended"] or "sampling ended before it began")
            self._facts = answer["ready"]
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Stop sampling; returns the `PowerTrace`, or None when it had not begun. Never hangs."""
        try:
            begun = self._end()
            return self.trace() if begun and (self._facts or self._parse) else None
        finally:
            self._tidy()

    @property
    def pid(self):
        """Number of the sampling process, None while there is none."""
        return self._helper.pid if self._helper else None

    def trace(self):
        """The `PowerTrace` so far; its `failure` says why the source ended, if it did."""
        if self._folder is None:
            raise ValueError("not sampling")
        self.failure()
        samples = list(self.lines())
        ended = self._ended or {"ended": None, "dropped": 0}
        if self._parse is not None:
            return _trace_of_lines(samples, self._parse, self._period_s, ended)
        facts = dict(self._facts)
        rails, names = facts.pop("rails"), sorted(self._spec["watch"])
        return PowerTrace(
            stamps_s=[sample[0] for sample in samples],
            power_mw={rail: [s[1][index] for s in samples] for index, rail in enumerate(rails)},
            watched={name: [s[2][index] for s in samples] for index, name in enumerate(names)},
            period_s=self._period_s,
            failure=ended["ended"],
            dropped=ended["dropped"],
            **facts,
        )

    def lines(self):
        """What came so far, one by one: [stamp in s, line] of a program, else the readings."""
        with suppress(IOError), open(self._path("samples"), "rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):  # else it is not whole yet
                    yield json.loads(line.decode("ascii"))

    def failure(self):
        """Why the source ended by itself, None while it runs."""
        if self._ended is None and not self._helper.running():
            self._note_end(0.5)
        return self._ended and self._ended["ended"]

    def wait_past(self, stamp_s):
        """Wait until there is a reading later than `stamp_s`, at most five periods and a second.

        Call it at the end of a window before `trace`: the last stretch needs a reading behind it.
        """
        until = max(stamp_s, time.monotonic()) + 5 * self._period_s + 1.0
        while time.monotonic() < until and self._helper.running():
            if self._last_stamp_s() > stamp_s:
                return
            time.sleep(self._period_s / 2)

    def _last_stamp_s(self):
        """When the latest reading came, minus infinity before the first."""
        with suppress(IOError), open(self._path("samples"), "rb") as stream:
            stream.seek(max(os.path.getsize(stream.name) - _LAST_BYTES, 0))
            whole = stream.read().split(b"\n")[:-1]
            if whole:
                return json.loads(whole[-1].decode("ascii"))[0]
        return float("-inf")

    def _end(self):
        """End the process; whether there was one."""
        if self._helper is None:
            return False
        self._helper.tell_to_end()
        self._note_end(_END_S)
        self._helper.wait(_END_S)
        return True

    def _tidy(self):
        self._helper = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _note_end(self, timeout_s):
        """Take the process' last words, once."""
        if self._ended is not None:
            return
        try:
            answer = self._helper.answer(timeout_s)
            while answer is not None and "ended" not in answer:
                answer = self._helper.answer(timeout_s)
        except Exception as error:  # it is over in any case, and the trace says why
            answer = {"ended": str(error), "dropped": 0}
        if answer is None:
            answer = {"ended": "the sampling process failed: %s" % self._last_words(), "dropped": 0}
        self._ended = answer

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _last_words(self):
        try:
            with open(self._path("errors"), "rb") as stream:
                lines = stream.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it was killed"


def _trace_of_lines(samples, parse, period_s, ended):
    """The trace of stamped lines, without those that hold no rails and without the first.

    The first line of tegrastats can hold values from before it began (0 for VIN on a Thor).
    """
    stamps_s, powers, others = [], [], []
    for stamp, line in samples:
        power, watched = parse(line)
        if power:
            stamps_s.append(stamp)
            powers.append(power)
            others.append(watched)
    dropped = len(samples) - len(stamps_s) + (1 if stamps_s else 0)
    return PowerTrace(
        "tegrastats",
        stamps_s[1:],
        _columns(powers[1:]),
        period_s,
        watched=_columns(others[1:]),
        failure=ended["ended"],
        dropped=dropped + ended["dropped"],
    )


def _columns(rows):
    """{name: values}, None where a row lacks the name; names in the order of their first row."""
    names = []
    for row in rows:
        names.extend(name for name in row if name not in names)
    return {name: [row.get(name) for row in rows] for name in names}
