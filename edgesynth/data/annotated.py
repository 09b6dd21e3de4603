"""Pictures in files with boxes beside them: what VOC, KITTI and COCO folders have in common.

A picture is resized to the network's input as a whole, each axis by its own factor, without bars
beside it: the same holds on a board, where a frame is scaled in one step, and boxes scale with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import Boxes, Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.data.pictures import open_rgb, sampled_statistics
from edgesynth.data.splits import TEST_SEED, Indices, Pixels, cut, take

VALIDATION = 0.1
_TEST = 0.1
_SIDES = (32, 2048)


@dataclass(frozen=True)
class Annotated:
    """One picture and its objects, in pixels of the file."""

    image: Path
    width: int
    height: int
    boxes: Boxes
    levels: npt.NDArray[np.int64] | None = None
    """KITTI's difficulty of each object: 0 easy, 1 moderate, 2 hard, 3 beyond."""


@dataclass(frozen=True)
class AnnotatedSplit:
    """Pictures of one split, decoded and resized each time they are asked for."""

    entries: tuple[Annotated, ...]
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.entries)

    def images(self, indices: Indices) -> Pixels:
        """uint8 (len(indices), 3, height, width); UserError names a file that is no picture."""
        return np.stack([self._read(self.entries[index]) for index in indices])

    def boxes(self, indices: Indices) -> list[Boxes]:
        """The objects in pixels of the resized pictures."""
        return [self._scaled(self.entries[index]) for index in indices]

    def levels(self, indices: Indices) -> list[npt.NDArray[np.int64] | None]:
        """KITTI's difficulty of each object; None for data without it."""
        return [self.entries[index].levels for index in indices]

    def vertical_scales(self, indices: Indices) -> npt.NDArray[np.float64]:
        """Pixels of the file per pixel of the resized picture, for limits on an object's height."""
        return np.array([self.entries[index].height / self.height for index in indices])

    def part(self, indices: Indices) -> AnnotatedSplit:
        entries = tuple(self.entries[index] for index in indices)
        return AnnotatedSplit(entries, self.width, self.height)

    def _read(self, entry: Annotated) -> Pixels:
        from PIL import Image

        size = (self.width, self.height)
        picture, full = open_rgb(entry.image, size)
        if full != (entry.width, entry.height):
            raise UserError(
                f"image {entry.image} has {full[0]} x {full[1]} pixels, its annotation is for "
                f"{entry.width} x {entry.height}; the boxes would not fit"
            )
        resized = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))

    def _scaled(self, entry: Annotated) -> Boxes:
        across, along = self.width / entry.width, self.height / entry.height
        factors = np.array([across, along, across, along], np.float32)
        return Boxes(entry.boxes.corners * factors, entry.boxes.classes, entry.boxes.ignored)


@dataclass
class Clipping:
    """Fits boxes into their pictures, and counts what had to be changed."""

    clipped: int = 0
    dropped: int = 0
    first: str = field(default="", init=False)

    def fit(
        self,
        corners: Sequence[Sequence[float]],
        classes: Sequence[int],
        ignored: Sequence[bool],
        size: tuple[int, int],
        place: str,
    ) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        """The boxes inside a picture of `size` (width, height), and which of those given stayed.

        A box that reaches outside is cut at the border; one without area inside is dropped.
        """
        given = np.asarray(corners, np.float64).reshape(-1, 4)
        inside = np.clip(given, 0, np.tile(size, 2))
        kept = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
        beyond = kept & (np.abs(inside - given) > 1e-3).any(1)
        self.clipped += int(beyond.sum())
        self.dropped += int((~kept).sum())
        if not self.first and (beyond.any() or not kept.all()):
            self.first = place
        boxes = Boxes(
            inside[kept].astype(np.float32),
            np.asarray(classes, np.int64)[kept],
            np.asarray(ignored, np.bool_)[kept],
        )
        return boxes, kept

    def tell(self, name: str, progress: Progress) -> None:
        """Say what was changed, if anything was."""
        if self.first:
            progress.say(
                f"{name}: {self.clipped} boxes reach beyond their image and were cut at its "
                f"border, {self.dropped} without area inside it were left out; the first is in "
                f"{self.first}"
            )


