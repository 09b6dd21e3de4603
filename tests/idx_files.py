"""Writes IDX files, independently of the reader under test."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    """`array` as an IDX file of unsigned bytes."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.tobytes()


def write_mnist(folder: Path, train: int = 40, test: int = 10, classes: int = 10) -> None:
    """A small data set in MNIST's layout: train files gzipped, test files plain.

    Every image of 5 x 4 pixels is filled with its own running number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, count, first, end in (("train", train, 0, ".gz"), ("t10k", test, train, "")):
        numbers = np.arange(first, first + count)
        images = np.broadcast_to(numbers[:, None, None], (count, 5, 4)).astype(np.uint8)
        labels = (numbers % classes).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3", images), (f"{part}-labels-idx1", labels)):
            data = idx_bytes(array)
            packed = gzip.compress(data) if end else data
            (folder / f"{name}-ubyte{end}").write_bytes(packed)
