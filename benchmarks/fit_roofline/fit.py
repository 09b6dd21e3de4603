"""Fit the latency and energy models on published measurements and print how far they are off.

Errors are given three times: on the rows that the coefficients were fitted to, on rows of a network
that was held out (on all boards, in both precisions and all power modes, never single rows), and
on rows of a network whose whole family was held out.

Command that made edgesynth/hardware/coefficients/ and benchmarks/results/fit_roofline*:

    OMP_NUM_THREADS=1 python benchmarks/fit_roofline/fit.py --write
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from report import text_of
from rows import Row, read_rows, read_table
from validate import (
    GROUPS,
    Predictions,
    boards_held_out,
    compare_frameworks,
    errors_of,
    validate_energy,
    validate_latency,
)

from edgesynth.hardware import fitted
from edgesynth.hardware.fitted import BoardEnergy, EnergyModel, LatencyModel
from edgesynth_rt.files import write_bytes

COMMAND = "OMP_NUM_THREADS=1 python benchmarks/fit_roofline/fit.py --write"
COEFFICIENTS = Path(fitted.__file__).with_name("coefficients")
RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Found:
    """Everything that one run of the fit finds out."""

    latency: LatencyModel
    energy: EnergyModel
    results: dict[str, Any]
    table: str
    """Every row with its predictions, as CSV."""


def main() -> None:
    """Fit, cross-validate, print, and with --write store coefficients and results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="Store coefficients and results.")
    options = parser.parse_args()
    found = run(read_rows())
    text = text_of(found.results)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        _write_json(COEFFICIENTS / "latency.json", found.latency)
        _write_json(COEFFICIENTS / "energy.json", found.energy)
        _write_json(RESULTS / "fit_roofline.json", found.results)
        write_bytes(RESULTS / "fit_roofline.txt", text.encode() + b"\n")
        write_bytes(RESULTS / "fit_roofline_rows.csv", found.table.encode())


def run(rows: Sequence[Row]) -> Found:
    """Fit and cross-validate both models on `rows`."""
    tensorrt = [row for row in rows if row.is_tensorrt]
    coefficients, latency = validate_latency(tensorrt)
    boards: dict[str, BoardEnergy] = {}
    energy, given = [], []
    for name in sorted({row.board.name for row in tensorrt if row.power_w is not None}):
        chosen = np.array([r.board.name == name and r.power_w is not None for r in tensorrt])
        board_rows = [row for row, inside in zip(tensorrt, chosen, strict=True) if inside]
        held_out = {group: figures[chosen] for group, figures in latency.held_out.items()}
        boards[name], found = validate_energy(board_rows, latency.fitted[chosen], held_out)
        published = latency.published[chosen]
        _, exact = validate_energy(board_rows, published, dict.fromkeys(GROUPS, published))
        energy.append(found)
        given.append(exact)
    latency_model = LatencyModel(
        schema=fitted.LATENCY_SCHEMA,
        command=COMMAND,
        smallest_macs=min(sum(layer.macs for layer in read_table(row.network)) for row in tensorrt),
        coefficients=_rounded(coefficients),
        errors=tuple(errors_of(latency, architectures=True)),
        boards_held_out=tuple(boards_held_out(tensorrt)),
    )
    energy_model = EnergyModel(
        schema=fitted.ENERGY_SCHEMA,
        command=COMMAND,
        boards={name: _rounded(board) for name, board in boards.items()},
        errors=tuple(e for one in energy for e in errors_of(one, architectures=False)),
    )
    results = {
        "schema": "edgesynth.fit-roofline/1",
        "command": COMMAND,
        "latency": msgspec.to_builtins(latency_model.errors),
        "energy": msgspec.to_builtins(energy_model.errors),
        "energy_from_published_latency": [
            msgspec.to_builtins(e) for one in given for e in errors_of(one, architectures=False)
        ],
        "boards_held_out": msgspec.to_builtins(latency_model.boards_held_out),
        "frameworks": compare_frameworks([r for r in rows if not r.is_tensorrt], coefficients),
    }
    table = _table([("latency_ms", latency), *(("energy_mj", one) for one in energy)])
    return Found(latency_model, energy_model, results, table)


def _rounded(value: Any) -> Any:
    """`value` with every number to five significant digits."""

    def short(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: short(item) for key, item in node.items()}
        return float(f"{node:.5g}") if isinstance(node, float) else node

    return msgspec.convert(short(msgspec.to_builtins(value)), type(value))


def _table(parts: Sequence[tuple[str, Predictions]]) -> str:
    """Every row beside its predictions."""
    lines = [
        "quantity,source,board,power_mode,precision,batch,network,"
        "published,fitted,network_held_out,family_held_out"
    ]
    for quantity, found in parts:
        figures = np.stack([found.published, found.fitted, *found.held_out.values()], axis=1)
        for row, values in zip(found.rows, figures, strict=True):
            facts = [quantity, row.source, row.board.name, row.mode.name, row.precision]
            facts += [str(row.batch), row.network, *(f"{value:.4g}" for value in values)]
            lines.append(",".join(facts))
    return "\n".join(lines) + "\n"


def _write_json(path: Path, document: Any) -> None:
    write_bytes(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n")


if __name__ == "__main__":
    main()
