"""From values to places on an axis, linear or logarithmic, and the ticks between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

_SMALLEST = 1e-100
"""Below it (and above its inverse) the air around a logarithmic axis would leave the floats."""


class Scale(Protocol):
    """One axis: where a value lies, and which values deserve a tick."""

    def position(self, value: float) -> float:
        """0 at the low end of the axis, 1 at the high end."""
        ...

    def holds(self, value: float) -> bool:
        """True when `value` lies between the ends of the axis."""
        ...

    def ticks(self, most: int) -> list[float]:
        """Round values on the axis, ascending, at most `most`."""
        ...


@dataclass(frozen=True)
class Linear:
    """Equal steps for equal differences; `low` < `high`."""

    low: float
    high: float

    def position(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, most: int) -> list[float]:
        return _even_ticks(self.low, self.high, most)


@dataclass(frozen=True)
class WholeNumbers(Linear):
    """A linear scale of things that are counted one by one, such as generations."""

    def ticks(self, most: int) -> list[float]:
        return [tick for tick in super().ticks(most) if tick == round(tick)]


@dataclass(frozen=True)
class Log:
    """Equal steps for equal ratios; 0 < `low` < `high`."""

    low: float
    high: float

    def position(self, value: float) -> float:
        low = math.log(self.low)
        return (math.log(value) - low) / (math.log(self.high) - low)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, most: int) -> list[float]:
        return _log_ticks(self.low, self.high, most)


def linear(
    values: Iterable[float], *, floor: float = -math.inf, ceiling: float = math.inf
) -> Scale:
    """A linear scale around `values` with some air, never past `floor` and `ceiling`."""
    low, high = _ends(values)
    air, size = (high - low) * 0.06, max(abs(low), abs(high))
    if size < _SMALLEST:  # all of it is zero
        air = 1e-9
    elif air <= 1e-9 * size:  # alike as far as ticks can tell
        air = size * 0.1
    return Linear(max(low - air, floor), min(high + air, ceiling))


def logarithmic(values: Iterable[float]) -> Scale:
    """A logarithmic scale around `values`; linear when one of them has no sensible logarithm."""
    kept = list(values)
    low, high = _ends(kept)
    if low < _SMALLEST or high > 1 / _SMALLEST:
        return linear(kept)
    air = (high / low) ** 0.07 if high / low > 1.001 else 1.25
    return Log(low / air, high * air)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    kept = list(values)
    return (min(kept), max(kept)) if kept else (0.0, 1.0)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten; the smallest such step that fits."""
    exponent = math.floor(math.log10((high - low) / max(most, 1)))
    for power in range(exponent, exponent + 3):
        for digit in (1, 2, 5):
            first = math.ceil(_divided(low, digit, power) - 1e-9)
            last = math.floor(_divided(high, digit, power) + 1e-9)
            if last - first + 1 <= most:
                return [_multiplied(index * digit, power) for index in range(first, last + 1)]
    return []


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """1-2-5 per decade, thinned to 1-3 and whole decades; even ticks inside one decade."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        every = [_multiplied(d, power) for power in range(first, last + 1) for d in digits]
        inside = [tick for tick in every if low <= tick <= high]
        if 3 <= len(inside) <= most:
            return inside
    if last - first > most:
        stride = math.ceil((last - first + 1) / most)
        powers = range(math.ceil(first / stride) * stride, last + 1, stride)
        decades = [_multiplied(1, power) for power in powers]
        return [tick for tick in decades if low <= tick <= high]
    return _even_ticks(low, high, most)


def _divided(value: float, digit: int, power: int) -> float:
    return value / digit * 10.0**-power if power < 0 else value / (digit * 10.0**power)


def _multiplied(multiple: int, power: int) -> float:
    """`multiple` times ten to the `power`, as the decimal number that a person would write."""
    return float(f"{multiple}e{power}")
