"""Golden inputs: a few samples that every later run of a bundle is compared on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.export.session import Arrays, Tensor

SAMPLES = 8
#: Share of an output's range by which float32 implementations may differ. Sums of thousands of
#: products in another order differ by about 1e-6 of it; 100 times that leaves room for Winograd
#: convolutions and still shows a wrong weight.
RANGE_TOLERANCE = 1e-4
RTOL = 1e-3
_COARSE = 4  # pixels of the coarse pattern along each side


def noise_pixels(samples: int, shape: Sequence[int], seed: int) -> npt.NDArray[np.uint8]:
    """Seeded uint8 images (samples, channels, height, width): coarse blobs with fine noise.

    Plain noise would average out in the first pooling; blobs reach the last layer.
    """
    generator = np.random.default_rng(seed)
    channels, height, width = shape
    coarse = generator.integers(0, 256, (samples, channels, _COARSE, _COARSE))
    rows = np.arange(height) * _COARSE // height
    columns = np.arange(width) * _COARSE // width
    blobs = coarse[:, :, rows][:, :, :, columns]
    noise = generator.integers(-40, 41, (samples, channels, height, width))
    pixels: npt.NDArray[np.uint8] = np.clip(blobs + noise, 0, 255).astype(np.uint8)
    return pixels


def data_pixels(
    data: Dataset, samples: int, shape: Sequence[int], seed: int
) -> npt.NDArray[np.uint8]:
    """Seeded images from the validation split; test stays untouched.

    Raises UserError when the data set's images are not of `shape` (channels, height, width).
    """
    if tuple(data.input_shape) != tuple(shape):
        raise UserError(
            f"{data.name} has images of {_text(data.input_shape)}, the network takes "
            f"{_text(shape)}; give the data that it was trained on"
        )
    generator = np.random.default_rng(seed)
    count = len(data.validation)
    chosen = generator.choice(count, samples, replace=count < samples)
    return data.validation.images(np.sort(chosen))


def preprocess(
    pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing
) -> npt.NDArray[np.float32]:
    """(pixel * scale - mean) / std per channel, as float32 of the same shape."""
    images = pixels.astype(np.float32) * np.float32(preprocessing.scale)
    images -= np.asarray(preprocessing.mean, np.float32).reshape(1, -1, 1, 1)
    images /= np.asarray(preprocessing.std, np.float32).reshape(1, -1, 1, 1)
    return images


def random_inputs(inputs: Sequence[Tensor], samples: int, seed: int) -> Arrays:
    """Seeded values for inputs of any kind: normal numbers, small non-negative integers, flags.

    `inputs`: their extents behind the first are numbers.
    """
    generator = np.random.default_rng(seed)
    made: Arrays = {}
    for tensor in inputs:
        shape = (samples, *(int(extent or 1) for extent in (tensor.shape or (1,))[1:]))
        kind = np.dtype(tensor.dtype)
        if kind.kind == "f":
            made[tensor.name] = generator.standard_normal(shape).astype(kind)
        elif kind.kind == "b":
            made[tensor.name] = generator.integers(0, 2, shape).astype(kind)
        else:
            made[tensor.name] = generator.integers(0, 128, shape).astype(kind)
    return made


def samples_for(batch: int | None) -> int:
    """Number of golden samples: at least `SAMPLES` and whole batches."""
    return SAMPLES if batch is None else -(-SAMPLES // batch) * batch


def tolerances(outputs: Arrays, share: float = RANGE_TOLERANCE) -> dict[str, float]:
    """Absolute tolerance of each output: a share of the greatest magnitude in it."""
    return {
        name: max(1e-6, share * float(np.abs(array.astype(np.float64)).max()))
        for name, array in outputs.items()
    }


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
