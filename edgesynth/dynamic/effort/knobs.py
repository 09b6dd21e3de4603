"""What is set on one layer; `edgesynth.operators.effort_spec` says what each knob means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesynth.operators.effort_spec import EXACT, OFF, PREDICTED

KNOBS = ("SPET", "SFMA", "SDSS", "effort", "threshold")
"""The paper's three, the number of channels that are added up, and inputs that count as zero."""
FOR_TIME_ALONE = ("threshold",)
"""Of these, what saves nothing but time: a machine that counts operations without skipping zeros
does not see it."""
NAMES = {OFF: "off", EXACT: "exact", PREDICTED: "predicted"}


@dataclass(frozen=True)
class Knobs:
    """Of one layer. As it is made, nothing is left out."""

    saturation: int = OFF
    prefix_channels: int = 0
    thresholds: tuple[float, ...] = (0.0,)
    """One, or one per filter."""
    similarity: float = -1.0
    sample_period: int = 1
    sample_below: float = 0.0
    sample_within: float = 0.0
    channels: int | None = None
    """That are added up, of each group; None for all. Level 1 of the run-time effort."""
    input_threshold: float = 0.0
    """Inputs of a smaller magnitude count as 0."""

    @property
    def off(self) -> bool:
        """True where everything is computed."""
        return not self.names

    @property
    def names(self) -> tuple[str, ...]:
        """The papers' names of those that are on."""
        on = {
            "SPET": self.saturation != OFF,
            "SFMA": self.similarity >= 0,
            "SDSS": self.sample_period > 1,
            "effort": self.channels is not None,
            "threshold": self.input_threshold > 0,
        }
        return tuple(name for name, value in on.items() if value)

    def attributes(self, channels: int) -> dict[str, Any]:
        """Those of EsEffortConv that the knobs decide, for `channels` in a group."""
        levels = [channels] + ([self.channels] if self.channels is not None else [])
        return {
            "level_channels": np.array(levels, np.int32),
            "saturation": self.saturation,
            "prefix_channels": self.prefix_channels,
            "prefix_thresholds": np.array(self.thresholds, np.float32),
            "similarity": self.similarity,
            "sample_period": self.sample_period,
            "sample_below": self.sample_below,
            "sample_within": self.sample_within,
            "input_threshold": self.input_threshold,
        }

    @property
    def level(self) -> int:
        """Of the run-time effort."""
        return int(self.channels is not None)

    def document(self) -> Mapping[str, Any]:
        """JSON data: the knobs that are on."""
        found: dict[str, Any] = {}
        if self.saturation != OFF:
            found["SPET"] = {
                "mode": NAMES[self.saturation],
                "prefix_channels": self.prefix_channels,
                "thresholds": list(self.thresholds) if self.saturation == PREDICTED else None,
            }
        if self.similarity >= 0:
            found["SFMA"] = {"similarity": self.similarity}
        if self.sample_period > 1:
            found["SDSS"] = {
                "period": self.sample_period,
                "below": self.sample_below,
                "within": self.sample_within,
            }
        if self.channels is not None:
            found["effort"] = {"channels": self.channels}
        if self.input_threshold > 0:
            found["threshold"] = {"below": self.input_threshold}
        return found


@dataclass
class Tally:
    """Operations of runs, added up; a multiply-accumulate, a comparison, an addition is one."""

    dense: int = 0
    products: int = 0
    """Multiply-accumulates of a machine that decides output by output."""
    checks: int = 0
    nonzero: int = 0
    """Of the products, those whose input is not zero."""
    inputs: int = 0
    """Numbers that a machine which skips zeros looks at, once each."""
    executed: int = 0
    """Multiply-accumulates by vectors, as the compiled operator does them."""
    work: int = 0
    """What the compiled operator does, see `work.work_of`."""
    filled: int = 0
    predicted: int = 0

    def add(self, other: Tally) -> None:
        """Add `other` up."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    @property
    def operations(self) -> int:
        """All that were done, deciding included."""
        return self.products + self.checks

    @property
    def with_zeros_skipped(self) -> int:
        """The same of a machine that also looks for zeros, looking included."""
        return self.nonzero + self.checks + self.inputs


def as_tuple(values: npt.NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """Numbers as a hashable tuple."""
    return tuple(float(value) for value in values)
