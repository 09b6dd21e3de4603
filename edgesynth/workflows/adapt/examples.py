"""Example images of where inputs leave, small enough to lie in a document."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import Dataset, labelled
from edgesynth_rt.policy import Outcome

_RIGHT, _WRONG = 9, 3
"""Images per stage whose answer is right, and wrong."""
_SIDE = 64
"""Larger images are thinned out to about this side."""


def examples_of(
    outcome: Outcome, dataset: Dataset, stages: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Up to twelve test images that leave at each stage, the first ones, as base64 PNG."""
    truth = np.asarray(labelled(dataset.test).labels)
    answers = outcome.logits.argmax(axis=1)
    found = []
    for index, stage in enumerate(stages):
        here = outcome.left == index
        right = np.flatnonzero(here & (answers == truth))[:_RIGHT]
        wrong = np.flatnonzero(here & (answers != truth))[:_WRONG]
        for place in (*right, *wrong):
            (pixels,) = dataset.test.images(np.array([place]))
            known, said = dataset.classes[truth[place]], dataset.classes[answers[place]]
            found.append(
                {
                    "stage": stage,
                    "image": int(place),
                    "png": base64.b64encode(png(pixels)).decode("ascii"),
                    "class": known,
                    "answer": said,
                }
            )
    return found


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The PNG file of an image (channels, height, width), grey or RGB, thinned out if large."""
    step = max(1, max(pixels.shape[1:]) // _SIDE)
    colour = pixels.shape[0] >= 3
    small = pixels[: 3 if colour else 1, ::step, ::step].transpose(1, 2, 0)
    height, width = small.shape[:2]
    rows = b"".join(b"\0" + np.ascontiguousarray(row).tobytes() for row in small)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if colour else 0, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
