"""Starting this package's own helper processes (Python 3.6)."""

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress

from edgesynth_rt import errors

_PLACE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # a folder or a zipapp
# This very package, wherever it lies, and Python's own modules: nothing of the present folder or
# of PYTHONPATH (-I), as a helper may run as root.
_RUN = (
    "import sys; sys.path.insert(0, sys.argv[1]); import edgesynth_rt; del sys.path[0]; "
    "from edgesynth_rt.%s import main; main(sys.argv[2:])"
)


class Helper(object):
    """A process that runs `main` of one module of this package and answers with lines of JSON.

    It is in a session of its own, so that Ctrl-C in the terminal does not reach it. It is told to
    end by a line on its standard input; when that is closed without one, this process was killed.
    """

    def __init__(self, module, spec, error_file=None):
        """module: name below edgesynth_rt; spec: JSON for it; error_file: open, for its stderr."""
        spec = dict(spec, parent=os.getpid())
        self._process = subprocess.Popen(  # noqa: S603 - a list, no shell
            [sys.executable, "-I", "-c", _RUN % module, _PLACE, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=error_file,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._received = b""
        self._ended = False

    def answer(self, timeout_s):
        """The next answer as a dict, None when the helper has ended without one.

        Raises the error that the helper reports; MissingError when nothing comes in time.
        """
        until = time.monotonic() + timeout_s
        output = self._process.stdout
        while b"\n" not in self._received:
            if self._ended:
                return None
            left = until - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                raise errors.MissingError(
                    "the helper process did not answer within %g s; is the machine overloaded?"
                    % timeout_s
                )
            data = os.read(output.fileno(), 65536)
            self._ended = not data
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        answer = json.loads(line.decode("utf-8"))
        if "error" in answer:
            name, message = answer["error"]
            raise getattr(errors, name, errors.MissingError)(message)
        return answer

    def running(self):
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def tell_to_end(self):
        """Tell it to end, and close its standard input."""
        with suppress(OSError):
            self._process.stdin.write(b"end\n")
        with suppress(OSError):
            self._process.stdin.close()

    def wait(self, timeout_s):
        """Its exit code; it is killed when it has not ended by then."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()
