"""SqueezeNet 1.0 and 1.1 (Iandola et al., arXiv 1602.07360; 1.1 from the authors' repository).

Layer names and order are torchvision's, so its checkpoints of `squeezenet1_0` and `squeezenet1_1`
load as they are. Poolings round up, as in Caffe.
"""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.networks.layers import SMALL_IMAGE, initialize, scaled

_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Squeeze and expand channels of fire2 to fire9; each expands twice, by 1 x 1 and 3 x 3."""


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1 x 1 and 3 x 3 filters, concatenate."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (n, channels of both expansions, height, width)."""
        x = self.squeeze_activation(self.squeeze(x))
        one = self.expand1x1_activation(self.expand1x1(x))
        three = self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([one, three], 1)


class SqueezeNet(nn.Module):
    """Eight fire modules and a convolution that classifies; 1,235,496 parameters (1.1).

    `version` is "1.1" (pools early, 0.35 G MACs) or "1.0" (0.82 G MACs, 1,248,424 parameters).
    Small images (below 48 pixels) enter without stride.
    """

    def __init__(
        self,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        image: int = 224,
        version: str = "1.1",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        plans = {"1.0": (96, 7, (4, 8)), "1.1": (64, 3, (3, 5))}  # pooled behind these fires
        if version not in plans:
            raise UserError(f'squeezenet: no version "{version}"; give 1.0 or 1.1')
        base, kernel, pooled = plans[version]
        channels = scaled(base, width)
        if image < SMALL_IMAGE:
            stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        else:
            stem = nn.Conv2d(in_channels, channels, kernel, stride=2)
        layers = [stem, nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        for number, (squeezed, expanded) in enumerate(_FIRES, start=2):
            expansion = scaled(expanded, width)
            layers.append(Fire(channels, scaled(squeezed, width), expansion))
            channels = 2 * expansion
            if number in pooled:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(channels, classes, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        return torch.flatten(self.classifier(self.features(x)), 1)
