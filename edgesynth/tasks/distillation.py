"""Distillation: a small network learns from the outputs of a large one beside the true classes.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531. The
teacher sees every train image once, before the training, and its logits are kept; where images are
augmented it sees every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import Images
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.tasks.classification import Classification
from edgesynth.tasks.pixels import to_input

TEMPERATURE = 3.0
_BATCH = 500


class Lesson(NamedTuple):
    """What one batch is compared with."""

    labels: torch.Tensor
    """int64 (batch,)."""
    logits: torch.Tensor | None
    """The teacher's, float32 (batch, classes); None when it has yet to see the batch."""


@dataclass(frozen=True)
class Distillation(Classification):
    """Classification with a teacher; `score` is that of plain classification."""

    teacher: nn.Module
    """In evaluation mode, with the student's preprocessing."""
    logits: torch.Tensor | None
    """The teacher's for all train images, shape (images, classes); None where they change."""
    share: float
    """Of the teacher in the loss, in [0, 1]; the rest is cross-entropy with the true classes."""
    temperature: float = TEMPERATURE

    def targets(self, split: Images, indices: npt.NDArray[np.int64]) -> Lesson:  # type: ignore[override]
        """True classes and the teacher's logits; `split` is the one that the teacher saw."""
        known = None if self.logits is None else self.logits[torch.from_numpy(indices)]
        return Lesson(super().targets(split, indices), known)

    def loss(self, module: nn.Module, images: torch.Tensor, targets: Lesson) -> torch.Tensor:  # type: ignore[override]
        """(1 - share) * cross-entropy + share * T^2 * KL(teacher || student), both at T."""
        logits, taught = module(images), targets.logits
        if taught is None:
            with torch.no_grad():
                taught = self.teacher(images)
        soft = nn.functional.kl_div(
            nn.functional.log_softmax(logits / self.temperature, dim=1),
            nn.functional.log_softmax(taught / self.temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        hard = nn.functional.cross_entropy(logits, targets.labels)
        return (1 - self.share) * hard + self.share * self.temperature**2 * soft


def distillation(
    teacher: nn.Module,
    train: Images,
    preprocessing: Preprocessing,
    share: float,
    temperature: float = TEMPERATURE,
    *,
    augmented: bool = False,
) -> Distillation:
    """A task in which `teacher` teaches the images of `train`; it is put in evaluation mode.

    Raises UserError when the share or the temperature is out of range.
    """
    if not 0 < share <= 1 or not 0 < temperature <= 100:
        raise UserError(
            f"distillation with share {share:g} and temperature {temperature:g} is out of range; "
            "take a share above 0 and up to 1, and a temperature above 0 and up to 100"
        )
    teacher.eval()
    if augmented:
        return Distillation(teacher, None, share, temperature)
    with torch.no_grad():
        blocks = (
            train.images(np.arange(start, min(start + _BATCH, len(train))))
            for start in range(0, len(train), _BATCH)
        )
        logits = torch.cat([teacher(to_input(block, preprocessing)) for block in blocks])
    return Distillation(teacher, logits, share, temperature)
