"""Boxes: how much they overlap, and which of many overlapping ones to keep (Python 3.6).

A box is left, top, right, bottom in pixels, edges not centres: a box over the first pixel alone is
(0, 0, 1, 1) and has area 1. Boxes come as arrays of shape (n, 4).
"""

import numpy as np


def corners_of(boxes):
    """`boxes` as float64 of shape (n, 4), also when there are none; raises ValueError otherwise."""
    corners = np.asarray(boxes, dtype=np.float64)
    if corners.size == 0:
        return np.zeros((0, 4))
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError("boxes of shape %s, not (n, 4)" % (corners.shape,))
    return corners


def areas(corners):
    """Area of each box in square pixels, shape (n,); 0 where right is not beyond left."""
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def iou_matrix(first, second):
    """Intersection over union of every box of `first` with every one of `second`, shape (n, m).

    0 where both are empty or where a corner is not finite.
    """
    first, second = corners_of(first), corners_of(second)
    shared = _intersections(first, second)
    return _share(shared, areas(first)[:, np.newaxis] + areas(second) - shared)


def covered_matrix(first, second):
    """The share of each box of `first` that lies in each one of `second`, shape (n, m).

    What COCO takes for crowds and KITTI for DontCare regions, which hold many objects.
    """
    first, second = corners_of(first), corners_of(second)
    return _share(_intersections(first, second), areas(first)[:, np.newaxis])


def suppress(corners, classes, scores, iou, most=None):
    """Non-maximum suppression within each class: the indices that stay, best score first.

    A box goes when a better one of its class overlaps it by more than `iou`. corners (n, 4),
    classes (n,), scores (n,); equal scores keep their order. `most` limits how many stay.
    """
    corners, classes = corners_of(corners), np.asarray(classes)
    order = by_score(scores)
    kept = []
    while order.size and (most is None or len(kept) < most):
        best, rest = order[0], order[1:]
        kept.append(best)
        same = classes[rest] == classes[best]
        near = np.zeros(rest.size, dtype=bool)
        near[same] = iou_matrix(corners[[best]], corners[rest[same]])[0] > iou
        order = rest[~near]
    return np.asarray(kept, dtype=np.int64)


def by_score(scores):
    """Indices from the best score to the worst; equal scores keep their order, NaN comes last."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="mergesort")


def _intersections(first, second):
    with np.errstate(invalid="ignore"):  # inf - inf in a diverged network's boxes
        low = np.maximum(first[:, np.newaxis, :2], second[np.newaxis, :, :2])
        high = np.minimum(first[:, np.newaxis, 2:], second[np.newaxis, :, 2:])
        sides = np.maximum(high - low, 0)
        return sides[:, :, 0] * sides[:, :, 1]


def _share(part, whole):
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = part / whole
    return np.where(np.isfinite(share), share, 0.0)
