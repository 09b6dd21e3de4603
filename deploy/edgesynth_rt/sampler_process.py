"""The process that samples: started by `sampler.Sampler`, one line to a file for each reading.

It reads the sensor at fixed times, or passes on the lines of a program such as tegrastats, each
stamped with CLOCK_MONOTONIC on arrival. It ends when its standard input is closed or its parent is
gone, so that it outlives no benchmark, whatever ended that (Python 3.6; no numpy, to start fast).
"""

import fcntl
import json
import math
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress

from edgesynth_rt import sysfs
from edgesynth_rt.errors import EdgesynthError, MissingError
from edgesynth_rt.power_source import find_source

_LOOK_FOR_PARENT_S = 0.5
_FAILURES_IN_A_ROW = 3  # a busy I2C bus refuses a reading now and then
_MAX_LINE_BYTES = 65536
_PATIENCE_S = 2.0


def main(arguments):
    """Sample as the JSON in `arguments[0]` says; talk to the parent on standard output.

    One line when sampling has begun ({"ready": ...}) or cannot begin ({"error": [class, text]}),
    one when it has ended ({"ended": reason or null, "dropped": count}).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark, which stops this
    spec = json.loads(arguments[0])
    stop = _Stop(sys.stdin.fileno(), spec["parent"])
    try:
        with open(spec["spool"], "ab", 0) as spool:
            if spec["program"] is None:
                ended, dropped = _poll(spec, spool, stop)
            else:
                ended, dropped = _follow(spec, spool, stop)
    except EdgesynthError as error:
        _say({"error": [type(error).__name__, str(error)]})
    except OSError as error:
        _say({"error": ["MissingError", "sampling failed: %s" % error]})
    else:
        _say({"ended": ended, "dropped": dropped})
    if stop.orphaned:  # nobody is left to tidy up
        shutil.rmtree(os.path.dirname(spec["spool"]), ignore_errors=True)


class _Stop(object):
    """Tells when to stop: standard input has a word or is closed, or the parent is another one."""

    def __init__(self, descriptor, parent):
        self.descriptor = descriptor
        self.orphaned = False
        """Whether the parent is gone, and has not said to stop."""
        self._parent = parent

    def wait(self, seconds, *others):
        """Wait for up to `seconds`; (stop now, which of the descriptors `others` can be read)."""
        until = time.monotonic() + seconds
        while True:
            left = max(until - time.monotonic(), 0.0)
            watched = (self.descriptor,) + others
            ready = select.select(watched, (), (), min(left, _LOOK_FOR_PARENT_S))[0]
            if self.descriptor in ready:
                self.orphaned = not os.read(self.descriptor, 1)
                return True, []
            if os.getppid() != self._parent:
                self.orphaned = True
                return True, []
            if ready or left <= _LOOK_FOR_PARENT_S:
                return False, ready


def _poll(spec, spool, stop):
    """Read the source every period; (why it ended or None, readings lost)."""
    source = find_source(spec["source"], spec["root"], spec["candidates"])
    try:
        source.read()  # not kept: the first may be old (a triggered sensor) or 0 (VIN of a Thor)
        _say({"ready": _facts(source)})
        watched = sorted(spec["watch"].items())
        period_s, begin = spec["period_s"], time.monotonic()
        tick, failures, dropped = 1, 0, 0
        while not stop.wait(begin + tick * period_s - time.monotonic())[0]:
            try:
                power = source.read()
            except MissingError as error:
                failures, dropped = failures + 1, dropped + 1
                if failures == _FAILURES_IN_A_ROW:
                    return str(error), dropped
            else:
                failures = 0
                stamp = time.monotonic()
                values = [sysfs.number_or_none(path) for _, path in watched]
                _write(spool, [stamp, [power[rail] for rail in source.rails], values])
            # A reading that took longer than a period does not shift the later ones.
            tick = max(tick + 1, math.ceil((time.monotonic() - begin) / period_s))
        return None, dropped
    finally:
        source.close()


def _facts(source):
    return {
        "source": source.name,
        "rails": list(source.rails),
        "lsb_mw": source.lsb_mw,
        "total": source.total,
        "interval_means": source.interval_means,
        "refresh_s": source.refresh_s,
    }


def _follow(spec, spool, stop):
    """Pass on the lines of a program; (why it ended or None, 0)."""
    process, output = _start(spec["program"])
    rest, last_line, begun = b"", "", False
    try:
        while True:
            stopping, ready = stop.wait(_LOOK_FOR_PARENT_S, output)
            if stopping:
                return None, 0
            if not ready:
                continue
            data = _read(output)
            stamp = time.monotonic()
            if not data:
                return _why_it_ended(spec["program"][0], process, last_line), 0
            lines = (rest + data).split(b"\n")
            rest = lines.pop()[-_MAX_LINE_BYTES:]
            for line in lines:
                last_line = line.decode("utf-8", "replace").strip()
                _write(spool, [stamp, last_line])
                if not begun:
                    begun = True
                    _say({"ready": {}})
    finally:
        _end(process)
        os.close(output)


def _start(program):
    """(process, descriptor of its output).

    The output is a terminal of its own: to a pipe a C program writes a block of lines at a time,
    and a program that loses its terminal is ended by the kernel, also when this process is killed.
    """
    output, terminal = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 - a list, no shell
            program,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - there are no threads here
        )
    except (OSError, subprocess.SubprocessError) as error:
        os.close(output)
        reason = getattr(error, "strerror", None) or str(error)
        raise MissingError(
            "%s cannot be run: %s; on a Jetson it is part of L4T, or name its place"
            % (program[0], reason)
        )
    finally:
        os.close(terminal)
    return process, output


def _take_terminal():
    """Make standard output the terminal that this session hangs on."""
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)


def _read(output):
    try:
        return os.read(output, 65536)
    except OSError:  # Linux says EIO when the last process has left the terminal
        return b""


def _why_it_ended(name, process, last_line):
    try:
        code = process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return "%s closed its output" % name
    how = "was ended by signal %d" % -code if code < 0 else "ended with code %d" % code
    said = ', saying "%s"' % last_line[:200] if code and last_line else ""
    return "%s %s%s" % (name, how, said)


def _end(process):
    """End the program and whatever it started, gently first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(OSError):  # already gone, or run under another user
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)


def _write(spool, values):
    spool.write(json.dumps(values).encode("ascii") + b"\n")


def _say(document):
    try:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    except OSError:  # nobody listens any more
        pass
