"""A network and a data set of one's own, as edgesynth takes them: two functions.

`network` makes a residual network with depthwise convolutions and a concatenation; `data` draws
noisy circles, squares and crosses. See README.md in this folder for the commands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import ArraySplit, Dataset

SIZE = 32
CLASSES = ("circle", "cross", "square")


class Block(nn.Module):
    """Depthwise and pointwise convolutions beside a pooled path, joined and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.near = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, half, 1),
        )
        self.far = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(channels, channels - half, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) to the same."""
        return torch.relu(x + torch.cat([self.near(x), self.far(x)], dim=1))


def network() -> nn.Module:
    """Logits (n, 3) of images (n, 1, 32, 32)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        Block(32),
        nn.MaxPool2d(2),
        Block(32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, len(CLASSES)),
    )


def data(seed: int = 0) -> Dataset:
    """Images that are always the same for one `seed`; the test images for every one."""
    train, validation, test = (
        drawn(count, np.random.default_rng(start))
        for count, start in ((1500, (seed, 1)), (300, (seed, 2)), (600, (2026, 3)))
    )
    shares = train.pixels / 255
    return Dataset(
        name="shapes",
        input_shape=(1, SIZE, SIZE),
        classes=CLASSES,
        mean=(float(shares.mean()),),
        std=(float(shares.std()),),
        train=train,
        validation=validation,
        test=test,
    )


def drawn(count: int, random: np.random.Generator) -> ArraySplit:
    """`count` images with their classes."""
    labels = random.integers(0, len(CLASSES), count)
    pixels = np.stack([shape(int(label), random) for label in labels])
    return ArraySplit(pixels[:, np.newaxis], labels)


def shape(label: int, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One image, (32, 32): a shape of any size at any place, under noise."""
    radius = random.uniform(4, 9)
    center = random.uniform(radius, SIZE - radius, 2)
    down, right = (np.abs(np.arange(SIZE) - at) for at in center)
    far, near = np.maximum(down[:, None], right), np.minimum(down[:, None], right)
    inside = (np.hypot(far, near), np.where(near < radius / 3, far, SIZE), far)[label] < radius
    image = 80 + 90 * inside + random.normal(0, 25, (SIZE, SIZE))
    return np.clip(image, 0, 255).astype(np.uint8)