@dataclass(frozen=True)
class Parts:
    """What a folder comes with; None where it has no such part."""

    train: list[Annotated]
    validation: list[Annotated] | None
    test: list[Annotated] | None


def assemble(
    parts: Parts,
    classes: tuple[str, ...],
    *,
    name: str,
    size: tuple[int, int],
    seed: int,
    validation: float | int,
    limit: int | None,
    progress: Progress,
) -> Dataset:
    """The data set of `parts`, its pictures resized to `size`, (width, height).

    Where only a validation part comes with it, that is the test split, for it is what published
    figures are measured on, and validation is cut from the train pictures by `seed`. A test part
    that has to be cut is always the same. Raises UserError for what cannot be.
    """
    if not all(_SIDES[0] <= side <= _SIDES[1] for side in size):
        raise UserError(
            f'"{name}": size={size[0]}x{size[1]} is out of range; give {_SIDES[0]} to {_SIDES[1]} '
            "pixels for width and height"
        )
    train, held_out, test = parts.train, parts.validation, parts.test
    if test is None:
        test, held_out = held_out, None
    if test is None:
        test, train = _cut(train, _TEST, TEST_SEED, f"{name}: test")
    if held_out is None:
        held_out, train = _cut(train, validation, seed, f"{name}: validation")
    order = np.random.default_rng(seed).permutation(len(train))
    kept = np.sort(take(order, limit, name))
    splits = [AnnotatedSplit(tuple(part), *size) for part in (train, held_out, test)]
    trained = splits[0].part(kept)
    mean, std = sampled_statistics(trained, progress)
    return Dataset(
        name=name,
        input_shape=(3, size[1], size[0]),
        classes=classes,
        mean=mean,
        std=std,
        train=trained,
        validation=splits[1],
        test=splits[2],
        task="detection",
    )


def read_lines(file: Path) -> list[str]:
    """The lines of a text file; UserError when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: byte {error.start} is not UTF-8 text") from None


def read_names(file: Path) -> list[str]:
    """The first word of every line of a split file, each a plain name without folders."""
    names: dict[str, int] = {}
    for number, line in enumerate(read_lines(file), 1):
        words = line.split()
        if not words:
            continue
        name = words[0]
        if name.startswith(".") or "/" in name or "\\" in name or not name.isprintable():
            raise UserError(f"{file}: line {number} is no plain file name; one name a line")
        if name in names:
            raise UserError(f"{file}: line {number} repeats line {names[name]} ({name})")
        names[name] = number
    if not names:
        raise UserError(f"{file} names no image")
    return list(names)


def read_classes(folder: Path, default: tuple[str, ...]) -> tuple[str, ...]:
    """The classes in `folder`/labels.txt, one a line, or `default` where there is no such file."""
    file = folder / "labels.txt"
    if not file.is_file():
        return default
    names = [line.strip() for line in read_lines(file) if line.strip()]
    if not names or len(set(names)) != len(names) or not all(n.isprintable() for n in names):
        raise UserError(f"{file} needs one class a line, none of them twice")
    return tuple(names)


def find_picture(folder: Path, stem: str, source: Path) -> Path:
    """`folder`/`stem` with the ending of a picture; UserError names `source`, which wants it."""
    for ending in (".jpg", ".png", ".jpeg", ".JPG", ".PNG"):
        if (folder / (stem + ending)).is_file():
            return folder / (stem + ending)
    raise UserError(f"{source}: image {folder / stem}.jpg (or .png) is missing")


def _cut(
    entries: list[Annotated], share: float | int, seed: int, what: str
) -> tuple[list[Annotated], list[Annotated]]:
    apart, rest = cut(np.zeros(len(entries), np.int64), share, seed, what)
    return [entries[i] for i in np.sort(apart)], [entries[i] for i in np.sort(rest)]
