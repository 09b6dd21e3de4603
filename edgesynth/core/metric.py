"""What the figure of merit of each task is called.

Networks, bundles and records carry it as `accuracy`, a fraction in [0, 1] where more is better.
"""

from __future__ import annotations

ACCURACY = "accuracy"
MAP50 = "mAP@0.5"
MIOU = "mIoU"

_METRICS = {"classification": ACCURACY, "detection": MAP50, "segmentation": MIOU}


def metric_of(task: str) -> str:
    """`accuracy`, `mAP@0.5` for detection, `mIoU` for segmentation; a task that is not known has
    `accuracy`."""
    return _METRICS.get(task, ACCURACY)
