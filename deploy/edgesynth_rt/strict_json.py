"""JSON from a source that nobody trusts (Python 3.6).

The standard parser takes NaN, numbers of a million digits, duplicate keys and any nesting.
Documents of this project hold none of these, so a document that does is refused.
"""

import json
import math

from edgesynth_rt.errors import UserError

MAX_BYTES = 256 << 20
MAX_DEPTH = 32
_MAX_DIGITS = 20  # holds every 64-bit integer


def parse(data, what):
    """The value in the JSON bytes `data`; `what` names the document in error messages.

    Raises UserError when the bytes are not UTF-8 JSON, hold NaN or an infinity, an integer over
    64 bits, a key twice in one object, half of a surrogate pair, or nest too deeply.
    """
    if len(data) > MAX_BYTES:
        raise UserError("%s is larger than %d MiB; make it again" % (what, MAX_BYTES >> 20))
    try:
        document = json.loads(
            data.decode("utf-8"),
            parse_constant=_refused_constant,
            parse_int=_integer,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
        _check_tree(document)
    except RecursionError:
        raise UserError("%s nests deeper than %d levels; make it again" % (what, MAX_DEPTH))
    except ValueError as error:
        raise UserError("%s is not valid JSON (%s); make it again" % (what, error))
    return document


def shown(value):
    """`value` as short, printable text for an error message, whoever wrote it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value[:61] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refused_constant(name):
    raise ValueError("%s is not a JSON number" % name)


def _integer(digits):
    if len(digits) > _MAX_DIGITS:
        raise ValueError("an integer of %d digits" % len(digits))
    return int(digits)


def _finite(digits):
    value = float(digits)
    if math.isinf(value):
        raise ValueError("the number %s is too large" % digits[:20])
    return value


def _unique(pairs):
    document = dict(pairs)
    if len(document) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError("the key %s stands twice in one object" % shown(key))
            seen.add(key)
    return document


def _check_tree(document):
    """Refuse nesting beyond MAX_DEPTH and text that cannot be written as UTF-8."""
    level = [document]
    for _ in range(MAX_DEPTH):
        below = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
                below.extend(value)
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                value.encode("utf-8")
        if not below:
            return
        level = below
    raise ValueError("it nests deeper than %d levels" % MAX_DEPTH)
