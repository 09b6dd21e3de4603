"""Operational requirements, the papers' indicator 1_r(N), written the same everywhere.

`accuracy>=0.905`, `accuracy_loss<=0.5` (points lost against the parent), `params<=43k`,
`macs<=1.2M`, `size<=200kB`, `latency_p95<=15ms@tx2`, `energy<=60mJ@tx2`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgesynth.core.errors import UserError, nearest, shown

_COUNT = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_TIME_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_ENERGY_MJ = {"uJ": 1e-3, "mJ": 1.0, "J": 1e3}
_SIZE_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20}
_FRACTION = {"": 1.0, "%": 0.01}

#: metric -> (key in a set of measurements, units and their factor to that key's unit)
METRICS: dict[str, tuple[str, dict[str, float]]] = {
    "accuracy": ("accuracy", _FRACTION),
    "accuracy_loss": ("accuracy_loss_points", {"": 1.0, "pt": 1.0}),
    "params": ("params", _COUNT),
    "synapses": ("synapses", _COUNT),
    "clusters": ("clusters", _COUNT),
    "macs": ("macs", _COUNT),
    "size": ("size_bytes", _SIZE_BYTES),
    "latency": ("latency_p50_ms", _TIME_MS),
    "latency_mean": ("latency_mean_ms", _TIME_MS),
    "latency_p50": ("latency_p50_ms", _TIME_MS),
    "latency_p90": ("latency_p90_ms", _TIME_MS),
    "latency_p95": ("latency_p95_ms", _TIME_MS),
    "latency_p99": ("latency_p99_ms", _TIME_MS),
    "throughput": ("throughput_per_s", {"": 1.0, "/s": 1.0, "ips": 1.0, "fps": 1.0}),
    "energy": ("energy_mj", _ENERGY_MJ),
    "inferences_per_joule": ("inferences_per_joule", _COUNT),
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_PATTERN = re.compile(
    r"\s*(?P<metric>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<relation>>=|<=|>|<)\s*"
    r"(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*"
    r"(?P<unit>[A-Za-z%/]*)\s*(?:@\s*(?P<device>[A-Za-z0-9._-]+))?\s*"
)


@dataclass(frozen=True)
class Verdict:
    """A requirement beside what was found; `holds` is None where nothing was found."""

    requirement: Requirement
    value: float | None

    @property
    def holds(self) -> bool | None:
        if self.value is None:
            return None
        return _COMPARE[self.requirement.relation](self.value, self.requirement.limit)

    def document(self) -> dict[str, object]:
        """The verdict as JSON data; `limit` and `value` are in the unit that `key` names."""
        r = self.requirement
        return {
            "requirement": r.text,
            "key": r.key,
            "limit": r.limit,
            "value": self.value,
            "holds": self.holds,
        }


@dataclass(frozen=True)
class Requirement:
    """One bound on one metric. `limit` is in the unit that `key` names."""

    text: str
    metric: str
    relation: str
    limit: float
    device: str | None

    @property
    def key(self) -> str:
        """Name of the measurement that this bounds, e.g. `latency_p95_ms`."""
        return METRICS[self.metric][0]

    def judge(self, measurements: Mapping[str, float | None]) -> Verdict:
        """Compare with `measurements`, a map from keys (see `METRICS`) to values."""
        return Verdict(self, measurements.get(self.key))


def parse_requirement(text: str) -> Requirement:
    """Read one requirement.

    Raises UserError naming the part that is wrong and the nearest valid name.
    """
    match = _PATTERN.fullmatch(text)
    start = f'requirement "{shown(text)}"'
    if match is None:
        raise UserError(
            f"{start} is not METRIC RELATION NUMBER[UNIT][@DEVICE]; "
            'write for example "macs<=1.2M" or "latency_p95<=15ms@tx2"'
        )
    metric, unit = match["metric"], match["unit"]
    if metric not in METRICS:
        hint = nearest(metric, sorted(METRICS))
        raise UserError(f'{start}: no metric "{shown(metric)}"; {hint}')
    units = METRICS[metric][1]
    if unit not in units:
        written = ", ".join(u or "(none)" for u in units)
        raise UserError(f'{start}: {metric} takes the units {written}, not "{shown(unit)}"')
    limit = float(match["number"]) * units[unit]
    if math.isinf(limit):
        raise UserError(f"{start}: the number {shown(match['number'])} is too large")
    return Requirement(text.strip(), metric, match["relation"], limit, match["device"])


def parse_requirements(texts: list[str] | tuple[str, ...]) -> tuple[Requirement, ...]:
    """Read several requirements; see `parse_requirement`."""
    return tuple(parse_requirement(text) for text in texts)
