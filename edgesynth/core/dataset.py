"""What a data set is to the rest of the house: three disjoint splits of raw images.

What lies beside the images is the task's: a class for classification, boxes for detection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgesynth.core.errors import UserError


class Images(Protocol):
    """Images of one size; kept raw so that one preprocessing serves host and board."""

    def __len__(self) -> int: ...

    def images(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at `indices`, shape (len(indices), channels, height, width)."""
        ...


class Split(Images, Protocol):
    """Images with their class."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class index of every image, shape (n,)."""
        ...


@dataclass(frozen=True)
class Boxes:
    """The objects of one image."""

    corners: npt.NDArray[np.float32]
    """Left, top, right, bottom in pixels of the image as the network sees it, shape (n, 4)."""
    classes: npt.NDArray[np.int64]
    """Class index of each, shape (n,); -1, always ignored, for a region of no class (DontCare)."""
    ignored: npt.NDArray[np.bool_]
    """True where neither finding nor missing it counts (VOC's difficult, KITTI's DontCare)."""


class BoxedSplit(Images, Protocol):
    """Images with their objects."""

    def boxes(self, indices: npt.NDArray[np.int64]) -> list[Boxes]:
        """The objects of the images at `indices`."""
        ...


class GradedSplit(BoxedSplit, Protocol):
    """Images whose objects have a difficulty, for KITTI's own evaluation."""

    def levels(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Of each object 0 easy, 1 moderate, 2 hard, 3 beyond."""
        ...

    def vertical_scales(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Pixels of the original image per pixel of what `images` gives, shape (len(indices),)."""
        ...


UNLABELLED = 255
"""Class of a pixel that counts nowhere: CamVid's void."""


class MaskedSplit(Images, Protocol):
    """Images with a class for every pixel."""

    def masks(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Class index of every pixel, or `UNLABELLED`, shape (len(indices), height, width)."""
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
    train: Images
    validation: Images
    test: Images
    task: str = "classification"
    """What the splits carry: `classification` (see `Split`), `detection` (see `BoxedSplit`) or
    `segmentation` (see `MaskedSplit`)."""


def labelled(split: Images) -> Split:
    """`split` as one with a class per image.

    Raises UserError when it has none.
    """
    if not hasattr(split, "labels"):
        raise UserError("these data have no class per image; classification needs one")
    return split  # type: ignore[return-value]


def boxed(split: Images) -> BoxedSplit:
    """`split` as one with objects per image.

    Raises UserError when it has none.
    """
    if not hasattr(split, "boxes"):
        raise UserError("these data have no boxes; detection needs them")
    return split  # type: ignore[return-value]


def masked(split: Images) -> MaskedSplit:
    """`split` as one with a class for every pixel.

    Raises UserError when it has none.
    """
    if not hasattr(split, "masks"):
        raise UserError("these data have no class per pixel; segmentation needs one")
    return split  # type: ignore[return-value]


def graded(split: Images) -> GradedSplit | None:
    """`split` as one whose objects have a difficulty; None when they have none."""
    known: Any = split
    if not len(split) or not hasattr(split, "levels") or known.levels(np.array([0]))[0] is None:
        return None
    return split  # type: ignore[return-value]
