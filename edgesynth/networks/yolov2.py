"""YOLOv2 (Redmon and Farhadi, arXiv 1612.08242) as darknet's cfg/yolov2-voc.cfg has it.

Darknet-19 without its classifier, three more 3 x 3 convolutions, and the passthrough that brings
fine features to the last but one. Layers are defined in the order of the configuration file, so
that darknet's weights can be read in one pass (see `darknet_weights`).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.networks.layers import initialize, scaled
from edgesynth.networks.region_head import RegionHead, parse_anchors
from edgesynth.networks.reorg import GROUP, Reorg

VOC_ANCHORS = "1.3221x1.73145/3.19275x4.00944/5.05587x8.09892/9.47112x4.84053/11.2364x10.0071"
"""Of cfg/yolov2-voc.cfg: width and height in cells of the 13 x 13 grid."""

# filters and kernel of each convolution up to a pooling
_STAGES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((32, 3),),
    ((64, 3),),
    ((128, 3), (64, 1), (128, 3)),
    ((256, 3), (128, 1), (256, 3)),
    ((512, 3), (256, 1), (512, 3), (256, 1), (512, 3)),
    ((1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3), (1024, 3), (1024, 3)),
)
_POOLED = {32: (1, 2, 3, 4), 16: (1, 2, 3), 8: (1, 2)}
"""Stride -> stages behind which the fine part of the network halves the side."""


class Block(nn.Sequential):
    """Convolution, batch normalization, leaky ReLU of slope 0.1; keeps the side."""

    def __init__(self, in_channels: int, channels: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.1),
        )


class YOLOv2(nn.Module):
    """23 convolutions; 50,655,389 parameters with the 20 classes of VOC.

    `stride` is the side in pixels of a cell of the output: 32 as published, or 16 or 8 for small
    images, which leave out the poolings before the last one; 0 chooses by `image`. `anchors` are
    the typical objects, `WIDTHxHEIGHT/...` in cells. `image` must be a multiple of the stride.
    """

    def __init__(
        self,
        classes: int = 20,
        in_channels: int = 3,
        width: float = 1.0,
        image: int = 416,
        stride: int = 0,
        anchors: str = VOC_ANCHORS,
    ) -> None:
        super().__init__()
        stride = stride or default_stride(image)
        if stride not in _POOLED:
            raise UserError(f"yolov2: stride={stride} is none of 8, 16 and 32")
        if image % stride:
            raise UserError(
                f"yolov2: image={image} is not a multiple of the stride {stride}; "
                f"take images of {-(-image // stride) * stride} pixels, or stride=8 or 16"
            )
        boxes = parse_anchors(anchors)
        self.fine, channels = _stages(_STAGES[:5], in_channels, width, _POOLED[stride])
        self.pool = nn.MaxPool2d(2, 2)
        self.coarse, deep = _stages(_STAGES[5:], channels, width, ())
        passed = scaled(64, width, GROUP)
        self.passthrough = Block(channels, passed, 1)
        self.reorg = Reorg()
        joined = scaled(1024, width)
        self.join = Block(GROUP * passed + deep, joined, 3)
        self.detect = nn.Conv2d(joined, len(boxes) * (5 + classes), 1)
        self.head = RegionHead(classes=classes, stride=stride, anchors=boxes)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raw output (n, anchors * (5 + classes), height / stride, width / stride) of images
        (n, channels, height, width); `head` says what the numbers mean."""
        fine = self.fine(x)
        passed = self.reorg(self.passthrough(fine))
        output: torch.Tensor = self.detect(
            self.join(torch.cat([passed, self.coarse(self.pool(fine))], 1))
        )
        return output


def default_stride(image: int) -> int:
    """Side of a cell in pixels: 32, and less where that would leave fewer than 8 x 8 cells."""
    return 32 if image >= 256 else 16 if image >= 128 else 8


def _stages(
    stages: Iterable[tuple[tuple[int, int], ...]],
    channels: int,
    width: float,
    pooled: tuple[int, ...],
) -> tuple[nn.Sequential, int]:
    """The convolutions of `stages`, halving the side behind those numbered (from 1) in `pooled`;
    and the channels that leave the last."""
    layers = nn.Sequential()
    for number, stage in enumerate(stages, start=1):
        for filters, kernel in stage:
            layers.append(Block(channels, scaled(filters, width), kernel))
            channels = scaled(filters, width)
        if number in pooled:
            layers.append(nn.MaxPool2d(2, 2))
    return layers, channels
