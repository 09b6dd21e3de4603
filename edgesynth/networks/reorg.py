"""YOLOv2's passthrough: fine feature maps folded into more channels of half the side."""

from __future__ import annotations

import torch
from torch import nn

GROUP = 4
"""Channels that Reorg reads as one plane: they stay or go together."""


class Reorg(nn.Module):
    """Feature maps (n, c, h, w) as (n, 4 c, h / 2, w / 2), in darknet's order.

    It is not the order of SpaceToDepth. darknet (src/blas.c, `reorg_cpu` as `forward_reorg_layer`
    calls it) reads four channels as one plane of twice the side, takes that apart by the parity of
    row and column, and reads the parts as four planes again. Weights trained with darknet need
    exactly this. c is a multiple of 4, h and w are even.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        channels, height, width = x.shape[1], x.shape[2], x.shape[3]
        planes = x.reshape(-1, channels // GROUP, height, 2, width, 2)
        parts = planes.permute(0, 3, 5, 1, 2, 4)
        return parts.reshape(-1, GROUP * channels, height // 2, width // 2)
