"""Fit the energy model of each board on its rows with published power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rows import POWER_SCOPES, Row, read_table
from scipy.optimize import least_squares

from edgesynth.hardware.energy import energy_mj
from edgesynth.hardware.fitted import BoardEnergy
from edgesynth.hardware.roofline import Array

SCATTER = 0.07
"""Of one board's plateau power over runs, and of what six coefficients cannot tell apart."""

#: Likely values and spreads as in `latency.py`. Picojoules: tens per MAC at 16 to 20 nm, about a
#: hundred per byte of LPDDR4 (Horowitz, ISSCC 2014, scaled).
_NAMES = ("static_w", "active_w", "clock_exponent", "fp32", "fp16", "pj_per_byte")
_MEAN = np.log([2.5, 4.0, 1.0, 15.0, 8.0, 100.0])
_SPREAD = np.array([0.5, 0.7, 0.5, 0.7, 0.7, 0.7])


def fit_energy(rows: Sequence[Row]) -> BoardEnergy:
    """The coefficients of one board from its `rows`, at their published latencies."""
    published = np.log([row.energy_mj for row in rows])
    fastest = max(mode.gpu_clock.value for mode in rows[0].board.power_modes)
    scope = POWER_SCOPES[rows[0].board.name]
    latencies = [row.latency_ms for row in rows]

    def residuals(vector: Array) -> Array:
        found = energies(rows, latencies, _coefficients(vector, fastest, scope))
        return np.concatenate([(np.log(found) - published) / SCATTER, (vector - _MEAN) / _SPREAD])

    best = least_squares(residuals, _MEAN, x_scale=_SPREAD).x
    return _coefficients(best, fastest, scope)


def energies(rows: Sequence[Row], latencies: Sequence[float], board: BoardEnergy) -> Array:
    """Millijoules per sample of every row if its batch takes `latencies` milliseconds."""
    return np.array(
        [_energy(row, ms, board) / row.batch for row, ms in zip(rows, latencies, strict=True)]
    )


def _energy(row: Row, latency_ms: float, board: BoardEnergy) -> float:
    layers = read_table(row.network)
    macs = sum(layer.macs for layer in layers) * row.batch
    moved = sum(layer.bytes(row.precision, row.batch) for layer in layers)
    return energy_mj(board, row.precision, row.mode.gpu_clock.value, latency_ms, macs, moved)


def _coefficients(vector: Array, fastest_mhz: float, scope: str) -> BoardEnergy:
    value = dict(zip(_NAMES, np.exp(vector).tolist(), strict=True))
    return BoardEnergy(
        static_w=value["static_w"],
        active_w=value["active_w"],
        clock_exponent=value["clock_exponent"],
        pj_per_mac={"fp32": value["fp32"], "fp16": value["fp16"]},
        pj_per_byte=value["pj_per_byte"],
        reference_mhz=fastest_mhz,
        scope=scope,
    )
