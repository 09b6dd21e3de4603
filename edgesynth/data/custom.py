"""A user's own data set: `package.module:factory`, a function that returns a `Dataset`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from edgesynth.core.dataset import Dataset, Split, labelled
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
    for part in ("train", "validation", "test"):
        _check(dataset, labelled(getattr(dataset, part)), f"{name}: {part}")
    channels = dataset.input_shape[0]
    if not len(dataset.mean) == len(dataset.std) == channels or min(dataset.std) <= 0:
        raise UserError(f"{name}: mean and std need one value per channel, std above 0")
    train = labelled(dataset.train)
    if limit is not None:
        train = Subset(train, take(balanced_order(train.labels, seed), limit, name))
    return dataclasses.replace(dataset, name=name, train=train)


def _check(dataset: Dataset, split: Split, where: str) -> None:
    labels = split.labels
    if len(split) == 0 or labels.shape != (len(split),) or labels.dtype.kind not in "iu":
        raise UserError(f"{where} needs one integer label per image and at least one image")
    if labels.min() < 0 or labels.max() >= len(dataset.classes):
        raise UserError(
            f"{where} has labels {labels.min()} to {labels.max()}, but there are "
            f"{len(dataset.classes)} classes"
        )
    first = split.images(np.arange(1))
    if first.dtype != np.uint8 or first.shape != (1, *dataset.input_shape):
        raise UserError(
            f"{where} images are {first.dtype} {first.shape[1:]}; "
            f"uint8 {dataset.input_shape} (channels, height, width) is needed"
        )
