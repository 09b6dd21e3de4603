"""The one tree of errors. Each class knows the exit code that a command ends with.

A message is one line: what happened, with which value, in which file or place, and what to do.
"""


class EdgesynthError(Exception):
    """Base of every error that a user can cause and mend; shown without a traceback."""

    exit_code = 1


class CheckError(EdgesynthError):
    """A check or a requirement does not hold."""

    exit_code = 1


class UserError(EdgesynthError):
    """Wrong usage or bad input: the message names the file, the place and the remedy."""

    exit_code = 2


class DeviceError(EdgesynthError):
    """A device cannot be reached."""

    exit_code = 3


class MissingError(EdgesynthError):
    """Something is missing on this machine; the message says how to get it."""

    exit_code = 4


class MeasurementError(EdgesynthError):
    """The measurement is invalid: throttled, too short, or too few samples."""

    exit_code = 5
