"""A record with types: what the page may rely on after the file was read and checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from edgesynth.core.metric import ACCURACY

Positive = Annotated[float, msgspec.Meta(ge=1e-12, le=1e15)]
"""Milliseconds, millijoules, inferences per second: what is beyond these ends is a mistake."""
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=2.0**64)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BundleName(msgspec.Struct, frozen=True):
    """Which bundle the record is about; `id` is the SHA-256 of its manifest."""

    name: str
    id: str | None = None


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds per inference call; a prediction knows only the mean."""

    mean: Positive
    p50: Positive | None = None
    p90: Positive | None = None
    p95: Positive | None = None
    p99: Positive | None = None
    min: Positive | None = None
    max: Positive | None = None
    n: int | None = None

    @property
    def typical(self) -> float:
        """The median where it was measured, else the predicted mean."""
        return self.mean if self.p50 is None else self.p50

    def quantiles(self) -> list[tuple[float, float]]:
        """The known (fraction, milliseconds) pairs, ascending."""
        known = (
            (0.0, self.min),
            (0.5, self.p50),
            (0.9, self.p90),
            (0.95, self.p95),
            (0.99, self.p99),
            (1.0, self.max),
        )
        return [(share, value) for share, value in known if value is not None]


class Energy(msgspec.Struct, frozen=True):
    """Millijoules per inference, or the reason why there are none."""

    gross_mj: Positive | None = None
    net_mj: NotNegative | None = None
    rail: str | None = None
    not_measured: str | None = None
    not_predicted: str | None = None


class Difficulties(msgspec.Struct, frozen=True):
    """KITTI's average precision by difficulty, means over the classes."""

    easy: Fraction | None = None
    moderate: Fraction | None = None
    hard: Fraction | None = None


class Accuracy(msgspec.Struct, frozen=True):
    """A fraction on `n` samples of a split, or the reason why there is none."""

    value: Fraction | None = None
    metric: str = ACCURACY
    n: int | None = None
    data: str | None = None
    split: str | None = None
    not_measured: str | None = None
    kitti: Difficulties | None = None


class Cost(msgspec.Struct, frozen=True):
    """What one inference needs, whatever it runs on."""

    params: NotNegative | None = None
    macs: NotNegative | None = None
    size_bytes: NotNegative | None = None


class Verdict(msgspec.Struct, frozen=True):
    """A requirement beside what was found, as `core.requirement.Verdict.document` writes it."""

    requirement: str
    key: str
    limit: float
    value: float | None
    holds: bool | None
    reason: str = ""
    """Why it could not be judged."""


class Layer(msgspec.Struct, frozen=True):
    """One layer of a prediction."""

    name: str
    latency_ms: NotNegative
    kind: str = ""
    bound: str = ""
    macs: NotNegative | None = None


class Model(msgspec.Struct, frozen=True):
    """What a prediction rests on; the errors are mean absolute errors, None where nobody knows."""

    latency_error_percent: NotNegative | None = None
    latency_basis: str = ""
    latency_status: str = ""
    energy_error_percent: NotNegative | None = None
    energy_basis: str = ""
    energy_status: str = ""


class Exits(msgspec.Struct, frozen=True):
    """Where inputs left, by stage, as shares."""

    shares: dict[str, Fraction] = {}
    expected: dict[str, Fraction] | None = None
    counted_on: str = ""
    drift: dict[str, Any] | None = None


class Record(msgspec.Struct, frozen=True):
    """`edgesynth.record/1`; keys that the page does not show are left out."""

    kind: Literal["measured", "predicted"]
    bundle: BundleName
    device: dict[str, Any]
    backend: str
    precision: str
    latency_ms: Latency
    name: str = ""
    batch: int | None = None
    software: dict[str, Any] = {}
    throughput_per_s: Positive | None = None
    energy: Energy = Energy()
    accuracy: Accuracy = Accuracy()
    cost: Cost = Cost()
    requirements: list[Verdict] = []
    exits: Exits | None = None
    validity: list[str] = []
    raw: str | None = None
    measurement: dict[str, Any] = {}
    command: str = ""
    created: str = ""
    layers: list[Layer] = []
    model: Model = Model()
