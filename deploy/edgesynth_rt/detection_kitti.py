"""Average precision as KITTI's object benchmark counts it (Python 3.6).

    score = KittiScore(("Car", "Pedestrian", "Cyclist"))
    for predictions, truth, levels, scale in ...:
        score.add(predictions, truth, levels, scale)
    score.result()["moderate"]

Follows devkit_object's evaluate_object.cpp: an object is found by an overlap of more than 0.7 (Car)
or 0.5; three difficulties say how small, hidden and cut off it may be; harder objects, neighbouring
types (Van for Car) and what lies in DontCare regions count neither way; precision is read at 40
equally spaced recalls (arXiv 1905.12365). One difference: in the kit a prediction that
is too short may hide an object of any class, here of its own class only.

The kit takes its 40 recalls from the scores of found objects, so that fewer than 41 objects of a
class and difficulty cannot reach 1: four, all found without a mistake, give 3/40. Such figures
follow the kit here too, and `few` names them.

Of an image the scores and heights of its predictions stay, and how they overlap its objects.
"""

import numpy as np

from edgesynth_rt.detection_boxes import by_score, covered_matrix, iou_matrix
from edgesynth_rt.detection_score import aligned, mean_of_known

LEVELS = ("easy", "moderate", "hard")
LEAST_HEIGHT = (40.0, 25.0, 25.0)  # pixels of KITTI's own images
CAR_OVERLAP = 0.7
OVERLAP = 0.5
RECALLS = 40


class KittiScore(object):
    """Average precision per class and difficulty."""

    def __init__(self, classes, overlaps=None):
        """`classes`: their names; `overlaps`: what is needed, by name, where not as KITTI's."""
        given = overlaps or {}
        self._classes = tuple(classes)
        self._overlaps = [
            given.get(name, CAR_OVERLAP if name.lower() == "car" else OVERLAP)
            for name in self._classes
        ]
        self._images = 0
        self._cases = [[] for _ in self._classes]

    def add(self, predictions, truth, levels=None, scale=1.0):
        """Count one image.

        predictions: (corners (n, 4), classes (n,), scores (n,)); truth: (corners (m, 4), classes
        (m,), ignored (m,)), ignored ones of a class being its neighbours, those of class -1
        DontCare regions. levels (m,): the lowest difficulty of each object, 0 to 2, or 3 for none;
        when None, what its height alone allows. scale: pixels of the original image per pixel of
        `corners`, vertically. Raises ValueError when arrays do not belong together.
        """
        corners, classes, scores = aligned(predictions, "predictions", len(self._classes), 0)
        objects, kinds, ignored = aligned(truth, "objects", len(self._classes), -1)
        heights = (objects[:, 3] - objects[:, 1]) * scale
        levels = _levels_by_height(heights) if levels is None else np.asarray(levels)
        if levels.shape != (len(objects),):
            raise ValueError("%d objects, levels of shape %s" % (len(objects), levels.shape))
        self._images += 1
        for index, cases in enumerate(self._cases):
            chosen = np.flatnonzero(classes == index)
            chosen = chosen[by_score(scores[chosen])]
            own = kinds == index
            if not (chosen.size or own.any()):
                continue
            case = _Case()
            case.scores = scores[chosen].astype(np.float64)
            case.heights = (corners[chosen, 3] - corners[chosen, 1]) * scale
            case.levels = np.where(ignored[own].astype(bool), len(LEVELS), levels[own])
            overlaps = iou_matrix(objects[own], corners[chosen])
            case.overlaps = np.where(overlaps > self._overlaps[index], overlaps, 0.0)
            inside = covered_matrix(corners[chosen], objects[kinds < 0])
            case.excused = (inside > self._overlaps[index]).any(axis=1)
            cases.append(case)

    def result(self):
        """What was found, as one document.

        `easy`, `moderate` and `hard` are means over the classes that have objects of that
        difficulty or an easier one; None, and a `reason`, where no class has.
        """
        rows = []
        for name, overlap, cases in zip(self._classes, self._overlaps, self._cases):
            row = {"name": name, "overlap": overlap, "objects": {}}
            for level, word in enumerate(LEVELS):
                row["objects"][word] = sum(int((case.levels <= level).sum()) for case in cases)
                row[word] = _average_precision(cases, level, row["objects"][word])
            row["few"] = [word for word in LEVELS if 0 < row["objects"][word] <= RECALLS]
            rows.append(row)
        document = {"rule": "kitti", "recalls": RECALLS, "images": self._images, "classes": rows}
        for word in LEVELS:
            document[word] = mean_of_known([row[word] for row in rows])
        if document["hard"] is None:
            document["reason"] = "no image has an object that counts at any difficulty"
        return document


class _Case(object):
    """One class in one image: predictions from the best score on, and objects.

    scores, heights, excused (in a DontCare region): (n,); levels: (m,), 3 for what is never to be
    found; overlaps: (m, n), 0 where not enough.
    """

    __slots__ = ("excused", "heights", "levels", "overlaps", "scores")


def _levels_by_height(heights):
    return np.where(heights >= LEAST_HEIGHT[0], 0, np.where(heights >= LEAST_HEIGHT[1], 1, 3))


def _average_precision(cases, level, objects):
    if not objects:
        return None
    found = sorted((score for case in cases for score in _found_scores(case, level)), reverse=True)
    thresholds = _thresholds(found, objects)
    right = np.zeros(len(thresholds))
    wrong = np.zeros(len(thresholds))
    for case in cases:
        counts = np.searchsorted(-case.scores, -thresholds, side="right")
        known = {count: _count(case, level, count) for count in set(counts.tolist())}
        for position, count in enumerate(counts.tolist()):
            right[position] += known[count][0]
            wrong[position] += known[count][1]
    precision = np.zeros(RECALLS + 1)
    precision[: len(thresholds)] = right / np.maximum(right + wrong, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[1:].mean())


def _found_scores(case, level):
    """The score at which each object is first found: what recall can be reached, and when."""
    short = case.heights < LEAST_HEIGHT[level]
    free = np.ones(len(case.scores), dtype=bool)
    scores = []
    for target in range(len(case.levels)):
        candidates = np.flatnonzero(free & (case.overlaps[target] > 0))
        if candidates.size:
            free[candidates[0]] = False
            if case.levels[target] <= level and not short[candidates[0]]:
                scores.append(case.scores[candidates[0]])
    return scores


def _thresholds(scores, objects):
    """Those of the descending `scores` that come nearest to recalls 0, 1/40, 2/40, ... 1."""
    chosen = []
    recall = 0.0
    for position, score in enumerate(scores):
        last = position == len(scores) - 1
        here = (position + 1) / float(objects)
        beyond = here if last else (position + 2) / float(objects)
        if not last and beyond - recall < recall - here:
            continue
        chosen.append(score)
        recall += 1.0 / RECALLS
    return np.asarray(chosen[: RECALLS + 1])


def _count(case, level, count):
    """(right, wrong) among the `count` best predictions."""
    short = case.heights[:count] < LEAST_HEIGHT[level]
    free = np.ones(count, dtype=bool)
    right = 0
    for target in range(len(case.levels)):
        overlaps = np.where(free, case.overlaps[target, :count], 0.0)
        tall = np.where(short, 0.0, overlaps)
        if tall.any():
            chosen = int(tall.argmax())
            right += int(case.levels[target] <= level)
        elif overlaps.any():
            chosen = int(np.flatnonzero(overlaps)[0])
        else:
            continue
        free[chosen] = False
    return right, int((free & ~short & ~case.excused[:count]).sum())
