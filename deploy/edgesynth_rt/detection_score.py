"""Mean average precision of object detection, one image after the other (Python 3.6).

    score = DetectionScore(("car", "person"))
    for predictions, truth in ...:
        score.add(predictions, truth)
    score.result()["map50"]

Of an image only the scores of its predictions and one byte per threshold stay, so that a whole
data set fits on a board. Two rules say which prediction found which object:

- `voc` (the development kit's VOCevaldet.m): a prediction goes with the object of its class that it
  overlaps most, also when that one was found before, which makes it false.
- `coco` (github:cocodataset/cocoapi, cocoeval.py): it takes the best object that is still free.

An ignored object is neither to be found nor wrong to find. Under `voc` (its "difficult") a
prediction that overlaps it most does not count; under `coco` (its "crowd") one that lies in it to
the threshold's share and found nothing else. An ignored region of class -1, which KITTI calls
DontCare, is treated as a crowd of every class under both rules.
"""

import array
from collections import namedtuple

import numpy as np

from edgesynth_rt.detection_boxes import by_score, corners_of, covered_matrix, iou_matrix
from edgesynth_rt.detection_curve import average_precision

COCO_THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))
COCO_MOST = 100

Rule = namedtuple("Rule", "thresholds reading most")
RULES = {
    "voc": Rule((0.5,), "all", None),
    "coco": Rule(COCO_THRESHOLDS, "101", COCO_MOST),
}


class DetectionScore(object):
    """Average precision per class, and its mean."""

    def __init__(self, classes, rule="voc", reading=None, thresholds=None, most=None):
        """`classes`: their names. `rule`: `voc` or `coco`, which also sets what is left None.

        `reading`: `all`, `11` or `101` (see detection_curve). `thresholds`: overlaps from which on
        an object counts as found. `most`: predictions per image and class that count, best first.
        """
        if rule not in RULES:
            raise ValueError("rule %r is none of %s" % (rule, ", ".join(sorted(RULES))))
        self._classes = tuple(classes)
        self._rule = rule
        self._reading = reading or RULES[rule].reading
        self._thresholds = np.asarray(thresholds or RULES[rule].thresholds, dtype=np.float64)
        self._most = most or RULES[rule].most
        self._images = 0
        self._tallies = [_Tally() for _ in self._classes]

    def add(self, predictions, truth):
        """Count one image.

        predictions: (corners (n, 4), classes (n,), scores (n,)); truth: (corners (m, 4), classes
        (m,), ignored (m,)); corners in pixels, see detection_boxes. Raises ValueError when arrays
        do not belong together or a class index has no name.
        """
        corners, classes, scores = aligned(predictions, "predictions", len(self._classes), 0)
        objects, kinds, ignored = aligned(truth, "objects", len(self._classes), -1)
        ignored = ignored.astype(bool)
        if (kinds[~ignored] < 0).any():
            raise ValueError("an object of no class (-1) must be ignored")
        self._images += 1
        for index, tally in enumerate(self._tallies):
            chosen = np.flatnonzero(classes == index)
            chosen = chosen[by_score(scores[chosen])][: self._most]
            own = kinds == index
            tally.objects += int((own & ~ignored).sum())
            tally.ignored += int((own & ignored).sum())
            if chosen.size:
                verdicts = self._judge(
                    corners[chosen], objects[own], ignored[own], objects[kinds < 0]
                )
                tally.scores.extend(scores[chosen].astype(np.float64).tolist())
                tally.verdicts.frombytes(np.ascontiguousarray(verdicts).tobytes())

    def result(self):
        """What was found, as one document.

        `map50` is the mean of the classes' average precision at overlap 0.5 (None when 0.5 is no
        threshold), `map` the mean over all thresholds too; classes without objects are left out
        of both and have None. Without any object both are None and `reason` says why.
        """
        rows = [self._row(name, tally) for name, tally in zip(self._classes, self._tallies)]
        document = {
            "rule": self._rule,
            "reading": self._reading,
            "thresholds": [round(float(value), 4) for value in self._thresholds],
            "images": self._images,
            "map50": mean_of_known([row["ap50"] for row in rows]),
            "map": mean_of_known([row["ap"] for row in rows]),
            "classes": rows,
        }
        if document["map"] is None:
            document["reason"] = "no image has an object that counts"
        return document

    def _row(self, name, tally):
        scores = np.array(tally.scores, np.float64)
        verdicts = np.array(tally.verdicts, np.int8).reshape(-1, len(self._thresholds))
        values = [
            average_precision(scores, column, tally.objects, self._reading) for column in verdicts.T
        ]
        at_half = [value for value, iou in zip(values, self._thresholds) if abs(iou - 0.5) < 1e-9]
        return {
            "name": name,
            "objects": tally.objects,
            "ignored": tally.ignored,
            "predictions": len(scores),
            "ap50": at_half[0] if at_half else None,
            "ap": mean_of_known(values),
        }

    def _judge(self, corners, objects, ignored, regions):
        """Verdicts (n, thresholds) of one class's predictions, best score first."""
        match = _match_voc if self._rule == "voc" else _match_coco
        verdicts = match(corners, objects, ignored, self._thresholds)
        if regions.size:
            inside = covered_matrix(corners, regions).max(axis=1)
            beside = inside[:, np.newaxis] >= self._thresholds
            verdicts[(verdicts == 0) & beside] = -1
        return verdicts


