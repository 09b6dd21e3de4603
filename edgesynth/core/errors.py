"""The error tree, shared with the device runtime."""

from edgesynth_rt.errors import CheckError as CheckError
from edgesynth_rt.errors import DeviceError as DeviceError
from edgesynth_rt.errors import EdgesynthError as EdgesynthError
from edgesynth_rt.errors import MeasurementError as MeasurementError
from edgesynth_rt.errors import MissingError as MissingError
from edgesynth_rt.errors import UserError as UserError


def nearest(name: str, known: list[str]) -> str:
    """`did you mean "x"?` or the list of `known` names, for the end of an error message."""
    from difflib import get_close_matches

    as_written = {k.lower(): k for k in known}
    close = get_close_matches(name.lower(), list(as_written), n=1)
    if close:
        return f'did you mean "{as_written[close[0]]}"?'
    return "known: " + ", ".join(known)


def shown(text: str, limit: int = 80) -> str:
    """A user's `text` as it may stand in an error message: one line, printable, not too long."""
    printable = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return printable if len(printable) <= limit else printable[: limit - 3] + "..."
