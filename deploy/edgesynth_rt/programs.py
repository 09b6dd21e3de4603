"""Running the board's own programs: no shell, no terminal, a time limit (Python 3.6)."""

import os
import signal
import subprocess
from contextlib import suppress

from edgesynth_rt.errors import MissingError

TIMEOUT_S = 30.0


def run(command, remedy, timeout_s=TIMEOUT_S, answer=b""):
    """Run `command`; (exit code, output and errors as text, without colours).

    command: a list of words; remedy: what to do when the program is missing; answer: what is
    typed when it asks, after which its input ends. Raises MissingError when it cannot be run or
    takes longer than `timeout_s`; then it is ended with everything that it started.
    """
    environment = dict(os.environ, LC_ALL="C")
    try:
        process = subprocess.Popen(  # noqa: S603 - a list, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    except OSError as error:
        raise MissingError("%s cannot be run: %s; %s" % (command[0], error.strerror, remedy))
    try:
        output, _ = process.communicate(answer, timeout=timeout_s)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise MissingError(
                "%s did not end within %g s; run it by hand to see what it waits for"
                % (" ".join(command), timeout_s)
            )
        raise
    return process.returncode, _without_colours(output.decode("utf-8", "replace"))


def complaint(output):
    """The line of an output that says what went wrong, or its last line, or ""."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [""])[-1][:300]


def _without_colours(text):
    pieces = text.split("\x1b[")
    return pieces[0] + "".join(piece.partition("m")[2] for piece in pieces[1:])
