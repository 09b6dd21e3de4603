"""What EsPackedLinear and EsPackedConv can reach on TX1 and TX2: the tables of kernels/README.md.

    python kernels/packed_roofline.py           print them
    python kernels/packed_roofline.py --write   put them into kernels/README.md

Nothing here is measured; edgesynth/hardware/kernel_roofline.py says how it is predicted.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from layers import read_layers  # which finds edgesynth too

# isort: split
from edgesynth.hardware.board import load_board
from edgesynth.hardware.kernel_roofline import (
    Layer,
    Limits,
    dense_bytes,
    dense_time,
    limits_of,
    packed_bytes,
    packed_time,
)

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- packed_roofline.py: begin -->", "<!-- packed_roofline.py: end -->"
WIDTHS = (2, 3, 4, 8)


def _row(layer: Layer, on: Limits) -> str:
    dense = dense_time(on, layer)
    packed = {bits: packed_time(on, layer, bits) for bits in WIDTHS}
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
        limits = limits_of(load_board(name))
        rows = [_row(layer, limits) for layer in read_layers()]
        title = f"**{name.upper()}, predicted**, batch 1, fp16 activations:\n"
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
