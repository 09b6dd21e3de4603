"""What the networks of the zoo share: scaled widths, the size of feature maps, initial weights."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from torch import nn

SMALL_IMAGE = 48
"""Below this side in pixels (CIFAR has 32, Fashion-MNIST 28) a network made for ImageNet gets a
stem without stride: its own would leave a feature map of one pixel."""


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """`channels` times `width`, rounded to a positive multiple of `multiple` (of groups)."""
    return max(1, round(channels * width / multiple)) * multiple


def side_behind(layers: Iterable[nn.Module], side: int) -> int:
    """Side in pixels of the square feature map behind `layers`, entered with `side` pixels.

    Convolutions and max poolings that round down; all other layers keep the side.
    """
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            kernel, stride, padding = (
                value if isinstance(value, int) else int(value[0])
                for value in (layer.kernel_size, layer.stride, layer.padding)
            )
            side = (side + 2 * padding - kernel) // stride + 1
    return side


def linear_layers(*sizes: int, dropout: float) -> nn.Sequential:
    """Linear layers from `sizes[0]` inputs to `sizes[-1]` outputs, ReLU and dropout between."""
    layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
    for inputs, outputs in pairwise(sizes[1:]):
        layers += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def initialize(module: nn.Module) -> None:
    """He initialization (arXiv 1502.01852, fan-in) from torch's global generator.

    Biases and shifts start at 0, BatchNorm scales at 1. The last linear or convolution layer feeds
    no further layer through a ReLU, so it gets half the variance.
    """
    weighted = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in weighted:
        nn.init.kaiming_normal_(
            layer.weight, nonlinearity="linear" if layer is weighted[-1] else "relu"
        )
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
