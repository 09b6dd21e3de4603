"""OverFeat, the fast model (Sermanet et al., arXiv 1312.6229, table 1)."""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.networks.layers import initialize, linear_layers, scaled, side_behind

_SMALLEST_FOR_STRIDE = 71  # 71 -> 16 -> 8 -> 4 -> 2 -> 1


class OverFeat(nn.Module):
    """Five convolutions, three linear layers; 145,920,872 parameters at 231 x 231 pixels.

    Small images (below 71 pixels) enter through 5 x 5 filters without stride.
    """

    def __init__(
        self,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        image: int = 231,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled(each, width) for each in (96, 256, 512, 1024, 1024))
        hidden1, hidden2 = scaled(3072, width), scaled(4096, width)
        if image < _SMALLEST_FOR_STRIDE:
            stem = nn.Conv2d(in_channels, c1, 5, padding=2)
        else:
            stem = nn.Conv2d(in_channels, c1, 11, stride=4)
        self.features = nn.Sequential(
            stem,
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c1, c2, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c2, c3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        side = side_behind(self.features, image)
        self.classifier = linear_layers(
            c5 * side * side, hidden1, hidden2, classes, dropout=dropout
        )
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits
