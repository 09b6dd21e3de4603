"""From raw pixels to what a network takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from edgesynth.core.network import Preprocessing


def to_input(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> torch.Tensor:
    """Raw uint8 NCHW pixels as the network's float32 input: (pixel * scale - mean) / std."""
    images = torch.from_numpy(pixels).to(torch.float32)
    shape = (1, len(preprocessing.mean), 1, 1)
    scale = torch.tensor([preprocessing.scale / std for std in preprocessing.std]).view(shape)
    pairs = zip(preprocessing.mean, preprocessing.std, strict=True)
    offset = torch.tensor([mean / std for mean, std in pairs]).view(shape)
    return images.mul_(scale).sub_(offset)
