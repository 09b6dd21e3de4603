"""Coefficients that `benchmarks/fit_roofline/fit.py` fitted on published measurements, as data.

Each file in `coefficients/` names the command that made it and the model's errors, on the rows that
it was fitted to and on networks that were held out.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.hardware.board import Board

LATENCY_SCHEMA = "edgesynth.fitted-latency/1"
ENERGY_SCHEMA = "edgesynth.fitted-energy/1"
_FOLDER = Path(__file__).with_name("coefficients")


class Core(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one kind of arithmetic unit attains (CUDA cores, tensor cores)."""

    conv: float
    """Share of the peak for convolutions that are neither 1x1 nor Winograd's."""
    conv_1x1: float
    """The same for 1x1 convolutions, linear layers and matrix products."""
    winograd: float
    """The same for 3x3 convolutions of stride 1; above 1, as fewer multiplications are done."""
    extra_rows_per_sm: float
    """Output positions that every product costs on top, per multiprocessor."""
    extra_columns: float
    """Output channels that every product costs on top."""
    extra_depth: float
    """Terms that every sum costs on top."""


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What differs between GPU architectures."""

    speed: float
    """Arithmetic relative to sm_53, after the peak rates are accounted for."""
    bandwidth: float
    """Share of the memory's bandwidth that convolutions attain."""
    launch_clocks: float
    """GPU clocks that every kernel costs on top of its work."""


class Coefficients(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that the roofline needs besides the board."""

    cuda: Core
    tensor: Core
    depthwise: float
    """Share of the CUDA cores' peak that depthwise convolutions attain."""
    half: float
    """Share of the doubled FP16 rate that CUDA cores attain, relative to FP32."""
    streaming: float
    """Bandwidth of pooling, pointwise layers and copies, relative to convolutions."""
    normalization: float
    """The same for normalization layers."""
    families: dict[str, Family]


class Error(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Mean absolute percentage errors over published rows."""

    board: str
    """A board, or an architecture such as `sm_72` for all its boards together."""
    precision: str
    source: str
    """One source, or `all` of them together."""
    rows: int
    networks: int
    fitted_percent: float
    """On the rows that the coefficients were fitted to."""
    network_held_out_percent: float
    """On rows of a network that was left out of the fit, on every board."""
    family_held_out_percent: float
    """On rows of a network whose whole family (all ResNets, say) was left out."""


class BoardError(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The error on a board whose rows were all held out, with others of its architecture kept."""

    board: str
    architecture: str
    precision: str
    known_from: tuple[str, ...]
    rows: int
    percent: float


class LatencyModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`coefficients/latency.json`."""

    schema: Literal["edgesynth.fitted-latency/1"]
    command: str
    smallest_macs: int
    """Multiply-accumulates of the smallest network of the fit: below, errors are not known."""
    coefficients: Coefficients
    errors: tuple[Error, ...]
    boards_held_out: tuple[BoardError, ...]

    def family_of(self, board: Board) -> str:
        """The architecture whose efficiencies stand for `board`.

        Raises UserError when there are none for it.
        """
        for name in (board.sm, board.latency_like):
            if name in self.coefficients.families:
                return str(name)
        known = ", ".join(sorted(self.coefficients.families))
        raise UserError(
            f"no efficiencies are fitted for {board.sm} of {board.name}; "
            f"name one of {known} as latency_like in its board file"
        )


class BoardEnergy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What running costs a board, as `energy.py` puts it together."""

    static_w: float
    active_w: float
    """On top while the GPU is busy, at `reference_mhz`."""
    clock_exponent: float
    """How energy per operation falls with the GPU's clock, as its voltage falls too."""
    pj_per_mac: dict[str, float]
    """By precision, at `reference_mhz`."""
    pj_per_byte: float
    reference_mhz: float
    scope: str
    """What the power was measured on, such as the module's input rail."""


class EnergyModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`coefficients/energy.json`."""

    schema: Literal["edgesynth.fitted-energy/1"]
    command: str
    boards: dict[str, BoardEnergy]
    errors: tuple[Error, ...]
    """Of the energy from predicted latency, as a user gets it."""


class Trust(msgspec.Struct, frozen=True):
    """How far a prediction may be believed."""

    error_percent: float | None
    """Mean error on what the fit had not seen; None when unknown."""
    basis: str
    """What that error, or its absence, rests on."""
    status: Literal["fitted", "assumed"]
    """`assumed` when the board itself has no measurements in this precision."""


@cache
def load_latency_model() -> LatencyModel:
    """The fitted latency model."""
    return msgspec.json.decode((_FOLDER / "latency.json").read_bytes(), type=LatencyModel)


@cache
def load_energy_model() -> EnergyModel:
    """The fitted energy model."""
    return msgspec.json.decode((_FOLDER / "energy.json").read_bytes(), type=EnergyModel)


def latency_trust(board: Board, precision: str) -> Trust:
    """How far latencies of `board` in `precision` may be believed.

    A board with measurements gets the larger of its own error and its architecture's, both on
    networks whose family was held out; a board without, the worst error of a relative that was
    predicted without its own.
    """
    model = load_latency_model()
    family = model.family_of(board)
    if family != board.sm:
        return Trust(None, f"efficiencies of {family}, assumed for {board.sm}", "assumed")
    own = _pooled(model.errors, board.name, precision)
    related = _pooled(model.errors, board.sm, precision)
    if related is None:
        return Trust(None, f"no published {precision} measurements on {board.sm}", "assumed")
    if own is None:
        return _of_relatives(related, model.boards_held_out)
    worse = max(own, related, key=lambda error: error.family_held_out_percent)
    return Trust(worse.family_held_out_percent, _basis(worse), "fitted")


def _of_relatives(related: Error, boards: tuple[BoardError, ...]) -> Trust:
    """For a board without measurements: what happened to relatives that were treated so."""
    key = (related.board, related.precision)
    relatives = [each for each in boards if (each.architecture, each.precision) == key]
    if not relatives:
        return Trust(related.family_held_out_percent, _basis(related), "assumed")
    worst = max(relatives, key=lambda each: each.percent)
    basis = f"the error on {worst.board} when only {' and '.join(worst.known_from)} was fitted"
    return Trust(worst.percent, basis, "assumed")


def energy_trust(board: Board, precision: str) -> Trust:
    """The same for energies."""
    error = _pooled(load_energy_model().errors, board.name, precision)
    if error is not None:
        return Trust(error.family_held_out_percent, _basis(error), "fitted")
    basis = f"energy per operation of {board.energy_like}, assumed for {board.name}"
    return Trust(None, basis, "assumed")


def _pooled(errors: tuple[Error, ...], board: str, precision: str) -> Error | None:
    for error in errors:
        if (error.board, error.precision, error.source) == (board, precision, "all"):
            return error
    return None


def _basis(error: Error) -> str:
    return (
        f"{error.rows} published {error.precision} measurements of {error.networks} networks on "
        f"{error.board}, each network's family held out of the fit"
    )
