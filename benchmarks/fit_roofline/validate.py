"""How far predictions are off: on the rows of the fit, and on groups of rows held out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from latency import fit_of, predict_rows
from power import energies, fit_energy
from rows import Row

from edgesynth.hardware.fitted import BoardEnergy, BoardError, Coefficients, Error
from edgesynth.hardware.roofline import Array

Mask = npt.NDArray[np.bool_]

#: What is held out together: always on all boards, in all precisions and power modes.
GROUPS: dict[str, Callable[[Row], str]] = {
    "network": lambda row: row.design,
    "family": lambda row: row.family,
}


@dataclass(frozen=True)
class Predictions:
    """What each of `rows` is predicted to be, by a fit with it and by fits without its group."""

    rows: Sequence[Row]
    published: Array
    fitted: Array
    held_out: dict[str, Array]
    """By the name of what was held out, see `GROUPS`."""


def validate_latency(rows: Sequence[Row]) -> tuple[Coefficients, Predictions]:
    """Coefficients from all `rows`, and every row predicted with and without its group."""
    free = fit_of(rows)
    best = free.fit(rows)

    def without(left_out: Mask) -> Array:
        vector = free.fit(_pick(rows, ~left_out), start=best)
        return predict_rows(_pick(rows, left_out), free.coefficients(vector))

    coefficients = free.coefficients(best)
    return coefficients, Predictions(
        rows=rows,
        published=np.array([row.latency_ms for row in rows]),
        fitted=predict_rows(rows, coefficients),
        held_out={name: _in_turn(rows, key, without) for name, key in GROUPS.items()},
    )


def validate_energy(
    rows: Sequence[Row], fitted_ms: Array, held_out_ms: dict[str, Array]
) -> tuple[BoardEnergy, Predictions]:
    """The same for the energies of one board, from given latencies of its `rows`.

    With latencies from fits without a group, that group is held out of both models.
    """
    board = fit_energy(rows)

    def predictions(name: str) -> Array:
        latencies = held_out_ms[name]

        def without(left_out: Mask) -> Array:
            kept = fit_energy(_pick(rows, ~left_out))
            return energies(_pick(rows, left_out), latencies[left_out], kept)

        return _in_turn(rows, GROUPS[name], without)

    return board, Predictions(
        rows=rows,
        published=np.array([row.energy_mj for row in rows]),
        fitted=energies(rows, fitted_ms, board),
        held_out={name: predictions(name) for name in GROUPS},
    )


def boards_held_out(rows: Sequence[Row]) -> list[BoardError]:
    """Errors on boards whose architecture is known from another board only."""
    found = []
    for name in sorted({row.board.name for row in rows}):
        left_out = np.array([row.board.name == name for row in rows])
        kept = _pick(rows, ~left_out)
        architecture = _pick(rows, left_out)[0].board.sm
        others = {row.board.name for row in kept if row.board.sm == architecture}
        if not others:
            continue
        free = fit_of(kept)
        tested = _pick(rows, left_out)
        predicted = predict_rows(tested, free.coefficients(free.fit(kept)))
        for precision in sorted({row.precision for row in tested}):
            chosen = np.array([row.precision == precision for row in tested])
            published = np.array([row.latency_ms for row in tested])
            off = np.abs(predicted / published - 1)[chosen]
            found.append(
                BoardError(
                    board=name,
                    architecture=architecture,
                    precision=precision,
                    known_from=tuple(sorted(others)),
                    rows=int(chosen.sum()),
                    percent=round(100 * float(off.mean()), 1),
                )
            )
    return found


def errors_of(predictions: Predictions, *, architectures: bool) -> list[Error]:
    """By board, precision and source; by board; and with `architectures` by architecture."""
    rows = predictions.rows
    keys = {(r.board.name, r.precision, r.source) for r in rows}
    keys |= {(r.board.name, r.precision, "all") for r in rows}
    if architectures:
        keys |= {(r.board.sm, r.precision, "all") for r in rows}
    ordered = sorted(keys, key=lambda k: (k[0].startswith("sm_"), *k[:2], k[2] == "all", k[2]))
    return [_error(predictions, *key) for key in ordered]


def _error(predictions: Predictions, board: str, precision: str, source: str) -> Error:
    rows = predictions.rows
    chosen = np.array(
        [
            board in (r.board.name, r.board.sm)
            and r.precision == precision
            and source in ("all", r.source)
            for r in rows
        ]
    )

    def percent(found: Array) -> float:
        off = found[chosen] / predictions.published[chosen] - 1
        return round(100 * float(np.abs(off).mean()), 1)

    return Error(
        board=board,
        precision=precision,
        source=source,
        rows=int(chosen.sum()),
        networks=len({row.design for row in _pick(rows, chosen)}),
        fitted_percent=percent(predictions.fitted),
        network_held_out_percent=percent(predictions.held_out["network"]),
        family_held_out_percent=percent(predictions.held_out["family"]),
    )


def compare_frameworks(rows: Sequence[Row], coefficients: Coefficients) -> list[dict[str, Any]]:
    """How rows of other frameworks compare with predictions, which are for TensorRT.

    `factor` is their common slowness (geometric mean), `percent` the mean error after it.
    """
    found = []
    for key in sorted({(r.framework, r.precision, r.mode.name) for r in rows}):
        chosen = [r for r in rows if (r.framework, r.precision, r.mode.name) == key]
        ratio = np.array([r.latency_ms for r in chosen]) / predict_rows(chosen, coefficients)
        factor = float(np.exp(np.log(ratio).mean()))
        found.append(
            {
                **dict(zip(("framework", "precision", "power_mode"), key, strict=True)),
                "rows": len(chosen),
                "factor": round(factor, 2),
                "percent": round(100 * float(np.abs(factor / ratio - 1).mean()), 1),
            }
        )
    return found


def _in_turn(
    rows: Sequence[Row], key: Callable[[Row], str], without: Callable[[Mask], Array]
) -> Array:
    """Each row as predicted by a fit without the rows that share its key."""
    found = np.zeros(len(rows))
    for group in sorted({key(row) for row in rows}):
        left_out = np.array([key(row) == group for row in rows])
        found[left_out] = without(left_out)
    return found


def _pick(rows: Sequence[Row], mask: Mask) -> list[Row]:
    return [row for row, chosen in zip(rows, mask, strict=True) if chosen]
