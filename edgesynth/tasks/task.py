"""What training and evaluation need to know of a task."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import Images
from edgesynth.core.network import Preprocessing


class Task(Protocol):
    """Targets, loss and figure of merit of one kind of work."""

    @property
    def metric(self) -> str:
        """What `score` is, in words: `accuracy` or `mAP@0.5`."""
        ...

    def targets(self, split: Images, indices: npt.NDArray[np.int64]) -> Any:
        """What `loss` compares with for the images at `indices` of `split`."""
        ...

    def loss(self, module: nn.Module, images: torch.Tensor, targets: Any) -> torch.Tensor:
        """The scalar to be minimized for one batch; `images` is the network's float32 input."""
        ...

    def require_fit(self, module: nn.Module, outputs: Any, classes: int) -> None:
        """Raise UserError when `outputs`, of two images, is not what this task needs of a
        `module` for so many classes."""
        ...

    def score(self, module: nn.Module, split: Images, preprocessing: Preprocessing) -> float:
        """The figure of merit on all of `split`, a fraction in [0, 1], more is better.

        Leaves the module's mode as it is.
        """
        ...
