"""A tegrastats that runs while something else is measured (Python 3.6)."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress

from edgesynth_rt.errors import MeasurementError, MissingError
from edgesynth_rt.tegrastats_reader import Reader, samples_as_they_come

HOW_TO_GET_IT = (
    "no tegrastats on PATH: it comes with Jetson Linux as /usr/bin/tegrastats (~/tegrastats on "
    "L4T 28); in a container mount it with -v /usr/bin/tegrastats:/usr/bin/tegrastats:ro; for "
    "another machine, record there with: tegrastats --logfile power.txt"
)
_STOP_S = 2.0


def find_tegrastats():
    """Path of the tegrastats program. Raises MissingError that says how to get it."""
    found = shutil.which("tegrastats") or shutil.which(os.path.expanduser("~/tegrastats"))
    if not found:
        raise MissingError(HOW_TO_GET_IT)
    return found


class RunningTegrastats:
    """A context in which tegrastats runs, and gives every sample to `take` as it arrives.

    Its own process prints; a thread of this one stamps the lines with the monotonic clock, so
    `take` is called in that thread. `reader` counts what was read. The program is stopped, never
    with `tegrastats --stop`, which would end those of other people too.
    """

    def __init__(self, take, interval_ms, program=None):
        self.reader = Reader()
        self._take = take
        self._command = [program or find_tegrastats(), "--interval", str(int(interval_ms))]
        self._arrived = threading.Condition()
        self._latest_s = None
        self._process = self._thread = self._complaints = None

    def __enter__(self):
        self._complaints = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(  # noqa: S603  (a list, no shell)
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                start_new_session=True,  # Ctrl-C must not cut its last line
            )
        except OSError as error:
            self._complaints.close()
            raise MissingError("%s cannot be run: %s" % (self._command[0], error.strerror))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._thread.join(_STOP_S)
        if not self._thread.is_alive():
            self._process.stdout.close()
        self._complaints.close()

    def wait_for_sample(self, after_s, timeout_s):
        """Wait until a sample arrived after `after_s` on the monotonic clock.

        Raises MeasurementError when none comes within `timeout_s`, or when tegrastats has ended.
        """
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while self._latest_s is None or self._latest_s <= after_s:
                left = deadline - time.monotonic()
                if not self._thread.is_alive():
                    raise MeasurementError("%s ended by itself%s" % (self._command[0], self._why()))
                if left <= 0:
                    raise MeasurementError(
                        "%s printed no line with values within %g s (%d lines that are not its own)"
                        % (self._command[0], timeout_s, self.reader.foreign)
                    )
                self._arrived.wait(min(left, 0.1))

    def _read(self):
        for sample in samples_as_they_come(self._process.stdout, self.reader):
            self._take(sample)
            with self._arrived:
                self._latest_s = sample.arrival_s
                self._arrived.notify_all()

    def _signal(self, number):
        """To its whole session, for `tegrastats` may be a script that runs the real one."""
        with suppress(ProcessLookupError):  # it may have ended
            os.killpg(self._process.pid, number)

    def _why(self):
        """The last line of what it said on stderr."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return ": %s" % lines[-1][:200] if lines else ""
