"""From DetectNet's grid of coverage and boxes to objects (Python 3.6, numpy).

Every cell that is covered proposes its box, and there are two ways to one box per object:

- `nms`, the default: of proposals that overlap, the one with the greatest coverage stays.
- `group`, which DetectNet was published with (NVIDIA/caffe, python/caffe/layers/detectnet/
  clustering.py): proposals that resemble each other become their mean, by OpenCV's
  groupRectangles (objdetect/cascadedetect.cpp).

With `group` an object's score is the greatest coverage among its proposals. Two differences from
the published Python layer: that took the logarithm of their number, which is no fraction and
favours large objects; and it handed (left, top, right, bottom) to a function that takes (left, top,
width, height), so that its tolerance of 0.02 was a share of the place in the image, not the size.
"""

import numpy as np

from edgesynth_rt.detection_boxes import by_score, suppress
from edgesynth_rt.errors import UserError

#: nms: a proposal goes when a better one of its class overlaps it by more
NMS_IOU = 0.45
#: group: boxes resemble each other when their edges differ by less than this share of their size
EPS = 0.2
#: group: an object needs more proposals than this
MIN_BOXES = 1
#: group: cells that are covered less propose nothing, whatever the threshold (published: 0.6)
LEAST_COVERAGE = 0.6
#: proposals of one image that are looked at, and objects that stay, at most
MOST_BEFORE = 1000
MOST = 100


def decode_coverage(outputs, postprocessing, threshold):
    """The objects of each image of a batch.

    outputs: coverage (n, classes, rows, columns) in 0..1 and boxes (n, 4, rows, columns): left,
    top, right, bottom in pixels from the left upper corner of each cell.
    postprocessing: {"kind": "coverage", "stride": pixels of a cell, "classes"}, and where they
    differ from this module's, "clustering" with "nms_iou" or "eps", "min_boxes", "least_coverage".
    threshold: least coverage of a cell.
    Returns per image (corners float32 (k, 4) in pixels, which may reach beyond the image; classes
    int64 (k,); scores float32 (k,)), best first. Cells whose values are not finite propose
    nothing. Raises UserError when shapes and settings do not fit.
    """
    coverage, bboxes = _checked(outputs, postprocessing)
    find = _CLUSTERINGS.get(postprocessing.get("clustering", "nms"))
    if find is None:
        raise UserError(
            'no clustering "%s" of DetectNet\'s boxes, known are nms and group; export the network '
            "again" % postprocessing["clustering"]
        )
    return [
        find(*_proposals(cells, edges, postprocessing["stride"], threshold), postprocessing)
        for cells, edges in zip(coverage, bboxes)
    ]


def _suppressed(corners, classes, scores, settings):
    kept = suppress(corners, classes, scores, settings.get("nms_iou", NMS_IOU), MOST)
    return corners[kept], classes[kept], scores[kept]


def _grouped(corners, classes, scores, settings):
    sure = scores >= settings.get("least_coverage", LEAST_COVERAGE)
    eps, min_boxes = settings.get("eps", EPS), settings.get("min_boxes", MIN_BOXES)
    parts = [(corners[:0], classes[:0], scores[:0])]
    for index in np.unique(classes[sure]):
        own = sure & (classes == index)
        boxes, best = cluster(corners[own], scores[own], min_boxes, eps)
        parts.append((boxes, np.full(len(boxes), index, np.int64), best))
    corners, classes, scores = (np.concatenate(each) for each in zip(*parts))
    order = by_score(scores)[:MOST]
    return corners[order], classes[order], scores[order]


_CLUSTERINGS = {"nms": _suppressed, "group": _grouped}


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


def _proposals(cells, edges, stride, threshold):
    """(corners, classes, scores) of the cells of one image that are covered, the best first."""
    corners = _corners(edges, stride)
    sound = np.isfinite(corners).all(axis=2)
    with np.errstate(invalid="ignore"):  # NaN is not covered
        classes, rows, columns = np.nonzero((cells >= threshold) & sound)
    scores = cells[classes, rows, columns]
    best = by_score(scores)[:MOST_BEFORE]
    return corners[rows, columns][best], classes[best].astype(np.int64), scores[best]


def _corners(edges, stride):
    """Corners in pixels of each cell's box, (rows, columns, 4)."""
    rows, columns = edges.shape[1:]
    x = (np.arange(columns, dtype=np.float32) * stride)[None, :]
    y = (np.arange(rows, dtype=np.float32) * stride)[:, None]
    return np.stack([edges[0] + x, edges[1] + y, edges[2] + x, edges[3] + y], axis=-1)


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
