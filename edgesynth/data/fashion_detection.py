"""`fashion-detection`: scenes composed of Fashion-MNIST items, with a box around each.

A scene is a grey canvas with a gradient, clouds and grain, on it bars and cut-out fragments that
belong to no class, on those up to five items at 0.6 to 1.6 times their 28 pixels, mirrored or not,
brighter or darker, partly beyond the border or behind each other. One scene in twenty is empty.

- A box is tight around what is *visible* of its item, as in VOC: what another item or the border
  hides does not widen it. At least 65 % of every item's silhouette stays visible.
- Items never cross splits: test scenes show official test images only, validation scenes the
  validation images of the same seed's `fashion-mnist`, train scenes the rest.
- Test scenes are always the same; train and validation scenes are others for another seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesynth.core.dataset import Boxes, Dataset
from edgesynth.data.fashion_mnist import CLASSES
from edgesynth.data.fashion_scenes import VALIDATION, load_fashion_scenes
from edgesynth.data.scenes import compose
from edgesynth.data.splits import Indices, Labels, Pixels

SIZE = 96


class SceneSplit:
    """Scenes of one size, each composed from its own seed on first use and then kept as uint8."""

    def __init__(
        self, items: Pixels, labels: Labels, *, count: int, size: int, seed: tuple[int, ...]
    ) -> None:
        """`items`: uint8 (n, height, width) to draw from; `labels`: their classes, shape (n,)."""
        self._items, self._labels, self._seed = items, labels, seed
        self._pixels = np.zeros((count, 1, size, size), np.uint8)
        self._boxes: list[Boxes | None] = [None] * count

    def __len__(self) -> int:
        return len(self._boxes)

    def images(self, indices: Indices) -> Pixels:
        """uint8 (len(indices), 1, size, size)."""
        for index in indices:
            self._composed(int(index))
        return self._pixels[indices]

    def boxes(self, indices: Indices) -> list[Boxes]:
        """The items of the scenes at `indices`, the hindmost first; none is ignored."""
        return [self._composed(int(index)) for index in indices]

    def _composed(self, index: int) -> Boxes:
        known = self._boxes[index]
        if known is None:
            random = np.random.default_rng((*self._seed, index % len(self)))
            scene = compose(self._items, self._labels, self._pixels.shape[-1], random)
            self._pixels[index, 0] = scene.pixels
            known = Boxes(scene.corners, scene.classes, np.zeros(len(scene.classes), np.bool_))
            self._boxes[index] = known
        return known


def load_fashion_detection(
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
        SceneSplit,
        folder,
        name=name,
        task="detection",
        classes=CLASSES,
        size=size,
        seed=seed,
        validation=validation,
        limit=limit,
    )
