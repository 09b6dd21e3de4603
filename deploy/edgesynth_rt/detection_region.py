"""From YOLOv2's raw output to objects (Python 3.6, numpy).

Of each cell and anchor the output holds x, y, width, height, objectness and one number per class
(arXiv 1612.08242, section 2; darknet src/region_layer.c, `get_region_box`): the centre lies in the
cell at the sigmoid of x and y, the size is the anchor's times e to the power of width and height,
and the score of a class is the sigmoid of the objectness times the softmax of the classes.
"""

import numpy as np

from edgesynth_rt.detection_boxes import suppress
from edgesynth_rt.errors import UserError

#: a detection goes when a better one of its class overlaps it by more (darknet's own value)
NMS_IOU = 0.45
#: detections of one image that are looked at and that stay, at most
MOST_BEFORE = 1000
MOST = 100
_MAX_LOG = 20.0


def decode_region(outputs, postprocessing, threshold):
    """The objects of each image of a batch.

    outputs: one array (n, anchors * (5 + classes), rows, columns).
    postprocessing: {"kind": "region", "anchors": [[width, height] in cells, ...], "stride": pixels
    of a cell, "classes"}, and "nms_iou" where it differs from this module's.
    threshold: least score. One cell and anchor may stand for several classes.
    Returns per image (corners float32 (k, 4) in pixels, inside the image; classes int64 (k,);
    scores float32 (k,)), best first. Raises UserError when shapes and settings do not fit.
    """
    cells = _cells(outputs, postprocessing)
    anchors = np.asarray(postprocessing["anchors"], dtype=np.float32)
    iou = postprocessing.get("nms_iou", NMS_IOU)
    return [_decode(each, anchors, postprocessing["stride"], iou, threshold) for each in cells]


def _cells(outputs, settings):
    """The output as float32 (n, anchors, 5 + classes, rows, columns)."""
    anchors, classes = len(settings["anchors"]), settings["classes"]
    wanted = anchors * (5 + classes)
    shapes = [np.shape(output) for output in outputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] != wanted:
        raise UserError(
            "a region head with %d anchors and %d classes has one output (n, %d, rows, columns), "
            "not %s; export the network again"
            % (anchors, classes, wanted, " and ".join(str(shape) for shape in shapes))
        )
    n, _, rows, columns = shapes[0]
    output = np.asarray(outputs[0], dtype=np.float32)
    return output.reshape(n, anchors, 5 + classes, rows, columns)


def _decode(cells, anchors, stride, iou, threshold):
    objectness = _sigmoid(cells[:, 4])
    anchor, row, column = np.nonzero(objectness >= threshold)  # a class's score is never above it
    own = cells[anchor, :, row, column]
    scores = objectness[anchor, row, column][:, np.newaxis] * _softmax(own[:, 5:])
    which, classes = np.nonzero(scores >= threshold)
    scores = scores[which, classes]
    best = np.argsort(-scores, kind="mergesort")[:MOST_BEFORE]
    which, classes, scores = which[best], classes[best], scores[best]
    own, anchor, row, column = own[which], anchor[which], row[which], column[which]
    middles = np.stack([column, row], axis=1) + _sigmoid(own[:, :2])
    halves = np.exp(np.minimum(own[:, 2:4], _MAX_LOG)) * anchors[anchor] / 2
    corners = np.concatenate([middles - halves, middles + halves], axis=1) * stride
    height, width = cells.shape[2] * stride, cells.shape[3] * stride
    corners = np.clip(corners, 0, [width, height, width, height]).astype(np.float32)
    kept = suppress(corners, classes, scores, iou, MOST)
    return corners[kept], classes[kept].astype(np.int64), scores[kept].astype(np.float32)


def _sigmoid(values):
    with np.errstate(over="ignore"):  # of a very negative number it is 0
        return 1 / (1 + np.exp(-values))


def _softmax(values):
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
