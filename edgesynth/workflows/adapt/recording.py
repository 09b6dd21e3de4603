"""What every exit or network answers for the images of a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import Images, labelled
from edgesynth.core.network import Preprocessing
from edgesynth.core.progress import Progress
from edgesynth.dynamic.answers import Answers, Floats
from edgesynth.tasks.pixels import to_input

_BATCH = 250
Pixels = npt.NDArray[np.uint8]
Answer = Callable[[Pixels], Sequence[Floats]]
"""From raw images (n, channels, height, width) to logits (n, classes), one for each stage."""


def record(
    answer: Answer, stages: Sequence[str], split: Images, progress: Progress, label: str
) -> Answers:
    """The `Answers` of all stages for all of `split`, in its order."""
    rows: list[list[Floats]] = [[] for _ in stages]
    with progress.track(label, len(split)) as task:
        for start in range(0, len(split), _BATCH):
            indices = np.arange(start, min(start + _BATCH, len(split)))
            for mine, found in zip(rows, answer(split.images(indices)), strict=True):
                mine.append(found)
            task.advance(len(indices))
    logits = tuple(np.concatenate(each) for each in rows)
    return Answers(tuple(stages), logits, np.asarray(labelled(split).labels))


def of_module(module: nn.Module, preprocessing: Preprocessing) -> Answer:
    """A torch module, which returns logits or a tuple of them."""

    def answer(pixels: Pixels) -> Sequence[Floats]:
        with torch.inference_mode():
            made = module(to_input(pixels, preprocessing))
        return [each.numpy() for each in (made if isinstance(made, tuple) else (made,))]

    module.eval()
    return answer
