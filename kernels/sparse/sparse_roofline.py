"""What EsSparseLinear and EsSparseConv can reach on TX1 and TX2: the table of kernels/README.md.

    python kernels/sparse/sparse_roofline.py           print it
    python kernels/sparse/sparse_roofline.py --write   put it into kernels/README.md

Nothing here is measured; edgesynth/hardware/kernel_roofline.py says how it is predicted.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from layers import read_layers  # which finds edgesynth too

# isort: split
from edgesynth.hardware.board import load_board
from edgesynth.hardware.kernel_roofline import (
    Layer,
    Limits,
    Time,
    dense_time,
    limits_of,
    sparse_time,
    sparse_work,
)

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- sparse_roofline.py: begin -->", "<!-- sparse_roofline.py: end -->"
BOARDS = ("tx1", "tx2")


def time_at(sparsity: float, layer: Layer, on: Limits) -> Time:
    """Of our kernel; every layer of the table takes one that is modelled."""
    time = sparse_time(on, layer, sparsity)
    if time is None:
        raise ValueError(f"{layer.name} takes the direct kernel, which is not modelled")
    return time


def break_even(layer: Layer, on: Limits) -> float | None:
    """The sparsity from which we are faster than dense, to a thousandth; None: never."""
    dense = dense_time(on, layer).us
    steps = (step / 1000 for step in range(1000))
    return next((each for each in steps if time_at(each, layer, on).us < dense), None)


def table() -> str:
    """Markdown."""
    boards = [limits_of(load_board(name)) for name in BOARDS]
    lines = [
        "| layer, fp16, batch 1 | MB, M operations at 90 % | limit TX1, TX2 | us at 90 % | "
        "speed-up at 80 % | 90 % | 95 % | 99 % | break-even |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(layer, boards) for layer in read_layers()]
    return "\n".join(lines) + "\n"


def _row(layer: Layer, boards: list[Limits]) -> str:
    work = sparse_work(layer, 0.9)
    if work is None:
        raise ValueError(f"{layer.name} takes the direct kernel, which is not modelled")
    cells = [layer.name, f"{work.bytes / 1e6:.2f}, {2 * work.macs / 1e6:.1f}"]
    cells.append(", ".join(time_at(0.9, layer, on).bound for on in boards))
    cells.append(", ".join(f"{time_at(0.9, layer, on).us:.0f}" for on in boards))
    for sparsity in (0.8, 0.9, 0.95, 0.99):
        ratios = (dense_time(on, layer).us / time_at(sparsity, layer, on).us for on in boards)
        cells.append(", ".join(f"{ratio:.1f}" for ratio in ratios))
    evens = (break_even(layer, on) for on in boards)
    cells.append(", ".join("never" if even is None else f"{even:.0%}" for even in evens))
    return "| " + " | ".join(cells) + " |"


def with_tables(text: str) -> str:
    """`text` with the table between its two marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}{END}{rest.split(END)[1]}"


def main(words: list[str]) -> int:
    """The command line."""
    if words == ["--write"]:
        README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
        return 0
    print(table(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
