"""The reference in PyTorch."""

from __future__ import annotations

import torch

from edgesynth.operators.references import reference
from edgesynth.operators.spec import Attributes


def run(
    name: str, inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, ...]:
    """Half-precision inputs are computed in float32, as kernels add up in it."""
    wide = tuple(each.float() if each.dtype == torch.float16 else each for each in inputs)
    with torch.no_grad():
        return reference(name, wide, attributes)
