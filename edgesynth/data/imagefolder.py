"""A folder of images with one sub-folder per class, read from disk when they are asked for.

Either `train/CLASS/...` with `val/` (or `validation/`) and `test/` beside it, or class folders
only. A part that is absent is cut from the train images, test always the same, validation by seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.data.pictures import open_rgb, sampled_statistics
from edgesynth.data.splits import TEST_SEED, Indices, Labels, Pixels, cut, take

SIZE = 224
VALIDATION = 0.1
_TEST = 0.1
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}


@dataclass(frozen=True)
class FolderSplit:
    """Images by path; each is read, resized and cropped when it is asked for."""

    paths: tuple[Path, ...]
    labels: Labels
    size: int

    def __len__(self) -> int:
        return len(self.paths)

    def images(self, indices: Indices) -> Pixels:
        """uint8 (len(indices), 3, size, size); UserError names a file that is no image."""
        return np.stack([read_image(self.paths[index], self.size) for index in indices])

    def part(self, indices: Indices) -> FolderSplit:
        paths = tuple(self.paths[index] for index in indices)
        return FolderSplit(paths, self.labels[indices], self.size)


def load_imagefolder(
    folder: Path,
    *,
    name: str,
    size: int = SIZE,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The images below `folder` as squares of `size` pixels, RGB.

    The shorter side is resized to `size` and the middle is kept. Mean and deviation come from up
    to 1,000 train images. Raises UserError for folders without images and for damaged images.
    """
    if not 8 <= size <= 1024:
        raise UserError(f'"{name}": size={size} is out of range; give 8 to 1024 pixels')
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one with a sub-folder of images per class")
    train_folder = folder / "train" if (folder / "train").is_dir() else folder
    classes = tuple(sorted(each.name for each in train_folder.iterdir() if _is_class(each)))
    if not classes:
        raise UserError(f"{train_folder} has no sub-folders; put images into one per class")
    train = _scan(train_folder, classes, size)
    test = _official(folder, ("test",), classes, size)
    held_out = _official(folder, ("val", "validation"), classes, size)
    if test is None:
        apart, rest = cut(train.labels, _TEST, TEST_SEED, f"{folder}: test")
        test, train = train.part(apart), train.part(rest)
    if held_out is None:
        apart, rest = cut(train.labels, validation, seed, f"{folder}: validation")
        held_out, train = train.part(apart), train.part(rest)
    train = train.part(take(np.arange(len(train)), limit, name))
    mean, std = sampled_statistics(train, progress or Silent())
    return Dataset(
        name=name,
        input_shape=(3, size, size),
        classes=classes,
        mean=mean,
        std=std,
        train=train,
        validation=held_out,
        test=test,
    )


def read_image(path: Path, size: int) -> Pixels:
    """The image at `path` as uint8 (3, size, size); UserError names it when it cannot be read."""
    from PIL import Image

    picture, _ = open_rgb(path, (size, size))
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    picture = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    pixels = np.asarray(picture.crop((left, top, left + size, top + size)))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _is_class(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _scan(folder: Path, classes: tuple[str, ...], size: int) -> FolderSplit:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = [p for p in sorted((folder / name).rglob("*")) if p.suffix.lower() in _SUFFIXES]
        if not found:
            raise UserError(
                f"{folder / name} holds no image ({' '.join(sorted(_SUFFIXES))}); "
                "add some or remove the folder"
            )
        paths += found
        labels += [label] * len(found)
    return FolderSplit(tuple(paths), np.array(labels, np.int64), size)


def _official(
    folder: Path, names: tuple[str, ...], classes: tuple[str, ...], size: int
) -> FolderSplit | None:
    """The split in the first of the sub-folders `names` that exists beside `train`."""
    if not (folder / "train").is_dir():
        return None
    for name in names:
        part = folder / name
        if not part.is_dir():
            continue
        found = {each.name for each in part.iterdir() if _is_class(each)}
        if found != set(classes):
            odd = sorted(found ^ set(classes))[0]
            where, other = ("train", name) if odd in classes else (name, "train")
            raise UserError(f'{folder}: class "{odd}" is in {where}/ but not in {other}/')
        return _scan(part, classes, size)
    return None
