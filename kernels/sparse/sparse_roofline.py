"""What EsSparseLinear and EsSparseConv can reach on TX1 and TX2, predicted: the table of README.md.

    python kernels/sparse/sparse_roofline.py

Layers come from kernels/testing/layers.h, boards from edgesynth/hardware/boards. fp16, batch 1.
Counts are of the kernels' own work; the constants below are the only assumptions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
BOARDS = ("tx1", "tx2")

EFFICIENCY = 0.7
"""Of its limit, that a good kernel reaches; for the dense library and for ours alike."""
WINOGRAD = 2.25
"""Fewer multiplications of a dense 3x3 with stride 1: F(2x2, 3x3), Lavin and Gray 2016."""
GATHER = 3.5
"""Turns that 32 random reads of 32 banks take: the expected fullest bank."""

# kernels/sparse/sparse.h, tile.h and sparse.cu
_PANEL, _VECTOR = 3072, 8
_LANES, _WARPS, _TILE_BYTES, _MOST_COLUMNS, _HALVES = 32, 8, 16 << 10, 1024, 2
_FEWEST_SHARING = 8


@dataclass(frozen=True)
class Layer:
    """As testing/layers.h has it; one sample."""

    name: str
    channels: int
    size: tuple[int, int]
    filters: int
    group: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]

    @property
    def outputs(self) -> tuple[int, int]:
        """Height and width of the output."""
        rows, columns = (
            (self.size[i] + self.pads[i] + self.pads[i + 2] - self.span(i)) // self.strides[i] + 1
            for i in (0, 1)
        )
        return rows, columns

    def span(self, axis: int) -> int:
        """Inputs from the first to the last of a window."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1

    @property
    def columns(self) -> int:
        """Weights of a filter."""
        return self.channels // self.group * prod(self.kernel)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer."""
        return self.filters * self.columns * prod(self.outputs)

    @property
    def activation_bytes(self) -> int:
        """Input read and output written once, fp16."""
        return 2 * (self.channels * prod(self.size) + self.filters * prod(self.outputs))


@dataclass(frozen=True)
class Board:
    """Limits of a board at its highest clocks."""

    name: str
    bytes_per_s: float
    clocks_per_s: float
    """Of all multiprocessors together."""
    macs_per_clock: float
    """fp16, of one multiprocessor."""


@dataclass(frozen=True)
class Work:
    """Of one run of our kernel."""

    bytes: float
    macs: float
    accesses: float
    """Warp-wide accesses to shared and global memory; a multiprocessor makes one a clock."""


def layers() -> Iterator[Layer]:
    """Those of testing/layers.h."""
    text = (ROOT / "kernels/testing/layers.h").read_text()
    for name, numbers in re.findall(r'\{"([^"]+)", \{(.*)\}\},', text):
        n = [int(word) for word in re.findall(r"\d+", numbers)]
        yield Layer(
            name, n[1], (n[2], n[3]), n[4], n[5], (n[6], n[7]), (n[8], n[9]),
            (n[10], n[11], n[12], n[13]), (n[14], n[15]),
        )  # fmt: skip


def board(name: str) -> Board:
    """From edgesynth/hardware/boards, in power mode MAXN."""
    with (ROOT / f"edgesynth/hardware/boards/{name}.toml").open("rb") as stream:
        document = tomllib.load(stream)
    (mode,) = (each for each in document["power_mode"] if each["name"] == "MAXN")
    return Board(
        name,
        document["memory"]["bandwidth"]["value"] * 1e9,
        document["gpu"]["sms"]["value"] * mode["gpu_clock"]["value"] * 1e6,
        document["gpu"]["fp16_rate"]["value"],
    )


def dense_seconds(layer: Layer, on: Board) -> float:
    """Of a good dense fp16 kernel; Winograd where a 3x3 allows it."""
    is_winograd = layer.kernel == (3, 3) and layer.strides == (1, 1) and layer.dilations == (1, 1)
    macs = layer.macs / (WINOGRAD if is_winograd else 1)
    moved = layer.activation_bytes + 2 * layer.filters * layer.columns
    return max(moved / on.bytes_per_s, macs / on.macs_per_clock / on.clocks_per_s) / EFFICIENCY


def work(layer: Layer, sparsity: float) -> Work:
    """What our kernel does for the layer."""
    nonzero = layer.filters * layer.columns * (1 - sparsity)
    if layer.size == (1, 1):
        return _linear(layer, nonzero)
    return _conv(layer, nonzero)