class _Tally(object):
    """What is kept of one class: numbers, not images."""

    def __init__(self):
        self.objects = 0
        self.ignored = 0
        self.scores = array.array("d")
        self.verdicts = array.array("b")


def _match_voc(corners, objects, ignored, thresholds):
    verdicts = np.zeros((len(corners), len(thresholds)), np.int8)
    if not len(objects):
        return verdicts
    overlaps = iou_matrix(corners, objects)
    nearest = overlaps.argmax(axis=1)
    taken = np.zeros((len(objects), len(thresholds)), bool)
    for row, target in enumerate(nearest):
        near = overlaps[row, target] >= thresholds
        if ignored[target]:
            verdicts[row, near] = -1
        else:
            verdicts[row, near & ~taken[target]] = 1
            taken[target] |= near
    return verdicts


def _match_coco(corners, objects, ignored, thresholds):
    verdicts = np.zeros((len(corners), len(thresholds)), np.int8)
    plain, crowds = objects[~ignored], objects[ignored]
    overlaps = iou_matrix(corners, plain)
    for column, threshold in enumerate(thresholds):
        free = np.ones(len(plain), bool)
        for row in range(len(corners) if len(plain) else 0):
            left = np.where(free, overlaps[row], -1.0)
            target = len(left) - 1 - int(left[::-1].argmax())  # of equal ones the last, as COCO
            if left[target] >= threshold:
                verdicts[row, column] = 1
                free[target] = False
    if len(crowds):
        inside = covered_matrix(corners, crowds).max(axis=1)
        verdicts[(verdicts == 0) & (inside[:, np.newaxis] >= thresholds)] = -1
    return verdicts


def aligned(arrays, what, classes, least):
    """(corners, classes, third) as arrays of one length; `least` is the lowest class index."""
    corners, indices, third = arrays
    corners, indices, third = corners_of(corners), np.asarray(indices), np.asarray(third)
    if not len(corners) == len(indices) == len(third):
        raise ValueError(
            "%s: %d boxes, %d classes and %d values beside them"
            % (what, len(corners), len(indices), len(third))
        )
    if len(indices) and not least <= indices.min() <= indices.max() < classes:
        raise ValueError(
            "%s: class %d to %d, but there are %d classes"
            % (what, indices.min(), indices.max(), classes)
        )
    return corners, indices, third


def mean_of_known(values):
    """The mean of those `values` that are not None; None where there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
