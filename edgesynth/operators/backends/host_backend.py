"""The kernels compiled for this machine's CPU, every thread of a block emulated."""

from __future__ import annotations

import torch

from edgesynth.operators.backends.native import open_library
from edgesynth.operators.spec import Attributes


def run(
    name: str, inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, ...]:
    """Raises MissingError, with the command that builds it, where the library is absent."""
    return open_library("host").run(name, inputs, attributes)
