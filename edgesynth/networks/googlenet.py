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
_STAGE_3 = {"inception3a": (64, 96, 128, 16, 32, 32), "inception3b": (128, 128, 192, 32, 96, 64)}
_STAGE_4 = {
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
}
_STAGE_5 = {
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """Four parallel branches, concatenated along the channels."""

    def __init__(self, in_channels: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        plain, reduce3, out3, reduce5, out5, projected = channels
        self.branch1 = _activated(nn.Conv2d(in_channels, plain, 1))
        self.branch2 = nn.Sequential(
            *_activated(nn.Conv2d(in_channels, reduce3, 1)),
            *_activated(nn.Conv2d(reduce3, out3, 3, padding=1)),
        )
        self.branch3 = nn.Sequential(
            *_activated(nn.Conv2d(in_channels, reduce5, 1)),
            *_activated(nn.Conv2d(reduce5, out5, 5, padding=2)),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1), *_activated(nn.Conv2d(in_channels, projected, 1))
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
        c1, c2 = scaled(64, width), scaled(192, width)
        self.stem = nn.Sequential(
            *_entry(in_channels, c1, image),
            *_normalization(lrn),
            *_activated(nn.Conv2d(c1, c1, 1)),
            *_activated(nn.Conv2d(c1, c2, 3, padding=1)),
            *_normalization(lrn),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.stage3, channels = _stage(c2, _STAGE_3, width)
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.stage4, channels = _stage(channels, _STAGE_4, width)
        self.pool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.stage5, channels = _stage(channels, _STAGE_5, width)
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


def _entry(in_channels: int, channels: int, image: int) -> list[nn.Module]:
    if image < SMALL_IMAGE:
        return [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU()]
    return [
        nn.Conv2d(in_channels, channels, 7, stride=2, padding=3),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
    ]


def _stage(
    channels: int, modules: Mapping[str, tuple[int, ...]], width: float
) -> tuple[nn.Sequential, int]:
    """The Inception modules of one resolution and the channels that leave the last."""
    stage = nn.Sequential()
    for name, base in modules.items():
        branches = tuple(scaled(each, width) for each in base)
        stage.add_module(name, Inception(channels, branches))
        plain, _, out3, _, out5, projected = branches
        channels = plain + out3 + out5 + projected
    return stage, channels


def _activated(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.ReLU())


def _normalization(lrn: bool) -> list[nn.Module]:
    return [LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)] if lrn else []
