"""What EsEffortConv can reach on TX1 and TX2: the table of kernels/README.md.

    python kernels/effort/effort_roofline.py           print it
    python kernels/effort/effort_roofline.py --write   put it into kernels/README.md

Nothing here is measured. A layer takes the longer of two times: its bytes, each once, at the
board's bandwidth; its instructions, counted from the kernel's inner loop (`columns.cuh`), at 90 % of
the rate at which two SMs issue them. The dense layer it is held against, and what that reaches, are
those of packed_roofline.py. fp16, batch 1.
"""

from __future__ import annotations

import sys
from math import ceil
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(KERNELS))

from layers import Layer, read_layers  # noqa: E402
from packed_roofline import (  # noqa: E402
    ISSUED,
    README,
    Board,
    Time,
    dense_bytes,
    dense_time,
    load_board,
)

BEGIN, END = "<!-- effort_roofline.py: begin -->", "<!-- effort_roofline.py: end -->"
SHARES = (1.0, 0.5, 0.25)
"""Of the dense layer's multiplications that are left."""
MULTIPLY = 8 + 2 + 4
"""Instructions of a warp for one column of 8 filters x 64 pixels: products of pairs, loads from
shared memory, and what asks every four columns whether a filter still counts."""
SHARE_WEIGHTS = 8 / 16
"""To bring one column of the warp's weights to shared memory, 16 of them at once."""
GATHER = 64 / 32 * 10
"""Of a block for one column of 64 pixels of x, shared by 32 filters."""
_TILE, _BLOCK_FILTERS, _WARP_FILTERS, _LANES = 8, 32, 8, 32


def instructions(layer: Layer, share: float) -> float:
    """Of all threads. Where filters stop, x is gathered as long as one of the block goes on, so
    this assumes that whole blocks stop; idle lanes at the map's edges count."""
    per_group = layer.filters // layer.group
    tiles = layer.group * ceil(layer.output[0] / _TILE) * ceil(layer.output[1] / _TILE)
    blocks, warps = (tiles * ceil(per_group / size) for size in (_BLOCK_FILTERS, _WARP_FILTERS))
    column = warps * (MULTIPLY + SHARE_WEIGHTS) + blocks * GATHER
    return column * layer.columns * share * _LANES


def effort_time(board: Board, layer: Layer, share: float) -> Time:
    """With this share of the multiplications left; all weights are read all the same."""
    return Time(
        dense_bytes(layer) / board.bytes_per_us,
        instructions(layer, share) / (board.instructions_per_us * ISSUED),
    )


def break_even(board: Board, layer: Layer) -> float:
    """The largest share of multiplications, up to 1, with which it is as fast as the dense one."""
    dense, whole = dense_time(board, layer), effort_time(board, layer, 1.0)
    return min(1.0, dense.us / whole.arithmetic_us)


def _row(layer: Layer, boards: list[Board]) -> str:
    pairs = [
        ", ".join(
            f"{dense_time(board, layer).us / effort_time(board, layer, share).us:.2f}"
            for board in boards
        )
        for share in SHARES
    ]
    cells = [
        layer.name,
        f"{dense_bytes(layer) / 1e6:.3g}",
        f"{2 * layer.macs / 1e9:.3g}",
        ", ".join(f"{dense_time(board, layer).us:.0f}" for board in boards),
        ", ".join(
            f"{(time := effort_time(board, layer, 1.0)).us:.0f} {time.bound}" for board in boards
        ),
        *pairs,
        ", ".join(f"{break_even(board, layer):.0%}" for board in boards),
    ]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """Markdown; pairs are TX1, TX2."""
    boards = [load_board(name) for name in ("tx1", "tx2")]
    columns = ["layer", "MB", "GFLOP", "us dense library", "us, nothing left out"]
    columns += [f"speed-up, {share:.0%} left" for share in SHARES] + ["break-even, left"]
    rows = [_row(layer, boards) for layer in read_layers() if not layer.is_linear]
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows, ""])


def with_table(text: str) -> str:
    """`text` with the table between its two marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}{END}{rest.split(END)[1]}"


def main(words: list[str]) -> int:
    """The command line."""
    if words == ["--write"]:
        README.write_text(with_table(README.read_text("utf-8")), "utf-8")
        return 0
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
