"""What `fashion-detection` and `fashion-segmentation` share: their scenes, splits and seeds.

The scenes of both are the same, item by item and seed by seed; only what is known about a scene
differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from edgesynth.core.dataset import BoxedSplit, Dataset, MaskedSplit, labelled
from edgesynth.core.errors import UserError
from edgesynth.data import mnist
from edgesynth.data.fashion_mnist import CLASSES
from edgesynth.data.splits import TEST_SEED, Labels, Pixels, blocks, statistics

TRAIN, VALIDATION, TEST = 4000, 500, 1000
_MOST = 40_000
_STATISTICS_SCENES = 512


class Scenes(Protocol):
    """A kind of split: makes one of items to draw from."""

    def __call__(
        self, items: Pixels, labels: Labels, *, count: int, size: int, seed: tuple[int, ...]
    ) -> BoxedSplit | MaskedSplit:
        """`items`: uint8 (n, height, width); `labels`: their classes, shape (n,)."""


def load_fashion_scenes(
    kind: Scenes,
    folder: Path,
    *,
    name: str,
    task: str,
    classes: tuple[str, ...],
    size: int,
    seed: int,
    validation: float | int,
    limit: int | None,
) -> Dataset:
    """Splits of `kind`, with items from the four Fashion-MNIST files in `folder`.

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

    def scenes(part: str, count: int, scene_seed: tuple[int, ...]) -> BoxedSplit | MaskedSplit:
        return kind(*scene_parts(items, part), count=count, size=size, seed=scene_seed)

    trained = scenes("train", train, (seed, 1))
    few = np.arange(min(train, _STATISTICS_SCENES))
    mean, std = statistics(blocks(trained.images(few)))
    return Dataset(
        name=name,
        input_shape=(1, size, size),
        classes=classes,
        mean=mean,
        std=std,
        train=trained,
        validation=scenes("validation", held_out, (seed, 2)),
        test=scenes("test", TEST, (TEST_SEED, 3)),
        task=task,
    )


def scene_parts(items: Dataset, part: str) -> tuple[Pixels, Labels]:
    """The items of one split, uint8 (n, height, width), and their classes, shape (n,)."""
    split = labelled(getattr(items, part))
    return split.images(np.arange(len(split)))[:, 0], split.labels
