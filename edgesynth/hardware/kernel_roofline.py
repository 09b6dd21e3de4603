"""How fast the operators' kernels can be beside dense ones on a TX1 or TX2: an estimate.

Nothing here is measured. One sample, fp16 activations. A layer takes the longest of three times:
its bytes, each moved once, at the board's bandwidth; its instructions at the rate at which the
multiprocessors issue them; its warp-wide accesses to shared memory, one per clock and
multiprocessor. What a kernel does is counted from its inner loop (`kernels/packed/*.cuh`,
`kernels/sparse/*.cuh`, where the nonzero weights are taken to lie at random); which share of a rate
it attains is assumed below. What launching takes is the same for all and left out.

`kernels/README.md` has the tables that follow for well-known networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesynth.hardware.board import Board

DENSE = 0.7
"""Of the issue rate, by the multiplications of a dense library: assumed."""
ISSUED = 0.9
"""Of the issue rate, by all instructions of the packed and the effort kernels: assumed."""
SHARED = 0.7
"""Of the accesses to shared memory, and of the issue rate, by the sparse kernels: assumed."""
WINOGRAD = 2.25
"""Fewer multiplications of a dense 3x3 with stride 1: F(2x2, 3x3), Lavin and Gray 2016."""
GATHER = 3.5
"""Turns that 32 random reads of 32 banks take: the expected fullest bank."""

_LANES = 32
# kernels/sparse/sparse.h, tile.h and sparse.cu
_PANEL, _VECTOR = 3072, 8
_WARPS, _TILE_BYTES, _MOST_COLUMNS, _HALVES = 8, 16 << 10, 1024, 2
_FEWEST_SHARING = 8


@dataclass(frozen=True)
class Layer:
    """A convolution of one sample; a linear layer has one pixel. Pairs are down, right."""

    name: str
    channels: int
    height: int
    width: int
    filters: int
    group: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    dilations: tuple[int, int]
    is_convolution: bool = False
    """True for one of one pixel that the kernel of convolutions computes all the same."""

    @property
    def is_linear(self) -> bool:
        """True for a matrix times a vector."""
        return (self.height, self.width) == (1, 1) and not self.is_convolution

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the result."""
        down, right = (
            (side + self.pads[axis] + self.pads[axis + 2] - self.span(axis)) // self.strides[axis]
            + 1
            for axis, side in enumerate((self.height, self.width))
        )
        return down, right

    def span(self, axis: int) -> int:
        """Inputs from the first to the last of a window."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1

    @property
    def pixels(self) -> int:
        """Of the result."""
        return prod(self.output)

    @property
    def columns(self) -> int:
        """Weights of one filter."""
        return self.channels // self.group * prod(self.kernel)

    @property
    def weights(self) -> int:
        """Of all filters, zeros too."""
        return self.filters * self.columns

    @property
    def activations(self) -> int:
        """Numbers read and written besides the weights."""
        return self.channels * self.height * self.width + self.filters * self.pixels

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer."""
        return self.weights * self.pixels


@dataclass(frozen=True)
class Limits:
    """Of a board at its highest clocks; all multiprocessors together."""

    name: str
    bytes_per_us: float
    clocks_per_us: float
    """Times multiprocessors."""
    lanes: float
    """Instructions per clock and multiprocessor, one of them an fp16 pair or an fp32 number."""

    @property
    def instructions_per_us(self) -> float:
        """Of all lanes."""
        return self.clocks_per_us * self.lanes


@dataclass(frozen=True)
class Time:
    """A lower bound, in microseconds."""

    memory_us: float
    arithmetic_us: float
    shared_us: float = 0.0

    @property
    def us(self) -> float:
        """The longest one."""
        return max(self.memory_us, self.arithmetic_us, self.shared_us)

    @property
    def bound(self) -> str:
        """What limits."""
        times = {
            "memory": self.memory_us,
            "arithmetic": self.arithmetic_us,
            "shared": self.shared_us,
        }
        return max(times, key=times.__getitem__)


