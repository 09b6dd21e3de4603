"""DetectNet: GoogLeNet as a fully convolutional detector, without anchors.

NVIDIA published it with DIGITS 4 as a Caffe file (github.com/NVIDIA/caffe, branch caffe-0.15,
examples/kitti/detectnet_network.prototxt). Every cell of a grid of `stride` pixels says how surely
the middle of an object of each class covers it, and where the edges of that object lie. `pool4` of
GoogLeNet is left out, so the grid has a stride of 16 pixels; its average pooling and classifier
are replaced by two 1 x 1 convolutions. Its input is the pixel less 127 (as `Preprocessing`: scale
1, mean 127, std 1).

`batch_norm=True, lrn=False, coverage_loss="bce"` are for training from scratch, where the published
network starts from GoogLeNet's weights.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.networks.coverage_head import CoverageHead
from edgesynth.networks.googlenet import STAGE_3, STAGE_4, STAGE_5, inceptions, stem
from edgesynth.networks.layers import SMALL_IMAGE, initialize

_COMMON_IMAGE = 256
"""From this side in pixels the published stride is taken; objects of smaller images are lost on a
grid of 16 pixels."""
_STRIDES = (4, 8, 16)
_RARE = 0.01
"""Share of covered cells that a new network with cross-entropy assumes (arXiv 1708.02002, section
4.1). Otherwise its first steps go into learning that most cells are empty."""


class DetectNet(nn.Module):
    """Coverage and boxes on a grid; 5,978,677 parameters for one class.

    `image` is the shorter side of the input in pixels, which may have any shape. `stride` 0 takes
    16, 8 or 4 pixels as suits that side: smaller strides enter through 3 x 3 filters without
    pooling. All classes share one box per cell, as in the published file for two classes.
    `coverage_loss` and `clustering` are the head's.
    """

    def __init__(
        self,
        classes: int = 1,
        in_channels: int = 3,
        width: float = 1.0,
        image: int = 384,
        stride: int = 0,
        lrn: bool = True,
        batch_norm: bool = False,
        dropout: float = 0.4,
        coverage_loss: str = "l2",
        clustering: str = "nms",
    ) -> None:
        super().__init__()
        stride = stride or _stride_for(image)
        if stride not in _STRIDES:
            raise UserError(f"detectnet: stride={stride} is not 0, 4, 8 or 16 pixels")
        self.head = CoverageHead(classes, stride, coverage_loss, clustering)
        self.stem, channels = stem(in_channels, width, stride // 4, lrn, batch_norm)
        self.stage3, channels = inceptions(channels, STAGE_3, width, batch_norm)
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.stage4, channels = inceptions(channels, STAGE_4, width, batch_norm)
        self.stage5, channels = inceptions(channels, STAGE_5, width, batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.coverage = nn.Conv2d(channels, classes, 1)
        self.bboxes = nn.Conv2d(channels, 4, 1)
        initialize(self)
        if coverage_loss == "bce":
            nn.init.constant_(self.coverage.get_parameter("bias"), math.log(_RARE / (1 - _RARE)))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of images (n, channels, height, width), `coverage` (n, classes, rows, columns) in 0..1
        and `bboxes` (n, 4, rows, columns): left, top, right, bottom in pixels from the cell's left
        upper corner."""
        x = self.pool3(self.stage3(self.stem(x)))
        x = self.dropout(self.stage5(self.stage4(x)))
        return {"coverage": torch.sigmoid(self.coverage(x)), "bboxes": self.bboxes(x)}


def _stride_for(image: int) -> int:
    if image < SMALL_IMAGE:
        return 4
    return 8 if image < _COMMON_IMAGE else 16
