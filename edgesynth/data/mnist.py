"""Data sets laid out as MNIST: four IDX files, 60,000 official train and 10,000 test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesynth.core.dataset import ArraySplit, Dataset
from edgesynth.core.errors import UserError
from edgesynth.data.idx import read_idx
from edgesynth.data.resampling import resized
from edgesynth.data.splits import Labels, Pixels, blocks, cut, statistics, take

DIGITS = tuple("0123456789")
VALIDATION = 5000
SIZE = 28
_TOGETHER = 2048
"""Pictures that are enlarged at a time."""


def load_mnist(
    folder: Path,
    *,
    name: str,
    classes: tuple[str, ...] = DIGITS,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
    size: int | None = None,
) -> Dataset:
    """The data set in the four IDX files (plain or .gz) of `folder`.

    Validation is cut from the official train part by `seed`; test is the official one. `limit`
    keeps that many train images. `size` makes all pictures that many pixels high and wide.
    Raises UserError naming file and offset of what is wrong.
    """
    pixels, labels = _part(folder, "train", len(classes))
    test_pixels, test_labels = _part(folder, "t10k", len(classes))
    if pixels.shape[1:] != test_pixels.shape[1:]:
        raise UserError(
            f"{folder}: train images have shape {pixels.shape[1:]}, test images "
            f"{test_pixels.shape[1:]}; the four files do not belong together"
        )
    held_out, train = cut(labels, validation, seed, "validation")
    train = take(train, limit, name)
    train_pixels = _sized(pixels[train], size)
    mean, std = statistics(blocks(train_pixels))
    return Dataset(
        name=name,
        input_shape=(1, train_pixels.shape[2], train_pixels.shape[3]),
        classes=classes,
        mean=mean,
        std=std,
        train=ArraySplit(train_pixels, labels[train]),
        validation=ArraySplit(_sized(pixels[held_out], size), labels[held_out]),
        test=ArraySplit(_sized(test_pixels, size), test_labels),
    )


def _sized(pixels: Pixels, size: int | None) -> Pixels:
    if size is None:
        return pixels
    parts = [resized(part, size, size) for part in blocks(pixels, _TOGETHER)]
    return np.concatenate(parts)


def _part(folder: Path, part: str, classes: int) -> tuple[Pixels, Labels]:
    images_file = _find(folder, f"{part}-images", 3)
    labels_file = _find(folder, f"{part}-labels", 1)
    images = read_idx(images_file, 3)
    labels = read_idx(labels_file, 1)
    if len(images) != len(labels) or not images.size:
        raise UserError(
            f"{images_file} holds {len(images)} images of {images.shape[1]} x {images.shape[2]} "
            f"pixels, {labels_file} {len(labels)} labels; one label per image is needed"
        )
    wrong = np.flatnonzero(labels >= classes)
    if wrong.size:
        raise UserError(
            f"{labels_file}: byte {8 + wrong[0]} holds class {labels[wrong[0]]}, but there are "
            f"only {classes} classes (0 to {classes - 1})"
        )
    return images[:, np.newaxis], labels.astype(np.int64)


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    """The file in its usual spellings: `train-images-idx3-ubyte` or `.idx3-ubyte`, maybe .gz."""
    names = [
        f"{stem}{mark}idx{dimensions}-ubyte{end}" for mark in ("-", ".") for end in ("", ".gz")
    ]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} holds no {names[0]} (or {names[0]}.gz); is it the right folder?")
