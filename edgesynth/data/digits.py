"""scikit-learn's digits: 1,797 grey images of 8 x 8 pixels, for checks that take seconds."""

from __future__ import annotations

import numpy as np

from edgesynth.core.dataset import ArraySplit, Dataset
from edgesynth.core.errors import MissingError
from edgesynth.data.splits import TEST_SEED, blocks, cut, statistics, take

VALIDATION = 180
_TEST = 360
_BRIGHTEST = 16  # the digits count set pixels in 4 x 4 blocks: 0 to 16


def load_digits(
    *, name: str, seed: int = 0, validation: float | int = VALIDATION, limit: int | None = None
) -> Dataset:
    """The digits with pixels 0 to 16 stretched to 0 to 255.

    360 test images are always the same; validation is cut from the rest by `seed`. `limit` keeps
    that many train images. Raises MissingError when scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise MissingError(
            "digits need scikit-learn; install it with: pip install 'edgesynth[digits]'"
        ) from None
    bunch = datasets.load_digits()
    pixels = np.rint(bunch.images * (255 / _BRIGHTEST)).astype(np.uint8)[:, np.newaxis]
    labels = bunch.target.astype(np.int64)
    test, rest = cut(labels, _TEST, TEST_SEED, "test")
    held_out, train = cut(labels[rest], validation, seed, "validation")
    train = take(train, limit, name)
    mean, std = statistics(blocks(pixels[rest[train]]))
    return Dataset(
        name=name,
        input_shape=(1, 8, 8),
        classes=tuple("0123456789"),
        mean=mean,
        std=std,
        train=ArraySplit(pixels[rest[train]], labels[rest[train]]),
        validation=ArraySplit(pixels[rest[held_out]], labels[rest[held_out]]),
        test=ArraySplit(pixels[test], labels[test]),
    )
