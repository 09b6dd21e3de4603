"""Energy of one inference on a board, from its time, its arithmetic and its memory traffic.

    energy = (static + active(clock)) * time + arithmetic * energy per MAC(clock)
             + bytes * energy per byte

The split into power that flows while a GPU is busy and energy per operation is that of Hong & Kim
(ISCA 2010) and of Lahmer et al. (arXiv 2210.01625, on TX2). Dynamic energy per operation falls
with the clock, as the voltage falls with it; its exponent is fitted, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesynth.hardware.board import Board, PowerMode
from edgesynth.hardware.fitted import BoardEnergy, load_energy_model
from edgesynth.hardware.layers import Layer, Precision
from edgesynth.hardware.roofline import predict_latency_ms, require_precision


def predict_energy_mj(
    layers: Sequence[Layer],
    board: Board,
    *,
    precision: str = "fp16",
    batch: int = 1,
    mode: PowerMode | None = None,
    latency_ms: float | None = None,
) -> float | None:
    """Millijoules per inference (one sample of the batch), idle power included.

    `latency_ms` is the time of one batch where the caller knows it, else it is predicted. Returns
    None where `energy_gap` gives the reason. Raises UserError for a precision without predictions.
    """
    known = require_precision(board, precision)
    coefficients = _coefficients(board)
    if coefficients is None:
        return None
    mode = mode or board.mode()
    if latency_ms is None:
        latency_ms = predict_latency_ms(layers, board, precision=known, batch=batch, mode=mode)
    macs = sum(layer.macs for layer in layers) * batch
    moved = sum(layer.bytes(known, batch) for layer in layers)
    clock = mode.gpu_clock.value
    return energy_mj(coefficients, known, clock, latency_ms, macs, moved) / batch


def energy_gap(board: Board) -> str | None:
    """Why no energy can be predicted for `board`; None when it can."""
    if _coefficients(board) is not None:
        return None
    return f"no published power measurements of {board.name} that a model could be fitted to"


def energy_scope(board: Board) -> str | None:
    """What the predicted energy is measured at, such as the module's input rail."""
    coefficients = _coefficients(board)
    return coefficients.scope if coefficients else None


def energy_mj(
    c: BoardEnergy, precision: Precision, gpu_mhz: float, latency_ms: float, macs: int, moved: int
) -> float:
    """Millijoules of one batch that takes `latency_ms`, does `macs` and moves `moved` bytes."""
    clock = gpu_mhz / c.reference_mhz
    slower = float(clock**c.clock_exponent)
    watts = c.static_w + c.active_w * clock * slower
    picojoules = c.pj_per_mac[precision] * macs * slower + c.pj_per_byte * moved
    return watts * latency_ms + picojoules * 1e-9


def _coefficients(board: Board) -> BoardEnergy | None:
    boards = load_energy_model().boards
    return boards.get(board.name) or boards.get(board.energy_like or "")
