"""Cutting labelled images into disjoint, seeded splits, and the pixel statistics of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import BoxedSplit, Boxes, MaskedSplit, Split
from edgesynth.core.errors import UserError

Indices = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

TEST_SEED = 20170825
"""A test split that we have to cut ourselves never depends on the user's seed: a network trained
with one seed is then never tested on images that it was trained on with another."""


def balanced_order(labels: Labels, seed: int) -> Indices:
    """A random order of all images in which every prefix holds the classes in proportion.

    So one cut of the order serves as a stratified validation split or a stratified subset.
    `labels` has shape (n,), classes from 0; the same seed gives the same order.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    first_of_class = np.cumsum(counts) - counts
    rank = np.arange(len(labels)) - first_of_class[labels[by_class]]
    place = (rank + random.random(len(labels))) / counts[labels[by_class]]
    return by_class[np.argsort(place, kind="stable")]


def cut(labels: Labels, share: float | int, seed: int, what: str) -> tuple[Indices, Indices]:
    """Split indices into (cut off, rest), both in balanced random order.

    `share` is a fraction below 1 or a number of images; `what` names the cut in errors.
    Raises UserError when either side would be empty.
    """
    total = len(labels)
    size = round(share * total) if isinstance(share, float) else share
    if not 0 < size < total:
        raise UserError(
            f"{what} of {share:g} leaves {max(0, min(size, total))} of {total} images for it and "
            f"{max(0, total - size)} for training; both need at least one image"
        )
    order = balanced_order(labels, seed)
    return order[:size], order[size:]


def take(train: Indices, limit: int | None, name: str) -> Indices:
    """The first `limit` of the train indices; all of them when `limit` is None."""
    if limit is None:
        return train
    if not 0 < limit <= len(train):
        raise UserError(
            f'"{name}" asks for {limit} train images; give 1 to {len(train)} after the @'
        )
    return train[:limit]


def blocks(pixels: Pixels, size: int = 512) -> Iterator[Pixels]:
    """`pixels` in blocks of `size` images."""
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]


def statistics(images: Iterable[Pixels]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 pixels, taken as 0..1.

    `images` yields blocks of shape (n, channels, height, width), small ones: counting widens them.
    Exact: the pixels are counted by value, so nothing is rounded before the division. A channel
    with one value only gets deviation 1, so that dividing by it is harmless.
    """
    counts: list[npt.NDArray[np.int64]] = []
    for block in images:
        found = [np.bincount(channel.ravel(), minlength=256) for channel in block.swapaxes(0, 1)]
        counts = [a + b for a, b in zip(counts, found, strict=True)] if counts else found
    values = np.arange(256) / 255
    means, deviations = [], []
    for count in counts:
        mean = float(count @ values / count.sum())
        variance = float(count @ (values - mean) ** 2 / count.sum())
        means.append(mean)
        deviations.append(variance**0.5 if np.count_nonzero(count) > 1 else 1.0)
    return tuple(means), tuple(deviations)


@dataclass(frozen=True)
class Subset:
    """Some images of another split, in a given order."""

    whole: Split
    indices: Indices

    @property
    def labels(self) -> Labels:
        return self.whole.labels[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def images(self, indices: Indices) -> Pixels:
        return self.whole.images(self.indices[indices])


@dataclass(frozen=True)
class BoxedSubset:
    """Some images of another split with objects, in a given order."""

    whole: BoxedSplit
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def images(self, indices: Indices) -> Pixels:
        return self.whole.images(self.indices[indices])

    def boxes(self, indices: Indices) -> list[Boxes]:
        return self.whole.boxes(self.indices[indices])


@dataclass(frozen=True)
class MaskedSubset:
    """Some images of another split with a class per pixel, in a given order."""

    whole: MaskedSplit
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def images(self, indices: Indices) -> Pixels:
        return self.whole.images(self.indices[indices])

    def masks(self, indices: Indices) -> Pixels:
        return self.whole.masks(self.indices[indices])
