"""Latency of layers on a board: a roofline with a launch cost, and efficiencies fitted to it.

For each layer (Williams, Waterman & Patterson, "Roofline", CACM 2009, per kernel):

    time = max(arithmetic / attainable rate, bytes / attainable bandwidth) + launch

Three things make it fit small GPUs. A matrix product of rows x columns x depth costs as if each of
its sides were a bit longer (partly filled tiles; rows per multiprocessor), so small layers run
slowly. Each class of layers attains its own share of the peak; 3x3 convolutions exceed it, because
Winograd's algorithm multiplies less (Lavin & Gray, CVPR 2016). Launching and draining a kernel
takes a number of GPU clocks. More work, more bytes or a slower clock never make a layer faster.

The shares are fitted on published measurements by `benchmarks/fit_roofline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edgesynth.core.errors import UserError, nearest
from edgesynth.hardware.board import Board, PowerMode
from edgesynth.hardware.fitted import Coefficients, load_latency_model
from edgesynth.hardware.layers import BYTES_PER_ELEMENT, Layer, Precision

Array = npt.NDArray[np.float64]
Bound = Literal["compute", "memory", "launch"]

#: What limits a layer's rate; `Columns.unit` is an index into this.
UNITS = ("conv", "conv 1x1", "winograd", "depthwise", "streaming", "normalization")
PRECISIONS: tuple[Precision, ...] = ("fp16", "fp32")


@dataclass(frozen=True)
class Columns:
    """Layers as columns of numbers, one entry per layer; see `layers.Layer`."""

    rows: Array
    columns: Array
    depth: Array
    groups: Array
    macs: Array
    weights: Array
    activations: Array
    unit: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hardware:
    """A board at its clocks and a precision: numbers, or columns with one entry per layer."""

    sms: float | Array
    cuda_macs_per_s: float | Array
    tensor_macs_per_s: float | Array
    """Zero where there are no tensor cores for this precision."""
    bytes_per_s: float | Array
    gpu_hz: float | Array
    bytes_per_element: float | Array


class Attained(Protocol):
    """What an architecture attains: `fitted.Family`, or columns of it with one entry per layer."""

    @property
    def speed(self) -> float | Array: ...
    @property
    def bandwidth(self) -> float | Array: ...
    @property
    def launch_clocks(self) -> float | Array: ...


class LayerTime(msgspec.Struct, frozen=True):
    """The time of one layer for a whole batch, in milliseconds, and what it is made of."""

    layer: Layer
    compute_ms: float
    memory_ms: float
    launch_ms: float

    @property
    def latency_ms(self) -> float:
        """The slower of arithmetic and memory, and the launch."""
        return max(self.compute_ms, self.memory_ms) + self.launch_ms

    @property
    def bound(self) -> Bound:
        """What takes the most time."""
        busy = max(self.compute_ms, self.memory_ms)
        if self.launch_ms >= busy:
            return "launch"
        return "compute" if self.compute_ms >= self.memory_ms else "memory"


def predict_latency_ms(
    layers: Sequence[Layer],
    board: Board,
    *,
    precision: str = "fp16",
    batch: int = 1,
    mode: PowerMode | None = None,
) -> float:
    """Milliseconds that `board` takes for one batch of the network made of `layers`.

    `mode` is the board's fastest power mode when None. Raises UserError when the board cannot run
    in `precision`.
    """
    times = predict_layers(layers, board, precision=precision, batch=batch, mode=mode)
    return sum(time.latency_ms for time in times)


def predict_layers(
    layers: Sequence[Layer],
    board: Board,
    *,
    precision: str = "fp16",
    batch: int = 1,
    mode: PowerMode | None = None,
) -> list[LayerTime]:
    """The time of every layer; see `predict_latency_ms`."""
    known = require_precision(board, precision)
    if batch < 1:
        raise UserError(f"batch {batch} is not a number of samples; give 1 or more")
    if not layers:
        return []
    model = load_latency_model()
    hardware = hardware_of(board, mode or board.mode(), known)
    family = model.coefficients.families[model.family_of(board)]
    compute, memory, launch = layer_seconds(
        columns_of(layers), batch, hardware, family, model.coefficients
    )
    return [
        LayerTime(layer, float(c) * 1e3, float(m) * 1e3, float(launch) * 1e3)
        for layer, c, m in zip(layers, compute, memory, strict=True)
    ]


def require_precision(board: Board, precision: str) -> Precision:
    """`precision` if predictions exist for it on `board`; raises UserError saying why not."""
    for known in PRECISIONS:
        if precision == known:
            return known
    if precision != "int8":
        hint = nearest(precision, [*PRECISIONS])
        raise UserError(f'no precision "{precision}"; {hint}')
    if not board.int8.supported:
        raise UserError(f"no int8 on {board.name}: {board.int8.reason}; use fp16")
    raise UserError(
        f"int8 is not predicted on {board.name}: no measurements that the model could be fitted "
        "to; predict fp16, or measure with `edgesynth bench` on the board"
    )


def columns_of(layers: Sequence[Layer]) -> Columns:
    """`layers` as columns."""

    def column(name: str) -> Array:
        return np.array([getattr(layer, name) for layer in layers], np.float64)

    return Columns(
        rows=column("rows"),
        columns=column("columns"),
        depth=column("depth"),
        groups=column("groups"),
        macs=column("macs"),
        weights=column("weights"),
        activations=column("inputs") + column("outputs"),
        unit=np.array([UNITS.index(_unit(layer)) for layer in layers], np.int64),
    )


def _unit(layer: Layer) -> str:
    if layer.kind in ("depthwise", "normalization"):
        return layer.kind
    if layer.kind in ("conv", "grouped", "conv 1x1", "fully-connected", "matmul"):
        if layer.kernel == (1, 1):
            return "conv 1x1"
        winograd = layer.kind == "conv" and layer.kernel == (3, 3) and layer.stride == 1
        return "winograd" if winograd else "conv"
    return "streaming"


def hardware_of(board: Board, mode: PowerMode, precision: Precision) -> Hardware:
    """The peak figures of `board` in `mode`."""
    gpu, half = board.gpu, precision == "fp16"
    sms = (mode.sms or gpu.sms).value
    hertz = mode.gpu_clock.value * 1e6
    cuda = gpu.fp16_rate if half else gpu.fp32_rate
    tensor = gpu.fp16_tensor_rate.value if half and gpu.fp16_tensor_rate else 0.0
    share = mode.memory_clock.value / board.memory.clock.value
    return Hardware(
        sms=sms,
        cuda_macs_per_s=sms * cuda.value * hertz,
        tensor_macs_per_s=sms * tensor * hertz,
        bytes_per_s=board.memory.bandwidth.value * 1e9 * share,
        gpu_hz=hertz,
        bytes_per_element=float(BYTES_PER_ELEMENT[precision]),
    )


def layer_seconds(
    layers: Columns,
    batch: float | Array,
    hardware: Hardware,
    family: Attained,
    c: Coefficients,
) -> tuple[Array, Array, float | Array]:
    """(arithmetic, memory, launch) in seconds for every layer.

    The one statement of the model: predictions call it for one board, the fit for thousands of
    layers on many boards at once, with columns in place of the board's numbers.
    """
    unit = layers.unit
    depthwise = UNITS.index("depthwise")
    tensor = (np.asarray(hardware.tensor_macs_per_s) > 0) & (unit != depthwise)
    half = np.asarray(hardware.bytes_per_element) == BYTES_PER_ELEMENT["fp16"]
    cuda_rate = hardware.cuda_macs_per_s * np.where(half, c.half, 1.0)
    rate = np.where(tensor, hardware.tensor_macs_per_s, cuda_rate) * family.speed
    cores = (c.cuda, c.tensor)
    shares = np.array([[g.conv, g.conv_1x1, g.winograd, c.depthwise, 1, 1] for g in cores])
    pads = np.array([[g.extra_rows_per_sm, g.extra_columns, g.extra_depth] for g in cores])
    extra = pads[tensor.astype(np.int64)].T
    padded = (
        layers.groups
        * (layers.rows * batch + extra[0] * hardware.sms)
        * (layers.columns + extra[1])
        * (layers.depth + extra[2])
    )
    work = np.where(unit < depthwise, padded, layers.macs * batch)
    compute = work / (rate * shares[tensor.astype(np.int64), unit])
    bandwidth = hardware.bytes_per_s * family.bandwidth
    relative = np.array([1, 1, 1, 1, c.streaming, c.normalization])
    moved = (layers.weights + layers.activations * batch) * hardware.bytes_per_element
    memory = moved / (bandwidth * relative[unit])
    return compute, memory, family.launch_clocks / hardware.gpu_hz
