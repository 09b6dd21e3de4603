"""AlexNet (Krizhevsky et al., NIPS 2012) as Caffe ships it (models/bvlc_alexnet).

The two halves of the paper's two GPUs are convolutions with two groups. It takes 227 x 227 pixels
(the paper's text says 224, which does not fit its own sizes).
"""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.networks.layers import initialize, linear_layers, scaled, side_behind
from edgesynth.networks.normalization import LocalResponseNorm

_SMALLEST_FOR_STRIDE = 67  # 67 -> 15 -> 7 -> 3 -> 1


class AlexNet(nn.Module):
    """Five convolutions, three linear layers; 60,965,224 parameters at 227 x 227 pixels.

    Small images (below 67 pixels) enter through 5 x 5 filters without stride. `lrn` keeps the
    paper's local response normalization, which mixes five neighbouring channels.
    """

    def __init__(
        self,
        classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        image: int = 227,
        lrn: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled(each, width, 2) for each in (96, 256, 384, 384, 256))
        hidden = scaled(4096, width)
        if image < _SMALLEST_FOR_STRIDE:
            stem = nn.Conv2d(in_channels, c1, 5, padding=2)
        else:
            stem = nn.Conv2d(in_channels, c1, 11, stride=4)
        self.features = nn.Sequential(
            *_normalized(stem, lrn),
            nn.MaxPool2d(3, 2),
            *_normalized(nn.Conv2d(c1, c2, 5, padding=2, groups=2), lrn),
            nn.MaxPool2d(3, 2),
            *_normalized(nn.Conv2d(c2, c3, 3, padding=1), False),
            *_normalized(nn.Conv2d(c3, c4, 3, padding=1, groups=2), False),
            *_normalized(nn.Conv2d(c4, c5, 3, padding=1, groups=2), False),
            nn.MaxPool2d(3, 2),
        )
        side = side_behind(self.features, image)
        self.classifier = linear_layers(c5 * side * side, hidden, hidden, classes, dropout=dropout)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits


def _normalized(convolution: nn.Conv2d, lrn: bool) -> list[nn.Module]:
    """The convolution, its ReLU, and with `lrn` the normalization of the paper's section 3.3."""
    layers: list[nn.Module] = [convolution, nn.ReLU()]
    if lrn:
        layers.append(LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0))
    return layers
