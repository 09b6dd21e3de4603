"""Formats of weights, which layer has which, and what they cost to store: no torch.

Synaptic precision restriction (arXiv:1707.00095): the weights that synthesis may use are those of
a grid. A grid belongs to one layer; integer grids have one scale per output channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgesynth.core.errors import UserError, nearest

FULL = "fp32"
ACTIVATION_BITS = 8
"""The one width of quantized activations: engines multiply 8-bit integers, and no narrower ones."""
SCALE_BYTES = 4
"""A scale is float32."""


@dataclass(frozen=True)
class Format:
    """One kind of weights."""

    name: str
    bits: int
    """Of one stored weight."""
    top: int | None = None
    """The largest code of an integer format, whose codes are -top..top; None for a float format."""

    @property
    def is_integer(self) -> bool:
        """True where a weight is an integer code times the scale of its output channel."""
        return self.top is not None


FORMATS = {
    each.name: each
    for each in (
        Format("fp32", 32),
        Format("fp16", 16),
        Format("int8", 8, 127),
        Format("int4", 4, 7),
        Format("int3", 3, 3),
        Format("int2", 2, 1),
        Format("ternary", 2, 1),
    )
}
"""`int2` scales by the strongest weight, `ternary` by the rule of ternary weight networks (TWN,
arXiv:1605.04711); both have the codes -1, 0, 1."""


def format_named(name: str) -> Format:
    """The format called `name`; raises UserError with the nearest name."""
    if name not in FORMATS:
        raise UserError(f'no weight format "{name}"; {nearest(name, list(FORMATS))}')
    return FORMATS[name]


@dataclass(frozen=True)
class PrecisionPolicy:
    """What one training restricts."""

    weights: Format = FORMATS[FULL]
    keep: tuple[str, ...] = ()
    """Layers whose weights stay float32."""
    activation_bits: int | None = None
    """Of the inputs of all layers but those in `keep`; None leaves them float."""
    by_layer: tuple[tuple[str, str], ...] = ()
    """(layer, format) where single layers have formats of their own instead of `weights`."""


FULL_PRECISION = PrecisionPolicy()
"""Restricts nothing."""


@dataclass(frozen=True)
class PrecisionSchedule:
    """The format of each generation."""

    formats: tuple[Format, ...] = (FORMATS[FULL],)
    """One: of all generations that are synthesized. Several: from generation 1, the ancestor, on;
    the last one repeats."""
    keep: tuple[str, ...] = ()
    activation_bits: int | None = None
    """For the generations with integer weights."""

    @property
    def text(self) -> str:
        """As the user writes it."""
        return ",".join(each.name for each in self.formats)

    def policy(self, generation: int) -> PrecisionPolicy:
        """What holds for the offspring of `generation`, counted from 1, the ancestor."""
        weights = self.formats[min(generation, len(self.formats)) - 1]
        bits = self.activation_bits if weights.is_integer else None
        return PrecisionPolicy(weights, self.keep, bits)

    def document(self) -> dict[str, object]:
        """The schedule as JSON data."""
        return {
            "weights": [each.name for each in self.formats],
            "keep": list(self.keep),
            "activation_bits": self.activation_bits,
        }


UNRESTRICTED = PrecisionSchedule()
"""Float32 throughout."""


def parse_precision(
    text: str, *, keep: Iterable[str] = (), activation_bits: int | None = None
) -> PrecisionSchedule:
    """Read `int4`, or one format per generation such as `fp32,fp16,int8,int4`.

    Raises UserError naming the format that is unknown or the width that no engine multiplies.
    """
    if activation_bits not in (None, ACTIVATION_BITS):
        raise UserError(
            f"activations of {activation_bits} bits run on no engine; use {ACTIVATION_BITS}"
        )
    formats = tuple(format_named(name.strip()) for name in text.split(","))
    if activation_bits and not any(each.is_integer for each in formats):
        raise UserError(
            f"an engine multiplies 8-bit activations by integer weights only, not by {text}; "
            "add --precision int8"
        )
    return PrecisionSchedule(formats, tuple(keep), activation_bits)


@dataclass(frozen=True)
class LayerStorage:
    """What the weights of one layer cost to store, biases and normalization left out."""

    layer: str
    format: Format
    rows: int
    """Output channels."""
    columns: int
    """Weights of one output channel, dead ones included."""
    live: int
    """Weights that are not culled."""
    zeros: int = 0
    """Live weights that the format has rounded to zero; they are stored all the same."""

    @property
    def weight_bytes(self) -> int:
        """Of the live weights alone: no index, no scales."""
        return _bytes(self.live * self.format.bits)

    @property
    def scale_bytes(self) -> int:
        """Of the scales, one per output channel."""
        return self.rows * SCALE_BYTES if self.format.is_integer else 0

    @property
    def index(self) -> str:
        """How it is cheapest to say which weights live; see `with_index`."""
        costs = self.with_index()
        return min(costs, key=lambda name: costs[name])

    @property
    def bytes_with_index(self) -> int:
        """Of weights, index and scales, with the cheapest index."""
        return self.with_index()[self.index] + self.scale_bytes

    def with_index(self) -> dict[str, int]:
        """Bytes of weights and index by kind of index.

        `dense` stores dead weights as zeros and needs none; `bitmask` has one bit per weight; `csr`
        has a column for every live weight, of as many whole bytes as the longest row needs, and a
        32-bit start for every row and one past the last.
        """
        column_bytes = (max(self.columns - 1, 1).bit_length() + 7) // 8
        return {
            "dense": _bytes(self.rows * self.columns * self.format.bits),
            "bitmask": self.weight_bytes + _bytes(self.rows * self.columns),
            "csr": self.weight_bytes + self.live * column_bytes + 4 * (self.rows + 1),
        }

    def document(self) -> dict[str, object]:
        """The layer as JSON data."""
        return {
            "layer": self.layer,
            "format": self.format.name,
            "weights": self.rows * self.columns,
            "live": self.live,
            "zeros": self.zeros,
            "weight_bytes": self.weight_bytes,
            "scale_bytes": self.scale_bytes,
            "index": self.index,
            "bytes_with_index": self.bytes_with_index,
        }


@dataclass(frozen=True)
class Storage:
    """What the weights of a network cost to store."""

    layers: tuple[LayerStorage, ...]

    @property
    def weight_bytes(self) -> int:
        """Of the live weights alone."""
        return sum(each.weight_bytes for each in self.layers)

    @property
    def bytes_with_index(self) -> int:
        """Of weights, index and scales."""
        return sum(each.bytes_with_index for each in self.layers)

    @property
    def zeros(self) -> int:
        """Live weights that precision has rounded to zero."""
        return sum(each.zeros for each in self.layers)

    @property
    def precision(self) -> str:
        """The format that most live weights have."""
        live: dict[str, int] = {}
        for each in self.layers:
            live[each.format.name] = live.get(each.format.name, 0) + each.live
        return max(live, key=lambda name: live[name]) if live else FULL


def _bytes(bits: int) -> int:
    return (bits + 7) // 8
