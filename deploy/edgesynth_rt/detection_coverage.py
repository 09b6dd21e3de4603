"""From DetectNet's grid of coverage and boxes to objects (Python 3.6, numpy).

Every cell that is covered proposes its box; proposals that resemble each other become one object.
That clustering is OpenCV's groupRectangles, which DetectNet was published with
(NVIDIA/caffe, python/caffe/layers/detectnet/clustering.py; opencv, objdetect/cascadedetect.cpp).

Two differences from the published Python layer. It handed (left, top, right, bottom) to a function
that takes (left, top, width, height), so its tolerance of 0.02 meant a share of an object's place
in the image instead of its size; here it is a share of the size, as OpenCV documents it. And it
scored an object by the logarithm of the number of its proposals; here it is the greatest coverage
among them, which lies in 0..1 whatever the size of the object.
"""

import numpy as np

from edgesynth_rt.errors import UserError

#: objects resemble each other when their edges differ by less than this share of their size
EPS = 0.2
#: an object needs more proposals than this
MIN_BOXES = 0


def decode_coverage(outputs, postprocessing, threshold):
    """The objects of each image of a batch.

    outputs: coverage (n, classes, rows, columns) in 0..1 and boxes (n, 4, rows, columns): left,
    top, right, bottom in pixels from the left upper corner of each cell.
    postprocessing: {"kind": "coverage", "stride": pixels of a cell, "classes"}, and, where they
    differ from this module's, "eps" and "min_boxes". threshold: least coverage of a cell.
    Returns per image (corners float32 (k, 4) in pixels; classes int64 (k,); scores float32 (k,)),
    best first. Cells whose values are not finite propose nothing. Raises UserError when shapes and
    settings do not fit.
    """
    coverage, bboxes = _checked(outputs, postprocessing)
    stride = postprocessing["stride"]
    eps = postprocessing.get("eps", EPS)
    min_boxes = postprocessing.get("min_boxes", MIN_BOXES)
    found = []
    for cells, edges in zip(coverage, bboxes):
        corners = _corners(edges, stride)
        sound = np.isfinite(corners).all(axis=2)
        parts = []
        for index in range(len(cells)):
            rows, columns = np.nonzero(_at_least(cells[index], threshold) & sound)
            if len(rows):
                proposed, scores = corners[rows, columns], cells[index][rows, columns]
                boxes, best = cluster(proposed, scores, min_boxes, eps)
                parts.append((boxes, np.full(len(boxes), index, np.int64), best))
        found.append(_best_first(parts))
    return found


def cluster(boxes, scores, min_boxes, eps):
    """groupRectangles: boxes that resemble each other, directly or through others, become their
    mean; groups of `min_boxes` or fewer are dropped, and so are groups inside a larger group with
    more boxes.

    boxes: (n, 4) left, top, right, bottom; scores: (n,). Two boxes resemble each other when every
    edge differs by at most `eps` times half the sum of the smaller width and the smaller height.
    Returns (corners (k, 4), greatest score of each group (k,)), float32.
    """
    labels = _components(_similar(boxes, eps))
    count = labels.max() + 1 if len(labels) else 0
    sizes = np.bincount(labels, minlength=count)
    means = np.zeros((count, 4), np.float64)
    np.add.at(means, labels, boxes)
    means /= np.maximum(sizes, 1)[:, None]
    best = np.zeros(count, np.float64)
    np.maximum.at(best, labels, scores)
    keep = (sizes > min_boxes) & ~_inside_larger(means, sizes, min_boxes, eps)
    return means[keep].astype(np.float32), best[keep].astype(np.float32)


def _checked(outputs, settings):
    if len(outputs) != 2:
        raise UserError("DetectNet has 2 outputs, coverage and boxes, not %d" % len(outputs))
    coverage, bboxes = (np.asarray(output) for output in outputs)
    wanted = (len(coverage), settings["classes"]) + bboxes.shape[2:]
    if coverage.ndim != 4 or bboxes.ndim != 4 or coverage.shape != wanted or bboxes.shape[1] != 4:
        raise UserError(
            "DetectNet with %d classes has outputs (n, %d, rows, columns) and (n, 4, rows, "
            "columns), not %s and %s; export the network again"
            % (settings["classes"], settings["classes"], coverage.shape, bboxes.shape)
        )
    return coverage.astype(np.float32), bboxes.astype(np.float32)


def _corners(edges, stride):
    """Corners in pixels of each cell's box, (rows, columns, 4)."""
    rows, columns = edges.shape[1:]
    x = (np.arange(columns, dtype=np.float32) * stride)[None, :]
    y = (np.arange(rows, dtype=np.float32) * stride)[:, None]
    return np.stack([edges[0] + x, edges[1] + y, edges[2] + x, edges[3] + y], axis=-1)


def _at_least(values, threshold):
    with np.errstate(invalid="ignore"):  # NaN is not
        return values >= threshold


def _similar(boxes, eps):
    """Which pairs of boxes resemble each other, bool (n, n)."""
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    delta = np.minimum.outer(widths, widths) + np.minimum.outer(heights, heights)
    apart = np.abs(boxes[:, None, :] - boxes[None, :, :]).max(axis=2)
    return apart <= eps * 0.5 * delta


def _components(similar):
    """Number of the connected component of each element, int64 (n,), from 0 in order."""
    labels = np.arange(len(similar))
    while True:
        # every element takes the least label among its neighbours until nothing changes
        spread = np.where(similar | np.eye(len(similar), dtype=bool), labels, len(labels))
        least = spread.min(axis=1) if len(labels) else labels
        if (least == labels).all():
            return np.unique(labels, return_inverse=True)[1].reshape(-1)
        labels = least


def _inside_larger(means, sizes, min_boxes, eps):
    """Which groups lie inside another one that has more boxes, bool (k,)."""
    margin = eps * (means[:, 2:] - means[:, :2])
    low = (means[:, None, :2] >= (means[:, :2] - margin)[None]).all(axis=2)
    high = (means[:, None, 2:] <= (means[:, 2:] + margin)[None]).all(axis=2)
    area = (means[:, 2] - means[:, 0]) * (means[:, 3] - means[:, 1])
    # OpenCV drops a group of one or two inside any other, so that two of them can drop each other
    lonely = (sizes[:, None] < 3) & (area[None, :] > area[:, None])
    heavier = (sizes[None, :] > np.maximum(3, sizes[:, None])) | lonely
    other = ~np.eye(len(means), dtype=bool) & (sizes > min_boxes)[None, :]
    return (low & high & heavier & other).any(axis=1)


def _best_first(parts):
    if not parts:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32)
    corners, classes, scores = (np.concatenate(each) for each in zip(*parts))
    order = np.argsort(-scores, kind="stable")
    return corners[order], classes[order], scores[order]
