"""A data set of images with objects in one file, for detection on a board (Python 3.6).

An `.npz` with `images`, uint8 (n, channels, height, width); of all objects together `corners`
float32 (m, 4), `classes` int64 (m,) and `ignored` bool (m,); and `first`, int64 (n + 1,): the
objects of image i are those from first[i] up to first[i + 1].
"""

import io

import numpy as np

from edgesynth_rt import files
from edgesynth_rt.errors import UserError
from edgesynth_rt.labelled_images import read_arrays

_NAMES = ("images", "corners", "classes", "ignored", "first")


def write_boxed_images(path, images, objects):
    """Write images and, of each, (corners (m, 4), classes (m,), ignored (m,)) to `path`."""
    counts = [len(classes) for _, classes, _ in objects]
    stream = io.BytesIO()
    np.savez(
        stream,
        images=np.ascontiguousarray(images, dtype=np.uint8),
        corners=_joined([corners for corners, _, _ in objects], (0, 4), np.float32),
        classes=_joined([classes for _, classes, _ in objects], (0,), np.int64),
        ignored=_joined([ignored for _, _, ignored in objects], (0,), bool),
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )
    files.write_bytes(path, stream.getvalue())


def read_boxed_images(path):
    """(images, [(corners, classes, ignored), ...]) of the file at `path`.

    Raises UserError when it is absent, damaged, or its arrays do not belong together.
    """
    images, corners, classes, ignored, first = read_arrays(path, _NAMES)
    count = len(classes) if classes.ndim == 1 else -1
    fits = (
        images.dtype == np.uint8
        and images.ndim == 4
        and corners.shape == (count, 4)
        and corners.dtype.kind == "f"
        and classes.dtype.kind in "iu"
        and ignored.shape == (count,)
        and ignored.dtype == np.bool_
        and first.shape == (len(images) + 1,)
        and first.dtype.kind in "iu"
    )
    if not fits or first[0] != 0 or first[-1] != count or (np.diff(first) < 0).any():
        raise UserError("data set %s: its images and objects do not fit; push it again" % path)
    parts = [slice(*pair) for pair in zip(first[:-1], first[1:])]
    return images, [(corners[part], classes[part], ignored[part]) for part in parts]


def _joined(arrays, empty, dtype):
    """All rows of `arrays`, of shape `empty` where there are none."""
    return np.concatenate([np.zeros(empty, dtype)] + [np.asarray(a, dtype) for a in arrays])
