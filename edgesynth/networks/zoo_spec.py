"""A network of the zoo with arguments, as users write it: `yolov2:width=0.25,stride=16`."""

from __future__ import annotations

import inspect

from edgesynth.core.errors import UserError, nearest
from edgesynth.networks import zoo

#: set from the data or by --input-shape, so that they cannot contradict those
_FITTED = ("classes", "in_channels", "image")


def is_zoo_spec(spec: str) -> bool:
    """True for a name of the zoo, with arguments or without."""
    return spec.partition(":")[0] in zoo.names()


def parse_zoo_spec(spec: str) -> tuple[str, dict[str, zoo.Argument]]:
    """Name and arguments of a network of the zoo.

    Raises UserError when an argument is unknown, set elsewhere, or no value of its type.
    """
    name, _, text = spec.partition(":")
    known = inspect.signature(zoo.entry(name).builder).parameters
    arguments: dict[str, zoo.Argument] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if key in _FITTED:
            raise UserError(f"{spec}: {key} comes from the data, or from --input-shape")
        if key not in known or not equals:
            names = [each for each in known if each not in _FITTED]
            raise UserError(f'{spec}: "{part}" is not NAME=VALUE; {nearest(key, names)}')
        arguments[key] = _value(spec, part, value, known[key].default)
    return name, arguments


def takes(spec: str, argument: str) -> bool:
    """Whether `spec` is a network of the zoo that takes `argument` and is not given it."""
    if not is_zoo_spec(spec):
        return False
    name, given = parse_zoo_spec(spec)
    return (
        argument not in given and argument in inspect.signature(zoo.entry(name).builder).parameters
    )


def _value(spec: str, part: str, text: str, default: zoo.Argument) -> zoo.Argument:
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text in ("true", "false"):
            return text == "true"
        raise UserError(f'{spec}: "{part}" is neither true nor false')
    try:
        return type(default)(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise UserError(f'{spec}: "{part}" does not give {kind}') from None
