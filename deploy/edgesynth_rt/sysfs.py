"""Reading sysfs below a root: of this machine ("/") or of a copied tree (Python 3.6)."""

import glob
import os
import re

from edgesynth_rt.errors import MissingError

_MAX_BYTES = 4096  # a sysfs attribute is at most a page


def text(path):
    """The text of the file at `path` without white space at its ends, None where there is none.

    Raises MissingError, naming file and reason, when the file is there and cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return stream.read(_MAX_BYTES).decode("utf-8", "replace").strip(" \t\r\n\0")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MissingError("%s cannot be read: %s%s" % (path, error.strerror, _remedy(error)))


def number(path):
    """The integer that the file at `path` begins with; a unit may follow ("32760 ma").

    Raises MissingError when the file is absent, cannot be read, or holds no number.
    """
    found = text(path)
    if found is None:
        raise MissingError("%s is not there; is its driver loaded?" % path)
    match = re.match(r"-?[0-9]{1,18}(?=[ \t\r\n]|$)", found)
    if match is None:
        raise MissingError('%s holds "%s" where a number should stand' % (path, found[:40]))
    return int(match.group())


def number_or_none(path):
    """Like `number`, but None instead of an error: for facts that may be missing."""
    try:
        return number(path)
    except MissingError:
        return None


def text_or_none(path):
    """Like `text`, but None instead of an error: for facts that may be missing."""
    try:
        return text(path)
    except MissingError:
        return None


def below(root, *patterns):
    """Paths below `root` that match one of the shell patterns, sorted; one path of each file.

    sysfs shows one device under several links, so paths that lead to the same place count once.
    The order is that of the patterns, then of the names with numbers by value (hwmon2, hwmon10).
    """
    found, seen = [], set()
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern)), key=natural):
            place = os.path.realpath(path)
            if place not in seen:
                seen.add(place)
                found.append(path)
    return found


def natural(name):
    """A key that sorts the numbers in a name by value."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def _remedy(error):
    return "; run as root" if isinstance(error, PermissionError) else ""
