"""Classification: cross-entropy, and the share of images whose largest output is the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import Images, labelled
from edgesynth.core.errors import UserError
from edgesynth.core.metric import ACCURACY
from edgesynth.core.network import Preprocessing
from edgesynth.tasks.pixels import to_input


class Classification:
    """One class per image."""

    metric = ACCURACY

    def targets(self, split: Images, indices: npt.NDArray[np.int64]) -> torch.Tensor:
        """Class indices, int64 (batch,)."""
        return torch.from_numpy(labelled(split).labels[indices])

    def loss(self, module: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the logits, shape (batch, classes)."""
        return nn.functional.cross_entropy(module(images), targets)

    def require_fit(self, module: nn.Module, outputs: Any, classes: int) -> None:
        """Logits (2, classes) are needed."""
        if not torch.is_tensor(outputs) or outputs.shape != (2, classes):
            shape = tuple(outputs.shape) if torch.is_tensor(outputs) else type(outputs).__name__
            raise UserError(f"it gives {shape} for 2 images, not (2, {classes})")

    def score(self, module: nn.Module, split: Images, preprocessing: Preprocessing) -> float:
        """Top-1 accuracy."""
        return accuracy(module, split, preprocessing)


def accuracy(
    module: nn.Module, split: Images, preprocessing: Preprocessing, *, batch: int = 500
) -> float:
    """Top-1 accuracy of `module` on all of `split`, a fraction. Leaves the module's mode as is."""
    all_labels = labelled(split).labels
    training = module.training
    module.eval()
    right = 0
    try:
        with torch.inference_mode():
            for start in range(0, len(split), batch):
                indices = np.arange(start, min(start + batch, len(split)))
                logits = module(to_input(split.images(indices), preprocessing))
                labels = torch.from_numpy(all_labels[indices])
                right += int((logits.argmax(dim=1) == labels).sum())
    finally:
        module.train(training)
    return right / len(split)
