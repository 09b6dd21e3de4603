"""Numbers as an engineer reads them: three digits that count, the unit beside them.

Every function takes the stored unit (counts, bytes, milliseconds, millijoules, fractions) and
returns text; nothing here changes what a record says. Spaces before units do not break.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_SPACE = "\u00a0"
_MINUS = "\u2212"

_Steps = Sequence[tuple[float, str]]
_COUNT: _Steps = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BYTES: _Steps = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_MILLISECONDS: _Steps = ((1e3, "s"), (1.0, "ms"), (1e-3, "µs"))
_MILLIJOULES: _Steps = ((1e3, "J"), (1.0, "mJ"), (1e-3, "µJ"))


def plain(value: float, digits: int = 3) -> str:
    """`value` rounded to `digits` significant digits, without exponent or trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{abs(value):.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return (_MINUS if value < 0 and text != "0" else "") + text


def count(value: float) -> str:
    """Parameters, MACs and other counts: 43080 -> `43.1 k`."""
    return _with_unit(value, _COUNT)


def size(value_bytes: float) -> str:
    """Bytes in powers of 1000, as requirements are written: 172320 -> `172 kB`."""
    return _with_unit(value_bytes, _BYTES)


def milliseconds(value_ms: float) -> str:
    """Latency: 3.4 -> `3.4 ms`, 0.043 -> `43 µs`."""
    return _with_unit(value_ms, _MILLISECONDS)


def millijoules(value_mj: float) -> str:
    """Energy: 12.3 -> `12.3 mJ`, 1500 -> `1.5 J`."""
    return _with_unit(value_mj, _MILLIJOULES)


def percent(fraction: float, decimals: int = 2) -> str:
    """A fraction as per cent: 0.9052 -> `90.52 %`."""
    return f"{fraction * 100:.{decimals}f}{_SPACE}%".replace("-", _MINUS)


def points(fraction_difference: float) -> str:
    """A difference of two accuracies in percentage points: -0.0031 -> `−0.31 pt`."""
    text = f"{abs(fraction_difference) * 100:.2f}"
    sign = "" if text == "0.00" else _MINUS if fraction_difference < 0 else "+"
    return f"{sign}{text}{_SPACE}pt"


def error(value_percent: float | None) -> str:
    """A mean absolute error: 12.4 -> `± 12 %`; `± ?` where nobody knows it."""
    return f"±{_SPACE}?" if value_percent is None else f"±{_SPACE}{value_percent:.0f}{_SPACE}%"


def factor(value: float) -> str:
    """A ratio with three digits that count, zeros kept: 10 -> `10.0×`."""
    if value >= 9999.5:
        return f"{count(value)}×"
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 2
    return f"{value:.{min(decimals, 2)}f}×"


def change(before: float, after: float, less: str = "fewer", more: str = "more") -> str:
    """How `after` compares with `before`: (431080, 43108) -> `10.0× fewer`; empty at zero."""
    if before <= 0 or after <= 0:
        return ""
    ratio = max(before, after) / min(before, after)
    if ratio < 1.005:
        return "same"
    return f"{factor(ratio)} {less if after < before else more}"


def decimals_for(value: float, digits: int = 3) -> int:
    """How many decimals show `digits` significant digits of `value`, four at most."""
    if value == 0:
        return 0
    return min(max(0, digits - 1 - math.floor(math.log10(abs(value)))), 4)


def column(values: Sequence[float | None], decimals: int) -> list[str]:
    """Cells of one table column with the same decimals, so that the points stand in line.

    Absent values are an en dash.
    """
    return ["–" if v is None else f"{v:,.{decimals}f}".replace("-", _MINUS) for v in values]


def _with_unit(value: float, steps: _Steps) -> str:
    """The step is chosen after rounding: 999.6 k reads as 1 M."""
    one = next(pair for pair in steps if pair[0] == 1.0)
    smallest = one if value == 0 else steps[-1]
    step, unit = next((pair for pair in steps if abs(value) / pair[0] >= 0.9995), smallest)
    number = plain(value / step)
    return f"{number}{_SPACE}{unit}" if unit else number
