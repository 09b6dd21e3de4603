"""From the attributes of an operator back to dense weights."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgesynth.operators.geometry import columns
from edgesynth.operators.packing import unpack, words_per_row
from edgesynth.operators.spec import Attributes


def dense_weights(attributes: Attributes) -> npt.NDArray[np.float32]:
    """The weights in the complete `attributes` of an operator, float32 of `weight_shape`."""
    shape = attributes["weight_shape"]
    if "positions" in attributes:
        flat = np.zeros(math.prod(shape), np.float32)
        flat[attributes["positions"]] = attributes["values"]
        return flat.reshape(shape)
    if "words" in attributes:
        bits, count = attributes["bits"], columns(attributes)
        words = attributes["words"].reshape(shape[0], words_per_row(count, bits))
        codes = unpack(words, bits, count).astype(np.float32)
        scaled: npt.NDArray[np.float32] = codes * attributes["scales"][:, None]
        return scaled.reshape(shape)
    dense: npt.NDArray[np.float32] = attributes["weights"].reshape(shape)
    return dense
