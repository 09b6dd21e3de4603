"""`fashion-segmentation`: scenes composed of Fashion-MNIST items, with a class for every pixel.

The scenes are those of `fashion-detection` (see there), item by item and seed by seed. A pixel has
the class of the item that it shows, 1 to 10, or 0 for the background, to which bars and fragments
belong. Items never cross splits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesynth.core.dataset import Dataset
from edgesynth.data.fashion_mnist import CLASSES
from edgesynth.data.fashion_scenes import VALIDATION, load_fashion_scenes
from edgesynth.data.scenes import compose
from edgesynth.data.splits import Indices, Labels, Pixels

SIZE = 64
NAMES = ("background", *CLASSES)


class MaskedScenes:
    """Scenes of one size, each composed from its own seed on first use and then kept as uint8."""

    def __init__(
        self, items: Pixels, labels: Labels, *, count: int, size: int, seed: tuple[int, ...]
    ) -> None:
        """`items`: uint8 (n, height, width) to draw from; `labels`: their classes, shape (n,)."""
        self._items, self._labels, self._seed = items, labels, seed
        self._pixels = np.zeros((count, 1, size, size), np.uint8)
        self._masks = np.zeros((count, size, size), np.uint8)
        self._known = np.zeros(count, np.bool_)

    def __len__(self) -> int:
        return len(self._known)

    def images(self, indices: Indices) -> Pixels:
        """uint8 (len(indices), 1, size, size)."""
        self._compose(indices)
        return self._pixels[indices]

    def masks(self, indices: Indices) -> Pixels:
        """Class of every pixel, uint8 (len(indices), size, size)."""
        self._compose(indices)
        return self._masks[indices]

    def _compose(self, indices: Indices) -> None:
        for index in indices[~self._known[indices]].tolist():
            random = np.random.default_rng((*self._seed, index % len(self)))
            scene = compose(self._items, self._labels, self._pixels.shape[-1], random)
            self._pixels[index, 0] = scene.pixels
            table = np.concatenate([[0], scene.classes + 1]).astype(np.uint8)
            self._masks[index] = table[scene.owner + 1]
            self._known[index] = True


def load_fashion_segmentation(
    folder: Path,
    *,
    name: str,
    size: int = SIZE,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
) -> Dataset:
    """Scenes of `size` x `size` grey pixels from the four Fashion-MNIST files in `folder`.

    Splits, limits and errors are those of `load_fashion_scenes`.
    """
    return load_fashion_scenes(
        MaskedScenes,
        folder,
        name=name,
        task="segmentation",
        classes=NAMES,
        size=size,
        seed=seed,
        validation=validation,
        limit=limit,
    )
