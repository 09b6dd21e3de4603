"""Semantic segmentation: a class for every pixel, judged by the mean intersection over union."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import UNLABELLED, Images, masked
from edgesynth.core.errors import UserError
from edgesynth.core.metric import MIOU
from edgesynth.core.network import Preprocessing
from edgesynth.tasks.pixels import to_input

Counts = npt.NDArray[np.int64]
"""Pixels of each true class (rows) that were given each class (columns)."""


class Segmentation:
    """One class per pixel. A network gives logits, (batch, classes, height, width), at the side of
    its input or a fraction of it; they are then widened bilinearly."""

    metric = MIOU

    def targets(self, split: Images, indices: npt.NDArray[np.int64]) -> torch.Tensor:
        """Class of every pixel, int64 (batch, height, width), 255 where it counts nowhere."""
        return torch.from_numpy(masked(split).masks(indices)).long()

    def loss(self, module: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy over the labelled pixels; 0 where there are none."""
        logits = widened(module(images), targets.shape[1:])
        total = nn.functional.cross_entropy(
            logits, targets, ignore_index=UNLABELLED, reduction="sum"
        )
        return total / (targets != UNLABELLED).sum().clamp(min=1)

    def require_fit(self, module: nn.Module, outputs: Any, classes: int) -> None:
        """Logits (2, classes, height, width) are needed."""
        good = torch.is_tensor(outputs) and outputs.dim() == 4
        if not good or outputs.shape[:2] != (2, classes):
            shape = tuple(outputs.shape) if torch.is_tensor(outputs) else type(outputs).__name__
            raise UserError(
                f"it gives {shape} for 2 images, not (2, {classes}, height, width); "
                "refinenet is made for segmentation"
            )

    def score(self, module: nn.Module, split: Images, preprocessing: Preprocessing) -> float:
        """Mean intersection over union of the classes that there are."""
        return mean_iou(confusion(module, split, preprocessing))


def widened(logits: torch.Tensor, sides: tuple[int, ...] | torch.Size) -> torch.Tensor:
    """`logits` (batch, classes, h, w) at (height, width) of `sides`."""
    if logits.shape[2:] == tuple(sides):
        return logits
    return nn.functional.interpolate(
        logits, size=tuple(sides), mode="bilinear", align_corners=False
    )


def confusion(
    module: nn.Module, split: Images, preprocessing: Preprocessing, *, batch: int = 50
) -> Counts:
    """Which classes the pixels of `split` were given, shape (classes, classes).

    Leaves the module's mode as it is.
    """
    truths = masked(split)
    training = module.training
    module.eval()
    counts: Counts | None = None
    try:
        with torch.inference_mode():
            for start in range(0, len(split), batch):
                indices = np.arange(start, min(start + batch, len(split)))
                masks = truths.masks(indices)
                logits = module(to_input(split.images(indices), preprocessing))
                found = widened(logits, masks.shape[1:]).argmax(dim=1).numpy()
                more = count_pixels(masks, found, logits.shape[1])
                counts = more if counts is None else counts + more
    finally:
        module.train(training)
    return np.zeros((0, 0), np.int64) if counts is None else counts


def count_pixels(
    truth: npt.NDArray[np.uint8], found: npt.NDArray[np.integer[Any]], classes: int
) -> Counts:
    """The confusion of one batch; pixels that count nowhere are left out."""
    known = truth < classes
    pairs = truth[known].astype(np.int64) * classes + found[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def mean_iou(counts: Counts) -> float:
    """Mean over the classes that occur of true positives over everything that is, or was taken for,
    the class (PASCAL VOC's rule); 0 without any pixel."""
    right = counts.diagonal()
    union = counts.sum(0) + counts.sum(1) - right
    there = counts.sum(1) > 0
    return float((right[there] / union[there]).mean()) if there.any() else 0.0
