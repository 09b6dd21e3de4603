"""A student that learns from a teacher's outputs."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.core.dataset import ArraySplit
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.tasks.distillation import Distillation, Lesson, distillation

PLAIN = Preprocessing(mean=(0.0,), std=(1.0,), scale=1.0)


class Fixed(nn.Module):
    """Gives the same logits for every image."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


def test_the_loss_by_hand():
    # Teacher 0.75 : 0.25 at temperature 2, student 0.5 : 0.5, true class 0.
    teacher = torch.tensor([[2 * math.log(3), 0.0]])
    task = Distillation(Fixed(0.0, 0.0), teacher, share=0.4, temperature=2.0)
    student = Fixed(0.0, 0.0)
    loss = task.loss(student, torch.zeros(1, 1, 1, 1), Lesson(torch.tensor([0]), teacher))
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert loss.item() == pytest.approx(0.6 * math.log(2) + 0.4 * 4 * divergence, rel=1e-6)


def test_a_perfect_student_has_nothing_to_learn_from_its_teacher():
    teacher = Fixed(1.0, -2.0, 0.5)
    split = ArraySplit(np.zeros((3, 1, 2, 2), np.uint8), np.array([0, 1, 2]))
    task = distillation(teacher, split, PLAIN, share=1.0)
    student = Fixed(1.0, -2.0, 0.5)
    task.loss(student, torch.zeros(3, 1, 2, 2), task.targets(split, np.arange(3))).backward()
    assert student.logits.grad.abs().max() < 1e-6


def test_the_teacher_is_asked_about_the_very_images_of_the_batch():
    class Sum(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([images.sum(dim=(1, 2, 3)), -images.sum(dim=(1, 2, 3))], dim=1)

    pixels = np.arange(1201, dtype=np.uint8).reshape(-1, 1, 1, 1)
    split = ArraySplit(pixels, np.zeros(1201, np.int64))
    task = distillation(Sum(), split, PLAIN, share=0.5)
    labels, logits = task.targets(split, np.array([7, 1200, 0]))
    assert labels.tolist() == [0, 0, 0]
    assert logits[:, 0].tolist() == [7.0, float(np.uint8(1200 % 256)), 0.0]


def test_a_teacher_of_augmented_images_sees_the_batch_itself():
    teacher, student = Fixed(2 * math.log(3), 0.0), Fixed(0.0, 0.0)
    split = ArraySplit(np.zeros((1, 1, 1, 1), np.uint8), np.array([0]))
    task = distillation(teacher, split, PLAIN, share=1.0, temperature=2.0, augmented=True)
    loss = task.loss(student, torch.zeros(1, 1, 1, 1), task.targets(split, np.arange(1)))
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert loss.item() == pytest.approx(4 * divergence, rel=1e-6)


def test_a_teacher_does_not_train():
    teacher = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(4, 2)).train()
    split = ArraySplit(np.ones((4, 1, 2, 2), np.uint8), np.zeros(4, np.int64))
    first, second = (distillation(teacher, split, PLAIN, share=0.5).logits for _ in range(2))
    assert torch.equal(first, second)  # no dropout while it teaches


@pytest.mark.parametrize(("share", "temperature"), [(0.0, 4.0), (1.5, 4.0), (0.5, 0.0)])
def test_shares_that_are_none(share: float, temperature: float):
    split = ArraySplit(np.zeros((1, 1, 1, 1), np.uint8), np.zeros(1, np.int64))
    with pytest.raises(UserError, match="out of range"):
        distillation(Fixed(0.0, 0.0), split, PLAIN, share, temperature)
