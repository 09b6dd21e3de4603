"""Typical objects of a data set: k-means on their sizes (arXiv 1612.08242, section 2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import BoxedSplit
from edgesynth.core.errors import UserError
from edgesynth.networks.region_head import format_anchors, shape_iou

COUNT = 5
_MOST_IMAGES = 5000
_ROUNDS = 100


def fit_anchors(split: BoxedSplit, stride: int, *, count: int = COUNT) -> str:
    """`count` anchors for the objects of (up to 5,000 images of) `split`, smallest first.

    Fewer where the objects have fewer sizes.
    In cells of `stride` pixels, as `region_head.parse_anchors` reads them; the same every time.
    Raises UserError when the images hold no object.
    """
    boxes = split.boxes(np.arange(min(len(split), _MOST_IMAGES)))
    corners = [each.corners[~each.ignored] for each in boxes]
    sides = np.concatenate([c[:, 2:] - c[:, :2] for c in corners]).astype(np.float64) / stride
    sides = sides[(sides > 0).all(1)]
    if not len(sides):
        raise UserError("the training images hold no object to fit anchors to")
    return format_anchors(cluster_sizes(sides, count).tolist())


def cluster_sizes(sides: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """k-means of widths and heights (n, 2) with the distance 1 - IoU: (count or fewer, 2).

    The first centres are evenly spread over the sizes by area, so nothing is left to chance.
    """
    order = sides[np.argsort(sides.prod(1), kind="stable")]
    count = min(count, len(order))
    centres = order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]
    for _ in range(_ROUNDS):
        nearest = shape_iou(sides, centres).argmax(1)
        moved = np.stack(
            [
                np.median(sides[nearest == k], axis=0) if (nearest == k).any() else centres[k]
                for k in range(count)
            ]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    different = np.unique(centres, axis=0)
    ordered: npt.NDArray[np.float64] = different[np.argsort(different.prod(1), kind="stable")]
    return ordered
