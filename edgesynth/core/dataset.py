"""What a data set is to the rest of the house: three disjoint splits of raw images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Split(Protocol):
    """Images with their class; kept raw so that one preprocessing serves host and board."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class index of every image, shape (n,)."""
        ...

    def __len__(self) -> int: ...

    def images(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at `indices`, shape (len(indices), channels, height, width)."""
        ...


@dataclass(frozen=True)
class ArraySplit:
    """A split that is in memory: `pixels` is uint8 (n, channels, height, width)."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self.pixels[indices]


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits; test is touched only for a final figure."""

    name: str
    """As the user wrote it, e.g. `fashion-mnist` or `cifar10:/data/cifar`."""
    input_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Per channel, of train pixels scaled to 0..1."""
    std: tuple[float, ...]
    train: Split
    validation: Split
    test: Split
