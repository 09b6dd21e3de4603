"""Pictures in files: decoded when they are asked for, and the statistics of many of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesynth.core.dataset import Images
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.data.splits import Pixels, statistics

if TYPE_CHECKING:
    from PIL.Image import Image

_STATISTICS_IMAGES = 1000
_STATISTICS_BLOCK = 20


def open_rgb(path: Path, least: tuple[int, int]) -> tuple[Image, tuple[int, int]]:
    """The picture at `path` as RGB, and its full width and height.

    A JPEG may come at a fraction of its size, but not below `least`, (width, height): that decodes
    faster. Raises UserError naming the file when it cannot be read or has more than 8 bits.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"mode {image.mode}, more than 8 bits per channel")
            full = image.size
            image.draft("RGB", least)
            picture = image.convert("RGBA" if "transparency" in image.info else "RGB")
            return picture.convert("RGB"), full
    except Exception as error:  # decoders raise whatever a damaged file makes them run into
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"image {path} cannot be read ({reason}); replace or remove it") from None


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height from the file's header; UserError names a file that is no picture."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.size
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"image {path} cannot be read ({reason}); replace or remove it") from None


def sampled_statistics(
    train: Images, progress: Progress
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel over up to 1,000 images spread evenly over `train`."""
    chosen = np.unique(np.linspace(0, len(train) - 1, _STATISTICS_IMAGES).astype(np.int64))
    with progress.track("reading images for mean and deviation", len(chosen)) as task:

        def read() -> Iterator[Pixels]:
            for start in range(0, len(chosen), _STATISTICS_BLOCK):
                block = chosen[start : start + _STATISTICS_BLOCK]
                yield train.images(block)
                task.advance(len(block))

        return statistics(read())
