"""What the networks of the zoo share: scaled widths, the size of feature maps, initial weights."""

from __future__ import annotations

from torch import nn


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """`channels` times `width`, rounded to a positive multiple of `multiple` (of groups)."""
    return max(1, round(channels * width / multiple)) * multiple


def side_after(side: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Height (or width) of the feature map behind a convolution or a floor-mode pooling."""
    return (side + 2 * padding - kernel) // stride + 1


def initialize(module: nn.Module) -> None:
    """He initialization (arXiv 1502.01852, fan-in) from torch's global generator.

    Biases and shifts start at 0, BatchNorm scales at 1. The last linear or convolution layer has
    no ReLU behind it, so it gets half the variance.
    """
    last = None
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            last = layer
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(
                layer.weight, nonlinearity="linear" if layer is last else "relu"
            )
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
