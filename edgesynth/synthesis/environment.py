"""The environmental factor: how much of a parent its offspring may keep."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgesynth.core.errors import UserError

_PATTERN = re.compile(r"(?:(?P<kind>synapses)=)?(?P<value>0?\.[0-9]+|1(?:\.0*)?)")


@dataclass(frozen=True)
class Environment:
    """`factor`: the papers' scalar F on every survival probability. `budget`: the share of live
    synapses that one synthesis keeps on average."""

    kind: str
    value: float

    @property
    def text(self) -> str:
        """As the user writes it."""
        return f"{self.value:g}" if self.kind == "factor" else f"synapses={self.value:g}"


def parse_environment(text: str) -> Environment:
    """Read `0.7` (the papers' factor F) or `synapses=0.5` (a budget per generation).

    Raises UserError when the text is neither.
    """
    match = _PATTERN.fullmatch(text.strip())
    value = float(match["value"]) if match else 0.0
    if match is None or value <= 0:
        raise UserError(
            f'environment "{text}" is neither a factor such as 0.7 nor a budget such as '
            "synapses=0.5 (a share above 0 and up to 1)"
        )
    return Environment("budget" if match["kind"] else "factor", value)
