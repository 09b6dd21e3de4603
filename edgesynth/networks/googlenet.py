"""GoogLeNet, the first Inception network (Szegedy et al., arXiv 1409.4842, table 1).

The two auxiliary classifiers only serve training and are left out, as in Caffe's deployed file
(models/bvlc_googlenet). Poolings round up, which gives the paper's sizes 56, 28, 14 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from edgesynth.networks.layers import SMALL_IMAGE, initialize, scaled
from edgesynth.networks.normalization import LocalResponseNorm

# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
STAGE_3 = {"inception3a": (64, 96, 128, 16, 32, 32), "inception3b": (128, 128, 192, 32, 96, 64)}
STAGE_4 = {
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
}
STAGE_5 = {
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """Four parallel branches, concatenated along the channels."""

    def __init__(
        self, in_channels: int, channels: tuple[int, ...], batch_norm: bool = False
    ) -> None:
        super().__init__()
        plain, reduce3, out3, reduce5, out5, projected = channels
        self.branch1 = nn.Sequential(*_convolution(in_channels, plain, 1, batch_norm))
        self.branch2 = nn.Sequential(
            *_convolution(in_channels, reduce3, 1, batch_norm),
            *_convolution(reduce3, out3, 3, batch_norm),
        )
        self.branch3 = nn.Sequential(
            *_convolution(in_channels, reduce5, 1, batch_norm),
            *_convolution(reduce5, out5, 5, batch_norm),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1), *_convolution(in_channels, projected, 1, batch_norm)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (n, sum of the branches' channels, height, width)."""
        branches = [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]
        return torch.cat(branches, 1)


class GoogLeNet(nn.Module):
    """Nine Inception modules, average pooling, one linear layer; 6,998,552 parameters.

    Small images (below 48 pixels) enter through 3 x 3 filters without stride or pooling. `lrn`
    keeps the paper's local response normalization, which mixes five neighbouring channels.
    """

    def __init__(
        self,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        image: int = 224,
        lrn: bool = True,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.stem, channels = stem(in_channels, width, 1 if image < SMALL_IMAGE else 4, lrn)
        self.stage3, channels = inceptions(channels, STAGE_3, width)
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.stage4, channels = inceptions(channels, STAGE_4, width)
        self.pool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.stage5, channels = inceptions(channels, STAGE_5, width)
        self.pool5 = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, classes)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        x = self.pool3(self.stage3(self.stem(x)))
        x = self.pool4(self.stage4(x))
        x = self.pool5(self.stage5(x))
        logits: torch.Tensor = self.fc(self.dropout(torch.flatten(x, 1)))
        return logits


def stem(
    in_channels: int, width: float, entry_stride: int, lrn: bool, batch_norm: bool = False
) -> tuple[nn.Sequential, int]:
    """What comes before the Inception modules, and its output channels.

    It divides the resolution by twice `entry_stride`: 4 is the paper's entry (7 x 7 filters of
    stride 2 and a pooling), 2 and 1 are 3 x 3 filters of that stride, for small images.
    """
    c1, c2 = scaled(64, width), scaled(192, width)
    layers = nn.Sequential(
        *_entry(in_channels, c1, entry_stride, batch_norm),
        *_normalization(lrn),
        *_convolution(c1, c1, 1, batch_norm),
        *_convolution(c1, c2, 3, batch_norm),
        *_normalization(lrn),
        nn.MaxPool2d(3, 2, ceil_mode=True),
    )
    return layers, c2


def inceptions(
    channels: int,
    modules: Mapping[str, tuple[int, ...]],
    width: float,
    batch_norm: bool = False,
) -> tuple[nn.Sequential, int]:
    """The Inception modules of one resolution and the channels that leave the last."""
    stage = nn.Sequential()
    for name, base in modules.items():
        branches = tuple(scaled(each, width) for each in base)
        stage.add_module(name, Inception(channels, branches, batch_norm))
        plain, _, out3, _, out5, projected = branches
        channels = plain + out3 + out5 + projected
    return stage, channels


def _entry(in_channels: int, channels: int, stride: int, batch_norm: bool) -> list[nn.Module]:
    if stride < 4:
        return _convolution(in_channels, channels, 3, batch_norm, stride)
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return [*_convolution(in_channels, channels, 7, batch_norm, 2), pool]


def _convolution(
    in_channels: int, out_channels: int, side: int, batch_norm: bool, stride: int = 1
) -> list[nn.Module]:
    """A convolution that keeps the size (but for its stride), normalized or not, and ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, side, stride=stride, padding=side // 2)
    ]
    if batch_norm:
        layers.append(nn.BatchNorm2d(out_channels))
    return [*layers, nn.ReLU()]


def _normalization(lrn: bool) -> list[nn.Module]:
    return [LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)] if lrn else []
