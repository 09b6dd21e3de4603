"""The kernels on the GPU of this machine."""

from __future__ import annotations

import torch

from edgesynth.operators.backends.native import open_library
from edgesynth.operators.spec import Attributes
from edgesynth_rt.cudart import Cuda


def run(
    name: str, inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, ...]:
    """Raises MissingError, with the remedy, where GPU, CUDA runtime or library is absent."""
    Cuda()  # says what is missing
    return open_library("gpu").run(name, inputs, attributes)
