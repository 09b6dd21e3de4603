"""The zoo: networks by name, with the figures that were published for them.

Every builder takes `classes`, `in_channels`, `width` (multiplies all inner channel counts; 0.5
makes a small network) and `image` (side of the square input in pixels: small inputs get the
small-image variant). Weights start from He initialization with torch's global generator.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from edgesynth.core.errors import UserError, nearest
from edgesynth.networks.lenet import LeNet5

Argument = int | float | str | bool


@dataclass(frozen=True)
class Entry:
    """One network of the zoo as its paper has it."""

    name: str
    builder: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: int
    paper: str
    params: int
    """Trainable parameters with the default arguments."""
    macs: int
    """Multiply-accumulates of convolutions and linear layers, one image, default arguments."""
    source: str
    """Where the two figures were published, or how they follow from what was."""
    smallest_image: int
    """Side in pixels of the smallest square input that the builder accepts."""


_ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="lenet5",
            builder=LeNet5,
            input_shape=(1, 28, 28),
            classes=10,
            paper="LeCun et al. 1998; Caffe examples/mnist/lenet.prototxt",
            params=431_080,
            macs=2_293_000,
            source="params: arXiv 1608.04493, table 1 (431K); MACs by hand from the prototxt",
            smallest_image=4,
        ),
    )
}


_LIMITS: dict[str, tuple[float, float]] = {
    "classes": (1, 100_000),
    "in_channels": (1, 1024),
    "width": (1 / 64, 8.0),
}


def names() -> list[str]:
    """Every name that `build` knows."""
    return list(_ENTRIES)


def entry(name: str) -> Entry:
    """The default shape and published figures of `name`; UserError when it is unknown."""
    if name not in _ENTRIES:
        raise UserError(f'no network "{name}" in the zoo; {nearest(name, names())}')
    return _ENTRIES[name]


def build(name: str, **arguments: Argument) -> nn.Module:
    """The module of `name` with fresh weights; see the module's docstring for the arguments.

    Raises UserError when the name or an argument is unknown or out of range.
    """
    found = entry(name)
    known = inspect.signature(found.builder).parameters
    for argument, value in arguments.items():
        if argument not in known:
            raise UserError(
                f'{name} has no argument "{argument}"; {nearest(argument, list(known))}'
            )
        _check(found, argument, value, known[argument].default)
    return found.builder(**arguments)


def _check(found: Entry, argument: str, value: Argument, default: Argument) -> None:
    """Refuse what cannot be built, before it asks for memory: arguments also come from files."""
    kind = type(default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UserError(
            f"{found.name}: {argument}={value!r} is not of type {kind.__name__}, as {default!r} is"
        )
    limits = {**_LIMITS, "image": (found.smallest_image, 1024)}
    if argument in limits and not isinstance(value, str):
        low, high = limits[argument]
        if not low <= value <= high:
            raise UserError(
                f"{found.name}: {argument}={value:g} is out of range; give {low:g} to {high:g}"
            )
