"""A user's own data set: `package.module:factory`, a function that returns a `Dataset`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import BoxedSplit, Boxes, Dataset, Images, boxed, labelled
from edgesynth.core.errors import UserError
from edgesynth.data.splits import Subset, balanced_order, take


def load_custom(
    factory: Callable[..., Any],
    *,
    name: str,
    seed: int,
    validation: float | int | None,
    limit: int | None,
) -> Dataset:
    """What `factory` returns, checked, so that a mistake shows here and not in the training.

    The function gets `seed` and `validation` by keyword when it has parameters of these names.
    `limit` keeps that many train images. Raises UserError when it does not return a data set.
    """
    known = inspect.signature(factory).parameters
    given = {"seed": seed, "validation": validation}
    dataset = factory(
        **{key: value for key, value in given.items() if key in known and value is not None}
    )
    if not isinstance(dataset, Dataset):
        raise UserError(
            f'"{name}" returned {type(dataset).__name__}, not an edgesynth.core.dataset.Dataset'
        )
    check = _check_boxed if dataset.task == "detection" else _check_labelled
    for part in ("train", "validation", "test"):
        check(dataset, getattr(dataset, part), f"{name}: {part}")
        _check_images(dataset, getattr(dataset, part), f"{name}: {part}")
    channels = dataset.input_shape[0]
    if not len(dataset.mean) == len(dataset.std) == channels or min(dataset.std) <= 0:
        raise UserError(f"{name}: mean and std need one value per channel, std above 0")
    train = dataset.train if limit is None else _limited(dataset, limit, seed, name)
    return dataclasses.replace(dataset, name=name, train=train)


def _limited(dataset: Dataset, limit: int, seed: int, name: str) -> Images:
    """`limit` train images: the classes in proportion, or a random choice of scenes."""
    if dataset.task == "detection":
        order = np.random.default_rng(seed).permutation(len(dataset.train))
        return _SomeBoxed(boxed(dataset.train), take(order, limit, name))
    train = labelled(dataset.train)
    return Subset(train, take(balanced_order(train.labels, seed), limit, name))


@dataclasses.dataclass(frozen=True)
class _SomeBoxed:
    """Some images of a split with their objects."""

    split: BoxedSplit
    kept: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kept)

    def images(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self.split.images(self.kept[indices])

    def boxes(self, indices: npt.NDArray[np.int64]) -> list[Boxes]:
        return self.split.boxes(self.kept[indices])


def _check_labelled(dataset: Dataset, images: Images, where: str) -> None:
    split = labelled(images)
    labels = split.labels
    if len(split) == 0 or labels.shape != (len(split),) or labels.dtype.kind not in "iu":
        raise UserError(f"{where} needs one integer label per image and at least one image")
    if labels.min() < 0 or labels.max() >= len(dataset.classes):
        raise UserError(
            f"{where} has labels {labels.min()} to {labels.max()}, but there are "
            f"{len(dataset.classes)} classes"
        )


def _check_boxed(dataset: Dataset, images: Images, where: str) -> None:
    split = boxed(images)
    if len(split) == 0:
        raise UserError(f"{where} needs at least one image")
    objects = split.boxes(np.arange(1))[0]
    count = len(objects.classes)
    if objects.corners.shape != (count, 4) or objects.ignored.shape != (count,):
        raise UserError(
            f"{where} boxes have corners {objects.corners.shape}, classes {objects.classes.shape} "
            f"and ignored {objects.ignored.shape}; (n, 4), (n,) and (n,) are needed"
        )
    if (objects.classes[~objects.ignored] < 0).any() or (
        objects.classes >= len(dataset.classes)
    ).any():
        raise UserError(
            f"{where} has objects of class {objects.classes.min()} to {objects.classes.max()}, but "
            f"there are {len(dataset.classes)} classes"
        )


def _check_images(dataset: Dataset, split: Images, where: str) -> None:
    first = split.images(np.arange(1))
    if first.dtype != np.uint8 or first.shape != (1, *dataset.input_shape):
        raise UserError(
            f"{where} images are {first.dtype} {first.shape[1:]}; "
            f"uint8 {dataset.input_shape} (channels, height, width) is needed"
        )
