"""Mean average precision of a bundle on images with objects, as a board sees them (Python 3.6)."""

import numpy as np

from edgesynth_rt.detection_decode import decode
from edgesynth_rt.detection_kitti import LEVELS, KittiScore
from edgesynth_rt.detection_score import DetectionScore
from edgesynth_rt.errors import UserError
from edgesynth_rt.evaluate import PIECE, preprocessed
from edgesynth_rt.samples import run_samples

METRIC = "mAP@0.5"
#: detections that score less are not looked at (darknet's own value, examples/detector.c)
LEAST_SCORE = 0.005


def evaluate_boxes(
    runner, bundle, images, boxes, count, watch=lambda done: None, difficulties=None
):
    """Mean average precision at an overlap of 0.5, by VOC's rule, of a detection network.

    images: function from an int64 array of indices to uint8 images (len, channels, height, width).
    boxes: function from such an array to a list of (corners (m, 4) in pixels, classes (m,),
    ignored (m,)). count: number of images. watch: called with the number of images done.
    difficulties: for KITTI, function from such an array to a list of (levels (m,), scale), as
    `KittiScore.add` takes them.
    Returns {"value", "metric": "mAP@0.5", "n": images, "objects": how many counted,
    "classes": {label: average precision, None without objects}}, and with difficulties "kitti":
    {"easy", "moderate", "hard": means over the classes, "classes": {label: the same three}}.
    Raises UserError when the bundle does no detection or the data do not fit it.
    """
    names = _class_names(bundle)
    if not count:
        raise UserError("the data set has no images to evaluate bundle %s on" % bundle.path)
    score, kitti = DetectionScore(names), KittiScore(names)
    for first in range(0, count, PIECE):
        indices = np.arange(first, min(first + PIECE, count))
        outputs = run_samples(runner, preprocessed(bundle, images(indices)), PIECE)
        ordered = [outputs[tensor["name"]] for tensor in bundle.outputs]
        found = decode(ordered, bundle.manifest["postprocessing"], LEAST_SCORE)
        truths = boxes(indices)
        for predictions, truth in zip(found, truths):
            _check_classes(truth[1], names, bundle)
            score.add(predictions, truth)
        if difficulties is not None:
            for predictions, truth, (levels, scale) in zip(found, truths, difficulties(indices)):
                kitti.add(predictions, truth, levels, scale)
        watch(len(indices))
    result = score.result()
    if result["map50"] is None:
        raise UserError("the data set has no objects to evaluate bundle %s on" % bundle.path)
    document = {
        "value": result["map50"],
        "metric": METRIC,
        "n": count,
        "objects": sum(row["objects"] for row in result["classes"]),
        "classes": {row["name"]: row["ap50"] for row in result["classes"]},
    }
    if difficulties is not None:
        document["kitti"] = _by_difficulty(kitti.result())
    return document


def _by_difficulty(result):
    figures = {word: result[word] for word in LEVELS}
    figures["classes"] = {
        row["name"]: {word: row[word] for word in LEVELS} for row in result["classes"]
    }
    return figures


def _class_names(bundle):
    if bundle.manifest["task"] != "detection" or not bundle.manifest.get("postprocessing"):
        raise UserError(
            "the data set has objects; bundle %s is for %s, not detection"
            % (bundle.path, bundle.manifest["task"])
        )
    classes = bundle.manifest["postprocessing"]["classes"]
    labels = bundle.labels
    if len(labels) == classes and len(set(labels)) == classes:
        return tuple(labels)
    return tuple(str(index) for index in range(classes))


def _check_classes(classes, names, bundle):
    if len(classes) and np.max(classes) >= len(names):
        raise UserError(
            "bundle %s has %d classes, the data set has objects of class %d; give the data it was "
            "made for" % (bundle.path, len(names), np.max(classes))
        )
