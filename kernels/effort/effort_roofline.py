"""What EsEffortConv can reach on TX1 and TX2: the table of kernels/README.md.

    python kernels/effort/effort_roofline.py           print it
    python kernels/effort/effort_roofline.py --write   put it into kernels/README.md

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
    dense_bytes,
    dense_time,
    effort_time,
    limits_of,
)

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- effort_roofline.py: begin -->", "<!-- effort_roofline.py: end -->"
SHARES = (1.0, 0.5, 0.25)
"""Of the dense layer's multiplications that are left."""


def break_even(on: Limits, layer: Layer) -> float:
    """The largest share of multiplications, up to 1, with which it is as fast as the dense one."""
    dense, whole = dense_time(on, layer), effort_time(on, layer, 1.0)
    return min(1.0, dense.us / whole.arithmetic_us)


def _row(layer: Layer, boards: list[Limits]) -> str:
    dense = [dense_time(on, layer).us for on in boards]
    whole = [effort_time(on, layer, 1.0) for on in boards]
    cells = [layer.name, f"{dense_bytes(layer) / 1e6:.3g}", f"{2 * layer.macs / 1e9:.3g}"]
    cells.append(", ".join(f"{us:.0f}" for us in dense))
    cells.append(", ".join(f"{time.us:.0f} {time.bound}" for time in whole))
    for share in SHARES:
        ours = [effort_time(on, layer, share).us for on in boards]
        cells.append(", ".join(f"{a / b:.2f}" for a, b in zip(dense, ours, strict=True)))
    cells.append(", ".join(f"{break_even(on, layer):.0%}" for on in boards))
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """Markdown; pairs are TX1, TX2."""
    boards = [limits_of(load_board(name)) for name in ("tx1", "tx2")]
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