def _linear(layer: Layer, nonzero: float) -> Work:
    panels = ceil(layer.columns / _PANEL)
    slots = panels * layer.filters
    entries = nonzero + slots * (_VECTOR - 1) / 2  # padding, on average
    moved = layer.activation_bytes + 4 * entries + 4 * slots
    blocks = max(8.0, entries / (4 * layer.columns))
    staging = blocks * layer.columns * 2 / _LANES
    return Work(moved, nonzero, entries / _LANES * (GATHER + 2 / _VECTOR) + staging)


def _conv(layer: Layer, nonzero: float) -> Work:
    density = nonzero / (layer.filters * layer.columns)
    in_group, channels = layer.filters // layer.group, layer.channels // layer.group
    if in_group < _FEWEST_SHARING:
        raise ValueError(f"{layer.name} takes the direct kernel, which is not modelled")
    is_product = prod(layer.kernel) * prod(layer.strides) == 1 and not any(layer.pads)
    outputs = layer.outputs
    if is_product:
        outputs = (ceil(prod(outputs) / _LANES), _LANES)
    panel = _panel_channels(layer, channels)
    accesses = min(
        ceil(outputs[1] / width)
        * ceil(outputs[0] / (_LANES // width * positions * _HALVES))
        * (
            in_group * density * prod(layer.kernel) * (1 + positions)
            + ceil(in_group / (_WARPS * slots)) * plane / _LANES * (_HALVES + 2)
        )
        for width in (32, 16, 8)
        for positions, slots in ((4, 4), (1, 8))
        if (plane := _plane(layer, width, positions)) * panel * 4 <= _TILE_BYTES
    )
    starts = 4 * ceil(channels / panel) * layer.filters
    moved = layer.activation_bytes + 4 * nonzero + starts
    return Work(moved, nonzero * prod(layer.outputs), accesses * layer.channels)


def _plane(layer: Layer, width: int, positions: int) -> int:
    """Elements of a channel of a tile; tile.cpp, MakeTile."""
    least = -(-((width - 1) * layer.strides[1] + layer.span(1)) // layer.strides[1])
    least *= layer.strides[1]
    fitting = (
        pitch
        for pitch in range(least, least + 32)
        if width == 32 or positions * layer.strides[0] * pitch % 32 in (width, 32 - width)
    )
    height = (_LANES // width * positions - 1) * layer.strides[0] + layer.span(0)
    return next(fitting, least) * height


def _panel_channels(layer: Layer, channels: int) -> int:
    """Channels in shared memory at a time; tile.cpp, ConvPanelColumns."""
    plane = max(_plane(layer, width, 4) for width in (32, 16, 8))
    fitting = min(_TILE_BYTES // 4 // plane, _MOST_COLUMNS // prod(layer.kernel), channels)
    return ceil(channels / ceil(channels / max(1, fitting)))


def limits(done: Work, on: Board) -> dict[str, float]:
    """Seconds that each resource needs at its peak."""
    return {
        "DRAM": done.bytes / on.bytes_per_s,
        "shared": done.accesses / on.clocks_per_s,
        "half2": done.macs / on.macs_per_clock / on.clocks_per_s,
    }


def seconds(layer: Layer, sparsity: float, on: Board) -> float:
    """Of our kernel."""
    return max(limits(work(layer, sparsity), on).values()) / EFFICIENCY


def break_even(layer: Layer, on: Board) -> float | None:
    """The sparsity from which we are faster than dense, to a thousandth; None: never."""
    dense = dense_seconds(layer, on)
    steps = (step / 1000 for step in range(1000))
    return next((each for each in steps if seconds(layer, each, on) < dense), None)


def table() -> str:
    """Markdown."""
    boards = [board(name) for name in BOARDS]
    lines = [
        "| layer, fp16, batch 1 | MB, M operations at 90 % | limit TX1, TX2 | us at 90 % | "
        "speed-up at 80 % | 90 % | 95 % | 99 % | break-even |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for layer in layers():
        done = work(layer, 0.9)
        names = [max(each, key=each.__getitem__) for each in (limits(done, on) for on in boards)]
        cells = [layer.name, f"{done.bytes / 1e6:.2f}, {2 * done.macs / 1e6:.1f}", ", ".join(names)]
        cells.append(", ".join(f"{seconds(layer, 0.9, on) * 1e6:.0f}" for on in boards))
        for sparsity in (0.8, 0.9, 0.95, 0.99):
            ratios = (dense_seconds(layer, on) / seconds(layer, sparsity, on) for on in boards)
            cells.append(", ".join(f"{ratio:.1f}" for ratio in ratios))
        evens = (break_even(layer, on) for on in boards)
        cells.append(", ".join("never" if even is None else f"{even:.0%}" for even in evens))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
