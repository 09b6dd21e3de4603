"""What EsPackedLinear and EsPackedConv can reach on TX1 and TX2: the tables of kernels/README.md.

    python kernels/packed_roofline.py           print them
    python kernels/packed_roofline.py --write   put them into kernels/README.md

Nothing here is measured. A layer takes the longer of two times: its bytes, each once, at the
board's bandwidth; its instructions, counted below from the kernels' inner loops, at the rate at
which two SMs issue them, of which they attain `ISSUED`. The dense layer that it is held against is
the same in fp16; its multiplications alone attain `DENSE` of that rate, and a 3x3 convolution of
stride 1 has 2.25 times fewer of them (Winograd F(2x2), Lavin and Gray 2016).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

KERNELS = Path(__file__).resolve().parent
sys.path.insert(0, str(KERNELS))

from layers import Layer, read_layers  # noqa: E402

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

README = KERNELS / "README.md"
BEGIN, END = "<!-- packed_roofline.py: begin -->", "<!-- packed_roofline.py: end -->"
WIDTHS = (2, 3, 4, 8)
ISSUED = 0.9
"""Of the issue rate, by all instructions of these kernels: assumed."""
DENSE = 0.7
"""Of the issue rate, by the multiplications of a dense library: assumed."""
_WINOGRAD = 2.25
_LANES = 128  # instructions per clock and SM, one of them an fp16 pair or an fp32 number


@dataclass(frozen=True)
class Board:
    """The two limits."""

    title: str
    bytes_per_us: float
    instructions_per_us: float


@dataclass(frozen=True)
class Time:
    """A lower bound, in microseconds."""

    memory_us: float
    arithmetic_us: float

    @property
    def us(self) -> float:
        """The longer one."""
        return max(self.memory_us, self.arithmetic_us)

    @property
    def bound(self) -> str:
        """What limits."""
        return "memory" if self.memory_us >= self.arithmetic_us else "arithmetic"


def load_board(name: str) -> Board:
    """At its highest clocks, from edgesynth/hardware/boards."""
    path = KERNELS.parent / "edgesynth" / "hardware" / "boards" / f"{name}.toml"
    data = tomllib.loads(path.read_text("utf-8"))
    clock_mhz = data["power_mode"][0]["gpu_clock"]["value"]
    return Board(
        name.upper(),
        data["memory"]["bandwidth"]["value"] * 1e3,
        data["gpu"]["sms"]["value"] * _LANES * clock_mhz,
    )


def packed_bytes(layer: Layer, bits: int) -> int:
    """Words, scales and bias; fp16 activations."""
    codes = 2 * (16 // bits)
    words = layer.filters * -(-layer.columns // codes)
    return 4 * words + 8 * layer.filters + 2 * layer.activations


def dense_bytes(layer: Layer) -> int:
    """The same layer in fp16."""
    return 2 * (layer.filters * layer.columns + layer.filters + layer.activations)


def packed_instructions(layer: Layer, bits: int) -> float:
    """Of all threads together; see linear.cuh and conv.cuh."""
    pairs = 16 // bits  # of columns in a word
    # LOP3 and HFMA2 for a pair, and one shift for the fields that lie too high.
    decode = 2 * pairs + 1
    if layer.is_linear:
        words = layer.filters * -(-layer.columns // (2 * pairs))
        # Products; x from shared memory, for four rows at once; a quarter of a flush (2 conversions
        # and additions) and of the loop. x is exchanged for 32 rows: 5 instructions a pair.
        loads = pairs if bits == 3 else max(pairs // 4, 1)
        return words * (decode + pairs + loads / 4 + 1 + 1 + 5 * pairs / 32)
    tile = 16 if layer.pixels <= 48 else 64
    per_thread = (4, 2) if tile == 16 else (8, 4)
    filter_tiles = layer.group * -(-(layer.filters // layer.group) // 64)
    pixel_tiles = -(-layer.pixels // tile)
    column_pairs = -(-layer.columns // (2 * pairs)) * pairs
    # In a block: HFMA2, loads of both operands (128 bits each at most), a flush every 32 pairs;
    # decoding and sharing the weights; gathering x, about 10 instructions a number.
    rectangle = per_thread[0] * per_thread[1]
    step = rectangle * (1 + 4 / 32) + sum(-(-side // 4) for side in per_thread)
    multiply = step * (64 * tile / rectangle)
    unpack = 64 * (decode + pairs) / pairs
    gather = tile * 2 * 10
    return filter_tiles * pixel_tiles * column_pairs * (multiply + unpack + gather)


def dense_instructions(layer: Layer) -> float:
    """HFMA2 alone."""
    winograd = layer.kernel == (3, 3) and layer.strides == (1, 1)
    return layer.macs / 2 / (_WINOGRAD if winograd else 1.0)


def packed_time(board: Board, layer: Layer, bits: int) -> Time:
    """Of these kernels."""
    instructions = packed_instructions(layer, bits)
    return Time(
        packed_bytes(layer, bits) / board.bytes_per_us,
        instructions / (board.instructions_per_us * ISSUED),
    )


def dense_time(board: Board, layer: Layer) -> Time:
    """Of a dense library in fp16."""
    return Time(
        dense_bytes(layer) / board.bytes_per_us,
        dense_instructions(layer) / (board.instructions_per_us * DENSE),
    )


def _row(layer: Layer, board: Board) -> str:
    dense = dense_time(board, layer)
    packed = {bits: packed_time(board, layer, bits) for bits in WIDTHS}
    cells = [
        layer.name,
        _megabytes(dense_bytes(layer)),
        _megabytes(packed_bytes(layer, 2)),
        _megabytes(packed_bytes(layer, 4)),
        f"{2 * layer.macs / 1e9:.3g}",
        *(f"{time.us:.0f} {time.bound}" for time in (dense, packed[2], packed[4])),
        *(f"{dense.us / packed[bits].us:.2f}" for bits in WIDTHS),
    ]
    return f"| {' | '.join(cells)} |"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.3g}"


def tables() -> str:
    """Markdown: one table per board."""
    columns = ["layer", "MB fp16", "2 bits", "4 bits", "GFLOP", "us fp16", "2 bits", "4 bits"]
    columns += [f"speed-up {bits}" for bits in WIDTHS]
    header = f"| {' | '.join(columns)} |"
    parts = []
    for name in ("tx1", "tx2"):
        board = load_board(name)
        rows = [_row(layer, board) for layer in read_layers()]
        title = f"**{board.title}, predicted**, batch 1, fp16 activations:\n"
        parts += [title, header, "|---" * len(columns) + "|", *rows, ""]
    return "\n".join(parts)


def with_tables(text: str) -> str:
    """`text` with the tables between its two marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{tables()}{END}{rest.split(END)[1]}"


def main(words: list[str]) -> int:
    """The command line."""
    if words == ["--write"]:
        README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
        return 0
    print(tables())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
