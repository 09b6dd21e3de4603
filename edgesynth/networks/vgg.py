"""VGG-16 and VGG-19 (Simonyan and Zisserman, arXiv 1409.1556, configurations D and E).

Layer names and order are torchvision's, so its checkpoints of `vgg16` load as they are.
"""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.networks.layers import initialize, linear_layers, scaled, side_behind

_CHANNELS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five stages of 3 x 3 convolutions, each ended by a pooling, and three linear layers.

    `convolutions` per stage. Where a small image has shrunk to one pixel the remaining poolings
    are left out. `batch_norm` puts a BatchNorm behind every convolution.
    """

    def __init__(
        self,
        convolutions: tuple[int, ...],
        classes: int,
        in_channels: int,
        width: float,
        image: int,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for count, base in zip(convolutions, _CHANNELS, strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(channels, scaled(base, width), 3, padding=1))
                channels = scaled(base, width)
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU())
            if side_behind(layers, image) > 1:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        side, hidden = side_behind(layers, image), scaled(4096, width)
        self.classifier = linear_layers(
            channels * side * side, hidden, hidden, classes, dropout=dropout
        )
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits


def vgg16(
    classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    image: int = 224,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> VGG:
    """Configuration D: 13 convolutions, 138,357,544 parameters at 224 x 224 pixels."""
    return VGG((2, 2, 3, 3, 3), classes, in_channels, width, image, batch_norm, dropout)


def vgg19(
    classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    image: int = 224,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> VGG:
    """Configuration E: 16 convolutions, 143,667,240 parameters at 224 x 224 pixels."""
    return VGG((2, 2, 4, 4, 4), classes, in_channels, width, image, batch_norm, dropout)
