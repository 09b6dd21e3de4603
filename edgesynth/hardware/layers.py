"""What one layer costs: multiply-accumulates, bytes and shape, free of any file format.

A `Layer` is what runs as one kernel on the board, that is, after fusion (`fusion.py`). Counts are
per sample; precision and batch come in only when bytes are asked for. Search loops may make such
layers themselves and never touch ONNX; `onnx_layers.read_layers` makes them from a file.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Precision = Literal["fp32", "fp16"]
Kind = Literal[
    "conv",
    "conv 1x1",
    "depthwise",
    "grouped",
    "fully-connected",
    "matmul",
    "pool",
    "elementwise",
    "softmax",
    "normalization",
    "concat",
    "copy",
]

BYTES_PER_ELEMENT: dict[str, int] = {"fp32": 4, "fp16": 2}


class Layer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fused layer. Element and operation counts are for one sample.

    Its arithmetic is, for each of `groups`, a matrix product of `rows` (output positions) by
    `columns` (output channels of the group) with sums of `depth` terms; 0 where there is none.
    """

    name: str
    kind: Kind
    macs: int = 0
    """Multiply-accumulates of convolutions, linear layers and matrix products; else 0."""
    weights: int = 0
    """Parameter elements, kernels and biases: read once per batch."""
    inputs: int = 0
    """Activation elements read, a fused residual included."""
    outputs: int = 0
    """Activation elements written."""
    rows: int = 0
    columns: int = 0
    depth: int = 0
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    """Height and width of the convolution or pooling window."""
    stride: int = 1

    def weight_bytes(self, precision: Precision) -> int:
        """Bytes of parameters."""
        return self.weights * BYTES_PER_ELEMENT[precision]

    def activation_bytes(self, precision: Precision, batch: int = 1) -> int:
        """Bytes of activations read and written for `batch` samples."""
        return (self.inputs + self.outputs) * batch * BYTES_PER_ELEMENT[precision]

    def bytes(self, precision: Precision, batch: int = 1) -> int:
        """All bytes that pass through the memory interface when nothing stays in a cache."""
        return self.weight_bytes(precision) + self.activation_bytes(precision, batch)
