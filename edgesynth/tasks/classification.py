"""Classification: cross-entropy, and the share of images whose largest output is the right one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import Split
from edgesynth.core.network import Preprocessing


def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy; `logits` (batch, classes), `labels` int64 (batch,)."""
    return nn.functional.cross_entropy(logits, labels)


def to_input(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> torch.Tensor:
    """Raw uint8 NCHW pixels as the network's float32 input: (pixel * scale - mean) / std."""
    images = torch.from_numpy(pixels).to(torch.float32)
    shape = (1, len(preprocessing.mean), 1, 1)
    scale = torch.tensor([preprocessing.scale / std for std in preprocessing.std]).view(shape)
    pairs = zip(preprocessing.mean, preprocessing.std, strict=True)
    offset = torch.tensor([mean / std for mean, std in pairs]).view(shape)
    return images.mul_(scale).sub_(offset)


def accuracy(
    module: nn.Module, split: Split, preprocessing: Preprocessing, *, batch: int = 500
) -> float:
    """Top-1 accuracy of `module` on all of `split`, a fraction. Leaves the module's mode as is."""
    training = module.training
    module.eval()
    right = 0
    try:
        with torch.inference_mode():
            for start in range(0, len(split), batch):
                indices = np.arange(start, min(start + batch, len(split)))
                logits = module(to_input(split.images(indices), preprocessing))
                labels = torch.from_numpy(split.labels[indices])
                right += int((logits.argmax(dim=1) == labels).sum())
    finally:
        module.train(training)
    return right / len(split)
