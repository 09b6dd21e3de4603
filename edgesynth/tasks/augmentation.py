"""Augmentation: every image of a training batch is moved and mirrored by chance."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.core.errors import UserError, nearest, shown

Pixels = npt.NDArray[np.uint8]
_SHIFT = re.compile(r"shift=([1-9][0-9]?)")


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image between two epochs; its class stays."""

    flip: bool = False
    """Left and right are exchanged in half of the images."""
    shift: int = 0
    """Pixels that an image moves at most, along each axis; its border is repeated."""

    def __call__(self, pixels: Pixels, random: np.random.Generator) -> Pixels:
        """Augmented copies of `pixels`, uint8 (batch, channels, height, width)."""
        if self.flip:
            mirrored = random.random(len(pixels)) < 0.5
            pixels = np.where(mirrored[:, None, None, None], pixels[..., ::-1], pixels)
        if self.shift:
            pixels = _shifted(pixels, self.shift, random)
        return pixels


def parse_augmentation(text: str) -> Augmentation:
    """Read `none`, `flip`, `shift=2` or `flip,shift=2`.

    Raises UserError when a part is none of these.
    """
    flip, shift = False, 0
    for part in () if text == "none" else text.split(","):
        match = _SHIFT.fullmatch(part)
        if match:
            shift = int(match[1])
        elif part == "flip":
            flip = True
        else:
            known = nearest(part, ["none", "flip", "shift=2"])
            raise UserError(f'no augmentation "{shown(part)}" in "{shown(text)}"; {known}')
    return Augmentation(flip, shift)


def _shifted(pixels: Pixels, most: int, random: np.random.Generator) -> Pixels:
    count, _, height, width = pixels.shape
    wide = np.pad(pixels, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    down, right = random.integers(0, 2 * most + 1, (2, count))
    rows = (down[:, None] + np.arange(height))[:, None, :, None]
    columns = (right[:, None] + np.arange(width))[:, None, None, :]
    images = np.arange(count)[:, None, None, None]
    channels = np.arange(pixels.shape[1])[None, :, None, None]
    moved: Pixels = wide[images, channels, rows, columns]
    return moved
