"""Fit the roofline's coefficients on rows, and predict rows with them.

All coefficients are positive, so their logarithms are fitted, with priors (the textbook's or a
neutral value, and how far from it a coefficient may reasonably lie). The loss is the square of the
logarithm of predicted over published latency. Rows that differ only in batch or power mode share
one weight, or the source with the most batches would decide everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from rows import Row, read_table
from scipy.optimize import least_squares

from edgesynth.hardware.fitted import Coefficients, Core, Family
from edgesynth.hardware.roofline import (
    Array,
    Columns,
    Hardware,
    columns_of,
    hardware_of,
    layer_seconds,
)

SCATTER = 0.08
"""Independent sources agree within 5 to 10 % on the same network and board."""
REFERENCE = "sm_53"
"""The architecture whose speed is 1 by definition."""


@dataclass(frozen=True)
class Prior:
    """A coefficient's likely value, and the factor by which it may differ (one sigma, as log)."""

    value: float
    spread: float


_CORE = {
    "conv": Prior(0.6, 0.5),
    "conv_1x1": Prior(0.6, 0.5),
    "winograd": Prior(1.2, 0.5),
    "extra_rows_per_sm": Prior(8, 1.0),
    "extra_columns": Prior(8, 1.0),
    "extra_depth": Prior(64, 1.0),
}
_FAMILY = {"bandwidth": Prior(0.7, 0.3), "speed": Prior(1, 0.2)}
_COMMON = {
    "depthwise": Prior(0.05, 1.0),
    "half": Prior(1, 0.2),
    "streaming": Prior(1, 0.5),
    "normalization": Prior(0.4, 0.7),
}
_LAUNCH = {"cuda": Prior(20_000, 0.7), "tensor": Prior(5_000, 0.7)}


class LatencyFit:
    """The free coefficients for some architectures, as a vector of logarithms."""

    def __init__(self, families: Sequence[str], tensor: Sequence[str]) -> None:
        self.families = tuple(families)
        priors = {f"cuda.{n}": p for n, p in _CORE.items()}
        priors |= {f"tensor.{n}": p for n, p in _CORE.items()} | _COMMON
        for name in families:
            priors |= {f"{name}.{n}": p for n, p in _FAMILY.items()}
            priors[f"{name}.launch_clocks"] = _LAUNCH["tensor" if name in tensor else "cuda"]
        del priors[f"{REFERENCE}.speed"]
        self.names = tuple(priors)
        self.mean = np.log([p.value for p in priors.values()])
        self.spread = np.array([p.spread for p in priors.values()])

    def coefficients(self, vector: Array) -> Coefficients:
        """The coefficients that `vector` stands for."""
        value = dict(zip(self.names, np.exp(vector).tolist(), strict=True))
        value[f"{REFERENCE}.speed"] = 1.0
        core = {c: Core(**{n: value[f"{c}.{n}"] for n in _CORE}) for c in ("cuda", "tensor")}
        families = {
            name: Family(**{n: value[f"{name}.{n}"] for n in (*_FAMILY, "launch_clocks")})
            for name in self.families
        }
        return Coefficients(**core, **{n: value[n] for n in _COMMON}, families=families)

    def fit(self, rows: Sequence[Row], start: Array | None = None) -> Array:
        """The vector that fits `rows` best, from `start` or the priors."""
        batch = _Stacked(rows)
        published = np.log([row.latency_ms for row in rows])
        weight = np.sqrt(_weights(rows)) / SCATTER

        def residuals(vector: Array) -> Array:
            off = np.log(batch.predict(self.coefficients(vector))) - published
            return np.concatenate([off * weight, (vector - self.mean) / self.spread])

        first = self.mean if start is None else start
        return least_squares(residuals, first, x_scale=self.spread, ftol=1e-5, xtol=1e-5).x


def predict_rows(rows: Sequence[Row], coefficients: Coefficients) -> Array:
    """Latency of every row in milliseconds."""
    return _Stacked(rows).predict(coefficients)


def fit_of(rows: Sequence[Row]) -> LatencyFit:
    """The free coefficients that `rows` call for."""
    tensor = {row.board.sm for row in rows if row.board.gpu.fp16_tensor_rate}
    return LatencyFit(sorted({row.board.sm for row in rows}), sorted(tensor))


@dataclass(frozen=True)
class _Attained:
    speed: Array
    bandwidth: Array
    launch_clocks: Array


class _Stacked:
    """The layers of many rows as one table, so that one call of the model predicts all of them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        tables = [columns_of(read_table(row.network)) for row in rows]
        counts = [len(table.rows) for table in tables]
        self.first = np.cumsum([0, *counts[:-1]])
        row_of_layer = np.repeat(np.arange(len(rows)), counts)
        self.layers = Columns(
            **{
                f.name: np.concatenate([getattr(t, f.name) for t in tables])
                for f in fields(Columns)
            }
        )
        boards = [hardware_of(row.board, row.mode, row.precision) for row in rows]
        self.hardware = Hardware(
            **{
                f.name: np.array([getattr(b, f.name) for b in boards])[row_of_layer]
                for f in fields(Hardware)
            }
        )
        self.batch = np.array([float(row.batch) for row in rows])[row_of_layer]
        self.architectures = sorted({row.board.sm for row in rows})
        index = [self.architectures.index(row.board.sm) for row in rows]
        self.architecture = np.array(index)[row_of_layer]

    def predict(self, coefficients: Coefficients) -> Array:
        """Milliseconds for each row."""
        families = [coefficients.families[name] for name in self.architectures]
        attained = _Attained(
            **{
                f.name: np.array([getattr(g, f.name) for g in families])[self.architecture]
                for f in fields(_Attained)
            }
        )
        compute, memory, launch = layer_seconds(
            self.layers, self.batch, self.hardware, attained, coefficients
        )
        return np.add.reduceat(np.maximum(compute, memory) + launch, self.first) * 1e3


def _weights(rows: Sequence[Row]) -> Array:
    def key(row: Row) -> tuple[str, ...]:
        return row.source, row.board.name, row.network, row.precision

    counts = Counter(map(key, rows))
    return np.array([1 / counts[key(row)] for row in rows])