def limits_of(board: Board) -> Limits:
    """What the board's file says about its fastest power mode."""
    mode = board.mode()
    multiprocessors = (mode.sms or board.gpu.sms).value
    return Limits(
        board.name,
        board.memory.bandwidth.value * 1e3,
        multiprocessors * mode.gpu_clock.value,
        board.gpu.fp16_rate.value / 2,
    )


# ---- dense ----


def dense_bytes(layer: Layer) -> int:
    """Weights, bias and activations in fp16."""
    return 2 * (layer.weights + layer.filters + layer.activations)


def dense_time(on: Limits, layer: Layer) -> Time:
    """Of a dense library in fp16, of whose instructions the multiplications alone count."""
    is_winograd = (layer.kernel, layer.strides, layer.dilations) == ((3, 3), (1, 1), (1, 1))
    pairs = layer.macs / 2 / (WINOGRAD if is_winograd else 1)
    return Time(dense_bytes(layer) / on.bytes_per_us, pairs / (on.instructions_per_us * DENSE))


# ---- packed ----


def packed_bytes(layer: Layer, bits: int) -> int:
    """Words, scales and bias; fp16 activations."""
    codes = 2 * (16 // bits)
    words = layer.filters * -(-layer.columns // codes)
    return 4 * words + 8 * layer.filters + 2 * layer.activations


def packed_time(on: Limits, layer: Layer, bits: int) -> Time:
    """Of EsPackedLinear and EsPackedConv with weights of `bits`: 2, 3, 4 or 8."""
    instructions = _packed_linear(layer, bits) if layer.is_linear else _packed_conv(layer, bits)
    return Time(
        packed_bytes(layer, bits) / on.bytes_per_us,
        instructions / (on.instructions_per_us * ISSUED),
    )


def _decoding(bits: int) -> int:
    """Of a word: LOP3 and HFMA2 for a pair of columns, one shift for fields that lie too high."""
    return 2 * (16 // bits) + 1


def _packed_linear(layer: Layer, bits: int) -> float:
    """Instructions of all threads together; see linear.cuh."""
    pairs = 16 // bits
    words = layer.filters * -(-layer.columns // (2 * pairs))
    # Products; x from shared memory, for four rows at once; a quarter of a flush (2 conversions
    # and additions) and of the loop. x is exchanged for 32 rows: 5 instructions a pair.
    loads = pairs if bits == 3 else max(pairs // 4, 1)
    return words * (_decoding(bits) + pairs + loads / 4 + 1 + 1 + 5 * pairs / 32)


def _packed_conv(layer: Layer, bits: int) -> float:
    """Instructions of all threads together; see conv.cuh."""
    pairs = 16 // bits
    tile = 16 if layer.pixels <= 48 else 64
    per_thread = (4, 2) if tile == 16 else (8, 4)
    filter_tiles = layer.group * -(-(layer.filters // layer.group) // 64)
    pixel_tiles = -(-layer.pixels // tile)
    column_pairs = -(-layer.columns // (2 * pairs)) * pairs
    # In a block: HFMA2, loads of both operands (128 bits each at most), a flush every 32 pairs;
    # decoding and sharing the weights; gathering x, about 10 instructions a number.
    rectangle = prod(per_thread)
    step = rectangle * (1 + 4 / 32) + sum(-(-side // 4) for side in per_thread)
    multiply = step * (64 * tile / rectangle)
    unpack = 64 * (_decoding(bits) + pairs) / pairs
    gather = tile * 2 * 10
    return filter_tiles * pixel_tiles * column_pairs * (multiply + unpack + gather)


# ---- effort ----

_TILE, _BLOCK_FILTERS, _WARP_FILTERS = 8, 32, 8
_MULTIPLY = 8 + 2 + 4
"""Instructions of a warp for a column of 8 filters x 64 pixels: products of pairs, loads from
shared memory, and what asks every four columns whether a filter still counts (columns.cuh)."""
_SHARE_WEIGHTS = 8 / 16
_GATHER_COLUMN = 64 / 32 * 10
"""Of a block, for 64 pixels of x that 32 filters share."""


def effort_time(on: Limits, layer: Layer, share: float) -> Time:
    """Of EsEffortConv where this share of the multiplications is left.

    All weights are read all the same. x is gathered as long as one warp of a block goes on, so this
    assumes that whole blocks stop; idle lanes at the edges of the map count.
    """
    per_group = layer.filters // layer.group
    tiles = layer.group * prod(ceil(side / _TILE) for side in layer.output)
    blocks, warps = (tiles * ceil(per_group / size) for size in (_BLOCK_FILTERS, _WARP_FILTERS))
    column = warps * (_MULTIPLY + _SHARE_WEIGHTS) + blocks * _GATHER_COLUMN
    instructions = column * layer.columns * share * _LANES
    return Time(
        dense_bytes(layer) / on.bytes_per_us, instructions / (on.instructions_per_us * ISSUED)
    )


# ---- sparse ----


@dataclass(frozen=True)
class SparseWork:
    """Of one run."""

    bytes: float
    macs: float
    accesses: float
    """Warp-wide, to shared and global memory; a multiprocessor makes one a clock."""


def sparse_time(on: Limits, layer: Layer, sparsity: float) -> Time | None:
    """Of EsSparseLinear and EsSparseConv with this share of zeros.

    None for a convolution with fewer than 8 filters in a group, or whose windows do not fit into
    shared memory: those take a plainer kernel, which is not modelled.
    """
    work = sparse_work(layer, sparsity)
    if work is None:
        return None
    return Time(
        work.bytes / on.bytes_per_us,
        work.macs / 2 / (on.instructions_per_us * SHARED),
        work.accesses / (on.clocks_per_us * SHARED),
    )


def sparse_work(layer: Layer, sparsity: float) -> SparseWork | None:
    """What our kernel does for the layer; None as in `sparse_time`."""
    nonzero = layer.weights * (1 - sparsity)
    return _sparse_linear(layer, nonzero) if layer.is_linear else _sparse_conv(layer, nonzero)


def _sparse_linear(layer: Layer, nonzero: float) -> SparseWork:
    panels = ceil(layer.columns / _PANEL)
    slots = panels * layer.filters
    entries = nonzero + slots * (_VECTOR - 1) / 2  # padding, on average
    moved = 2 * layer.activations + 4 * layer.filters + 4 * entries + 4 * slots
    blocks = max(8.0, entries / (4 * layer.columns))
    staging = blocks * layer.columns * 2 / _LANES
    return SparseWork(moved, nonzero, entries / _LANES * (GATHER + 2 / _VECTOR) + staging)


def _sparse_conv(layer: Layer, nonzero: float) -> SparseWork | None:
    density = nonzero / layer.weights
    in_group, channels = layer.filters // layer.group, layer.channels // layer.group
    if in_group < _FEWEST_SHARING or prod(layer.kernel) > _MOST_COLUMNS:
        return None
    is_product = prod(layer.kernel) * prod(layer.strides) == 1 and not any(layer.pads)
    down, right = (ceil(layer.pixels / _LANES), _LANES) if is_product else layer.output
    panel = _panel_channels(layer, channels)
    accesses = [
        ceil(right / width)
        * ceil(down / (_LANES // width * positions * _HALVES))
        * (
            in_group * density * prod(layer.kernel) * (1 + positions)
            + ceil(in_group / (_WARPS * slots)) * plane / _LANES * (_HALVES + 2)
        )
        for width in (32, 16, 8)
        for positions, slots in ((4, 4), (1, 8))
        if (plane := _plane(layer, width, positions)) * panel * 4 <= _TILE_BYTES
    ]
    if not accesses:
        return None
    starts = 4 * ceil(channels / panel) * layer.filters
    moved = 2 * layer.activations + 4 * layer.filters + 4 * nonzero + starts
    return SparseWork(moved, nonzero * layer.pixels, min(accesses) * layer.channels)


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
