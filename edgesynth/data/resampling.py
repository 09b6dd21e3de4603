"""Resizing grey pictures with the same bits on every machine.

A triangle filter (bilinear interpolation, widened where a picture shrinks) whose weights are
multiples of 1/256. Each pixel is then an integer below 2^24, which float32 holds exactly, so that
two matrix products give the same result whatever order a BLAS adds in.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgesynth.data.splits import Pixels

_ONE = 256


def resized(pictures: Pixels, height: int, width: int) -> Pixels:
    """uint8 pictures of shape (..., rows, columns) as (..., height, width)."""
    rows, columns = pictures.shape[-2:]
    exact = _weights(rows, height) @ pictures.astype(np.float32) @ _weights(columns, width).T
    return ((exact.astype(np.int32) + _ONE * _ONE // 2) // (_ONE * _ONE)).astype(np.uint8)


@lru_cache(maxsize=1024)
def _weights(before: int, after: int) -> npt.NDArray[np.float32]:
    """What each of `before` pixels gives to each of `after`: (after, before), rows add up to 256.

    Positions are counted in units of 1 / (2 * after) pixel, which makes all of them integers.
    """
    centres = (2 * np.arange(after)[:, np.newaxis] + 1) * before
    distances = np.abs((2 * np.arange(before) + 1) * after - centres)
    shares = np.maximum(2 * max(before, after) - distances, 0)
    weights = shares * _ONE // shares.sum(1, keepdims=True)
    weights[np.arange(after), weights.argmax(1)] += _ONE - weights.sum(1)
    table: npt.NDArray[np.float32] = weights.astype(np.float32)
    return table
