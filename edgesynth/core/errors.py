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

    close = get_close_matches(name, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(known)
