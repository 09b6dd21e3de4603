"""Boards: what the roofline needs to know of a Jetson module, as data.

One TOML file per board in `boards/`; adding a board is adding a file. Every value names its unit,
its source and how sure it is: `datasheet` (the vendor's documents or configuration files),
`measured` (read on a board, or tried with the vendor's tools), `assumed`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgesynth.core.errors import UserError, nearest

SCHEMA = "edgesynth.board/1"
_FOLDER = Path(__file__).with_name("boards")

Status = Literal["datasheet", "measured", "assumed"]
_Text = Annotated[str, msgspec.Meta(min_length=3)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number with its unit and where it comes from."""

    value: _Positive
    unit: str
    source: _Text
    status: Status


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Multiply-accumulates that one streaming multiprocessor can finish per clock."""

    sms: Quantity
    fp32_rate: Quantity
    fp16_rate: Quantity
    """On CUDA cores, two values per instruction (half2)."""
    fp16_tensor_rate: Quantity | None = None
    """On tensor cores, dense; None where there are none."""


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """External memory: `bandwidth` is reached at `clock` and falls with it."""

    bandwidth: Quantity
    clock: Quantity


class Int8(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether the GPU has INT8 arithmetic, and if not, why that matters."""

    supported: bool
    reason: str = ""
    source: _Text
    status: Status


class PowerMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Clocks of one nvpmodel mode after `jetson_clocks`."""

    name: str
    gpu_clock: Quantity
    memory_clock: Quantity
    sms: Quantity | None = None
    """Multiprocessors that are on, where the mode turns some off."""


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One Jetson module. Its first power mode is the fastest, and the default of predictions."""

    schema: str
    name: str
    title: str
    soc: str
    sm: str
    """Architecture of the GPU, such as `sm_53`: boards that share it share efficiencies."""
    latency_like: str | None = None
    """Architecture whose efficiencies are assumed where this one has none."""
    energy_like: str | None = None
    """Board whose energy per operation is assumed where this one has none."""
    gpu: Gpu
    memory: Memory
    int8: Int8
    power_modes: Annotated[tuple[PowerMode, ...], msgspec.Meta(min_length=1)] = msgspec.field(
        name="power_mode"
    )

    def mode(self, name: str | None = None) -> PowerMode:
        """The power mode called `name`, in any case; the fastest when None.

        Raises UserError with the nearest name when there is none.
        """
        if name is None:
            return self.power_modes[0]
        for mode in self.power_modes:
            if mode.name.lower() == name.lower():
                return mode
        hint = nearest(name.upper(), [mode.name for mode in self.power_modes])
        raise UserError(f'{self.title} has no power mode "{name}"; {hint}')


#: Dotted place of every quantity of a board -> the unit that it must have.
_UNITS = {
    "gpu.sms": "SM",
    "gpu.fp32_rate": "MAC/clock/SM",
    "gpu.fp16_rate": "MAC/clock/SM",
    "gpu.fp16_tensor_rate": "MAC/clock/SM",
    "memory.bandwidth": "GB/s",
    "memory.clock": "MHz",
    "gpu_clock": "MHz",
    "memory_clock": "MHz",
    "sms": "SM",
}


def board_names() -> list[str]:
    """Names of all boards, as users write them after `--device` and `@`."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def load_board(name: str) -> Board:
    """The board called `name`; raises UserError with the nearest name when there is none."""
    known = board_names()
    if name not in known:
        raise UserError(f'no device "{name}"; {nearest(name, known)}')
    return read_board(_FOLDER / f"{name}.toml")


def read_board(path: Path) -> Board:
    """A board from its file.

    Raises UserError naming the file and the field that is wrong.
    """
    try:
        board = msgspec.toml.decode(path.read_bytes(), type=Board)
    except OSError as error:
        raise UserError(f"board {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"board {path}: {error}") from None
    if board.schema != SCHEMA or board.name != path.stem:
        raise UserError(f'board {path}: schema must be "{SCHEMA}", name "{path.stem}"')
    if not board.int8.supported and not board.int8.reason:
        raise UserError(f"board {path}: int8.reason must say why there is no INT8")
    for place, quantity in quantities(board).items():
        unit = _UNITS[place.split("].")[-1]]
        if quantity.unit != unit:
            raise UserError(f'board {path}: {place} must be in {unit}, not "{quantity.unit}"')
    return board


def quantities(board: Board) -> dict[str, Quantity]:
    """Every number of `board` by its place in the file, such as `power_mode[MAXN].gpu_clock`."""
    tables: dict[str, msgspec.Struct] = {"gpu.": board.gpu, "memory.": board.memory}
    tables |= {f"power_mode[{mode.name}].": mode for mode in board.power_modes}
    return {
        prefix + field: value
        for prefix, table in tables.items()
        for field in table.__struct_fields__
        if isinstance(value := getattr(table, field), Quantity)
    }
