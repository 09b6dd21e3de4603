"""CIFAR-10, binary version (www.cs.toronto.edu/~kriz/cifar.html): colour images of 32 x 32.

`data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` are records of 3,073 bytes: the class,
then 1,024 red, 1,024 green and 1,024 blue pixels, row by row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesynth.core.dataset import ArraySplit, Dataset
from edgesynth.core.errors import UserError
from edgesynth.data.idx import read_bytes
from edgesynth.data.splits import Labels, Pixels, blocks, cut, statistics, take

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
VALIDATION = 5000
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32


def load_cifar10(
    folder: Path,
    *,
    name: str,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
) -> Dataset:
    """CIFAR-10 from the `.bin` files in `folder` or in its `cifar-10-batches-bin`.

    Validation is cut from the train batches by `seed`; test is the official one. `limit` keeps
    that many train images. Raises UserError naming file and offset of what is wrong.
    """
    if not (folder / "test_batch.bin").is_file():
        unpacked = folder / "cifar-10-batches-bin"
        if not (unpacked / "test_batch.bin").is_file():
            raise UserError(
                f"{folder} holds no test_batch.bin; unpack cifar-10-binary.tar.gz (the binary "
                "version) and give its folder"
            )
        folder = unpacked
    files = sorted(folder.glob("data_batch_*.bin"))
    if not files:
        raise UserError(f"{folder} holds no data_batch_1.bin to data_batch_5.bin")
    parts = [_records(file) for file in files]
    pixels = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([classes for _, classes in parts])
    test_pixels, test_labels = _records(folder / "test_batch.bin")
    held_out, train = cut(labels, validation, seed, "validation")
    train = take(train, limit, name)
    train_pixels = pixels[train]
    mean, std = statistics(blocks(train_pixels))
    return Dataset(
        name=name,
        input_shape=_SHAPE,
        classes=CLASSES,
        mean=mean,
        std=std,
        train=ArraySplit(train_pixels, labels[train]),
        validation=ArraySplit(pixels[held_out], labels[held_out]),
        test=ArraySplit(test_pixels, test_labels),
    )


def _records(file: Path) -> tuple[Pixels, Labels]:
    contents = np.frombuffer(read_bytes(file), np.uint8)
    whole, rest = divmod(len(contents), _RECORD)
    if rest or not whole:
        raise UserError(
            f"{file}: ends at byte {len(contents)}, inside record {whole} of {_RECORD} bytes; "
            "get it again"
        )
    records = contents.reshape(whole, _RECORD)
    wrong = np.flatnonzero(records[:, 0] >= len(CLASSES))
    if wrong.size:
        raise UserError(
            f"{file}: byte {wrong[0] * _RECORD} holds class {records[wrong[0], 0]}, but CIFAR-10 "
            "has classes 0 to 9; is it CIFAR-100, or another file?"
        )
    return records[:, 1:].reshape(whole, *_SHAPE), records[:, 0].astype(np.int64)
