"""RefineNet (Lin et al., arXiv 1611.06612) for semantic segmentation, with ResNet-18 as encoder.

Four stages of an encoder are refined from the coarsest to the finest: residual convolution units,
fusion of two resolutions, chained residual pooling. The paper's encoder is ResNet-101 and its
coarsest path has 512 channels; here basic blocks do, and 256 channels on every path, because a
Jetson runs in milliseconds what the paper runs on a server.
"""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.networks.layers import initialize, scaled
from edgesynth.networks.resnet import BasicBlock, residual_stage

_STEM_STRIDE = 128
"""From this side in pixels on the stem halves the side twice, as ResNet's, else once."""


class ResidualUnit(nn.Module):
    """ReLU and 3 x 3 convolution, twice, beside a shortcut (RCU)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps of the same shape."""
        result: torch.Tensor = x + self.conv2(self.relu2(self.conv1(self.relu1(x))))
        return result


class ChainedPooling(nn.Module):
    """Two poolings of 5 x 5, each with a convolution behind it, added up (CRP)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.pool1 = nn.MaxPool2d(5, stride=1, padding=2)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.pool2 = nn.MaxPool2d(5, stride=1, padding=2)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps of the same shape."""
        x = self.relu(x)
        near = self.conv1(self.pool1(x))
        far = self.conv2(self.pool2(near))
        result: torch.Tensor = x + near + far
        return result


class Refine(nn.Module):
    """One path: the encoder's feature maps, refined with what came from the coarser path."""

    def __init__(self, encoded: int, coarse: int, channels: int) -> None:
        """`encoded` and `coarse`: channels of the encoder and the coarser path; 0 without one."""
        super().__init__()
        self.adapt = nn.Conv2d(encoded, channels, 1)
        self.units = nn.Sequential(ResidualUnit(channels), ResidualUnit(channels))
        self.fuse = nn.Conv2d(channels, channels, 3, padding=1)
        self.fuse_coarse = nn.Conv2d(coarse, channels, 3, padding=1) if coarse else None
        self.pool = ChainedPooling(channels)
        self.output = ResidualUnit(channels)

    def forward(self, x: torch.Tensor, coarse: torch.Tensor | None = None) -> torch.Tensor:
        """Feature maps (n, channels, height, width) at the resolution of `x`."""
        x = self.fuse(self.units(self.adapt(x)))
        if self.fuse_coarse is not None and coarse is not None:
            wider = self.fuse_coarse(coarse)
            x = x + nn.functional.interpolate(
                wider, size=x.shape[2:], mode="bilinear", align_corners=False
            )
        refined: torch.Tensor = self.output(self.pool(x))
        return refined


class RefineNet(nn.Module):
    """Logits for every pixel at a quarter of the input's side, half of it below 128 pixels.

    Whoever judges widens them bilinearly, as the paper does; on a board that costs more memory than
    the whole network, and most uses want the small map.
    """

    task = "segmentation"

    def __init__(
        self, classes: int = 11, in_channels: int = 3, width: float = 1.0, image: int = 360
    ) -> None:
        super().__init__()
        c1, c2, c3, c4 = (scaled(each, width) for each in (64, 128, 256, 512))
        path = scaled(256, width)
        large = image >= _STEM_STRIDE
        self.conv1 = nn.Conv2d(
            in_channels, c1, 7 if large else 3, 2, padding=3 if large else 1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(c1)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        self.layer1 = residual_stage(BasicBlock, c1, c1, 2, stride=1)
        self.layer2 = residual_stage(BasicBlock, c1, c2, 2, stride=2)
        self.layer3 = residual_stage(BasicBlock, c2, c3, 2, stride=2)
        self.layer4 = residual_stage(BasicBlock, c3, c4, 2, stride=2)
        self.refine4 = Refine(c4, 0, path)
        self.refine3 = Refine(c3, path, path)
        self.refine2 = Refine(c2, path, path)
        self.refine1 = Refine(c1, path, path)
        self.classifier = nn.Conv2d(path, classes, 3, padding=1)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes, height / 4, width / 4) of images (n, channels, height, width)."""
        one = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        two = self.layer2(one)
        three = self.layer3(two)
        four = self.layer4(three)
        refined = self.refine3(three, self.refine4(four))
        refined = self.refine1(one, self.refine2(two, refined))
        logits: torch.Tensor = self.classifier(refined)
        return logits
