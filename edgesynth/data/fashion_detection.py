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

from edgesynth.core.dataset import Boxes, Dataset, labelled
from edgesynth.core.errors import UserError
from edgesynth.data import mnist
from edgesynth.data.fashion_mnist import CLASSES
from edgesynth.data.scenes import compose
from edgesynth.data.splits import TEST_SEED, Indices, Labels, Pixels, blocks, statistics

SIZE = 96
TRAIN, VALIDATION, TEST = 4000, 500, 1000
_MOST = 40_000
_STATISTICS_SCENES = 512


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

    4,000 train, 500 validation and 1,000 test scenes. `limit` makes that many train scenes, up to
    40,000; fewer are the first of more. `validation` is a number of scenes or a share of 4,000.
    Raises UserError for sizes and numbers out of range.
    """
    if not 64 <= size <= 512:
        raise UserError(f'"{name}": size={size} is out of range; give 64 to 512 pixels')
    train = TRAIN if limit is None else limit
    held_out = round(validation * TRAIN) if isinstance(validation, float) else validation
    for what, count in (("train", train), ("validation", held_out)):
        if not 0 < count <= _MOST:
            raise UserError(f'"{name}" asks for {count} {what} scenes; give 1 to {_MOST}')
    items = mnist.load_mnist(folder, name=name, classes=CLASSES, seed=seed)

    def scenes(part: str, count: int, scene_seed: tuple[int, ...]) -> SceneSplit:
        return SceneSplit(*scene_parts(items, part), count=count, size=size, seed=scene_seed)

    trained = scenes("train", train, (seed, 1))
    few = np.arange(min(train, _STATISTICS_SCENES))
    mean, std = statistics(blocks(trained.images(few)))
    return Dataset(
        name=name,
        input_shape=(1, size, size),
        classes=CLASSES,
        mean=mean,
        std=std,
        train=trained,
        validation=scenes("validation", held_out, (seed, 2)),
        test=scenes("test", TEST, (TEST_SEED, 3)),
        task="detection",
    )


def scene_parts(items: Dataset, part: str) -> tuple[Pixels, Labels]:
    """The items of one split, uint8 (n, height, width), and their classes, shape (n,)."""
    split = labelled(getattr(items, part))
    return split.images(np.arange(len(split)))[:, 0], split.labels
