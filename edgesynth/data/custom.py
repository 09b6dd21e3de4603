"""A user's own data set: `package.module:factory`, a function that returns a `Dataset`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from edgesynth.core.dataset import (
    UNLABELLED,
    BoxedSplit,
    Dataset,
    Images,
    MaskedSplit,
    Split,
    boxed,
    labelled,
    masked,
)
from edgesynth.core.errors import UserError
from edgesynth.data.splits import BoxedSubset, MaskedSubset, Subset, balanced_order, take


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
    for part in ("train", "validation", "test"):
        _check(dataset, getattr(dataset, part), f"{name}: {part}")
    channels = dataset.input_shape[0]
    if not len(dataset.mean) == len(dataset.std) == channels or min(dataset.std) <= 0:
        raise UserError(f"{name}: mean and std need one value per channel, std above 0")
    return dataclasses.replace(dataset, name=name, train=_limited(dataset, seed, limit, name))


def _limited(dataset: Dataset, seed: int, limit: int | None, name: str) -> Images:
    if limit is None:
        return dataset.train
    if dataset.task == "segmentation":
        order = np.random.default_rng(seed).permutation(len(dataset.train))
        return MaskedSubset(masked(dataset.train), take(order, limit, name))
    if dataset.task == "detection":
        order = np.random.default_rng(seed).permutation(len(dataset.train))
        return BoxedSubset(boxed(dataset.train), take(order, limit, name))
    train = labelled(dataset.train)
    return Subset(train, take(balanced_order(train.labels, seed), limit, name))


def _check(dataset: Dataset, split: Images, where: str) -> None:
    if dataset.task == "detection":
        _check_boxes(dataset, boxed(split), where)
    elif dataset.task == "segmentation":
        _check_masks(dataset, masked(split), where)
    else:
        _check_labels(dataset, labelled(split), where)
    first = split.images(np.arange(1))
    if first.dtype != np.uint8 or first.shape != (1, *dataset.input_shape):
        raise UserError(
            f"{where} images are {first.dtype} {first.shape[1:]}; "
            f"uint8 {dataset.input_shape} (channels, height, width) is needed"
        )


def _check_boxes(dataset: Dataset, split: BoxedSplit, where: str) -> None:
    if len(split) == 0:
        raise UserError(f"{where} needs at least one image")
    first = split.boxes(np.arange(1))[0]
    count = len(first.classes)
    if first.corners.shape != (count, 4) or first.ignored.shape != (count,):
        raise UserError(
            f"{where} boxes have corners of shape {first.corners.shape} and ignored of shape "
            f"{first.ignored.shape} for {count} classes; (n, 4), (n,) and (n,) are needed"
        )
    wrong = (first.classes >= len(dataset.classes)) | (first.classes < -first.ignored.astype(int))
    if wrong.any():
        raise UserError(
            f"{where} has an object of class {first.classes[wrong][0]}, but there are "
            f"{len(dataset.classes)} classes"
        )


def _check_masks(dataset: Dataset, split: MaskedSplit, where: str) -> None:
    if len(split) == 0:
        raise UserError(f"{where} needs at least one image")
    first = split.masks(np.arange(1))
    if first.dtype != np.uint8 or first.shape != (1, *dataset.input_shape[1:]):
        raise UserError(
            f"{where} masks are {first.dtype} {first.shape[1:]}; uint8 "
            f"{dataset.input_shape[1:]} (height, width) is needed"
        )
    wrong = (first >= len(dataset.classes)) & (first != UNLABELLED)
    if wrong.any():
        raise UserError(
            f"{where} has a pixel of class {first[wrong][0]}, but there are "
            f"{len(dataset.classes)} classes, and 255 for none"
        )


def _check_labels(dataset: Dataset, split: Split, where: str) -> None:
    labels = split.labels
    if len(split) == 0 or labels.shape != (len(split),) or labels.dtype.kind not in "iu":
        raise UserError(f"{where} needs one integer label per image and at least one image")
    if labels.min() < 0 or labels.max() >= len(dataset.classes):
        raise UserError(
            f"{where} has labels {labels.min()} to {labels.max()}, but there are "
            f"{len(dataset.classes)} classes"
        )
