"""Average precision from scored verdicts (Python 3.6).

Three readings of one precision-recall curve. All first replace each precision by the best one at
the same or a higher recall; they differ in the recalls at which that is read:

- `all`: at every recall, the area under the curve. VOC from 2010 on, and KITTI's idea.
- `11`: at 0, 0.1, ... 1. VOC 2007 (Everingham et al., IJCV 88, 2010).
- `101`: at 0, 0.01, ... 1. COCO (github:cocodataset/cocoapi, cocoeval.py, `accumulate`).
"""

import numpy as np

from edgesynth_rt.detection_boxes import by_score

READINGS = ("all", "11", "101")


def average_precision(scores, verdicts, objects, reading="all"):
    """Average precision of one class, or None where there is no object to be found.

    scores (n,); verdicts (n,): 1 found an object, 0 found none, -1 does not count; objects: how
    many there were to be found. Predictions of equal score count in the order given.
    """
    if reading not in READINGS:
        raise ValueError("reading %r is none of %s" % (reading, ", ".join(READINGS)))
    if not objects:
        return None
    verdicts = np.asarray(verdicts)[by_score(scores)]
    verdicts = verdicts[verdicts >= 0]
    if not verdicts.size:
        return 0.0
    found = np.cumsum(verdicts == 1)
    precision = found / np.arange(1.0, verdicts.size + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if reading == "all":
        return float(np.sum(best[verdicts == 1]) / objects)  # recall rises at found objects only
    if reading == "11":
        needed = np.arange(11) * objects  # compared times 10, so that no rounding decides
        first = np.searchsorted(found * 10, needed)
    else:
        first = np.searchsorted(found / float(objects), np.linspace(0.0, 1.0, 101))
    return float(np.append(best, 0.0)[np.minimum(first, best.size)].mean())
