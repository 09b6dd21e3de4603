"""What is about to become a bundle: a model, what it should compute, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx

from edgesynth.core.errors import CheckError, UserError
from edgesynth.core.network import Preprocessing
from edgesynth.export.golden import RANGE_TOLERANCE
from edgesynth.export.session import Arrays

UNKNOWN_TASK = "unknown"
"""Of a network that is no classifier and does not say what else it is."""
Batch = int | None
"""A fixed number of samples, or None where the batch is open."""


@dataclass(frozen=True)
class Candidate:
    """One stage, not yet verified. `golden_inputs` and `golden_outputs` start with the samples."""

    name: str
    task: str
    model: onnx.ModelProto
    batch: Batch
    golden_inputs: Arrays
    golden_outputs: Arrays
    preprocessing: Preprocessing | None
    """None where nobody said how pixels become inputs."""
    labels: tuple[str, ...]
    accuracy: Mapping[str, float | str]
    cost: Mapping[str, int | None]
    parent: str | None
    """SHA-256 of the weights or file that this was made from."""
    versions: Mapping[str, str]
    precision: Mapping[str, object] | None = None
    """What of restricted precision is in the file; None where all was float32 from the start."""
    range_tolerance: float = RANGE_TOLERANCE
    """Share of an output's range by which two implementations may differ."""
    warnings: tuple[str, ...] = field(default=())
    """What the user should know about the way it was made."""
    operators: tuple[Mapping[str, object], ...] = ()
    """Layers that are custom operators, as `custom_layers.Chosen` describes them."""
    postprocessing: Mapping[str, object] | None = None
    """Of a detection network: how its outputs become objects, see `detection_decode`."""


def is_classifier(outputs: Arrays) -> bool:
    """True for a single output of shape (samples, classes)."""
    return len(outputs) == 1 and next(iter(outputs.values())).ndim == 2


def is_segmenter(outputs: Arrays) -> bool:
    """True for a single output of shape (samples, classes, height, width)."""
    return len(outputs) == 1 and next(iter(outputs.values())).ndim == 4


def checked_labels(labels: tuple[str, ...], outputs: Arrays, origin: str) -> tuple[str, ...]:
    """`labels`, when they are none or as many as the single output has classes.

    Raises UserError naming `origin`, where the labels come from, otherwise.
    """
    if not labels or not is_classifier(outputs):
        return labels
    return counted_labels(labels, next(iter(outputs.values())).shape[1], origin)


def counted_labels(labels: tuple[str, ...], classes: int, origin: str) -> tuple[str, ...]:
    """`labels`, when they are none or as many as `classes`; UserError otherwise."""
    if labels and len(labels) != classes:
        raise UserError(f"{origin} has {len(labels)} labels for a network with {classes} classes")
    return labels


def require_finite(outputs: Arrays, name: str) -> None:
    """Raise CheckError when an output is NaN or infinite: nothing could be compared with it."""
    for output, values in outputs.items():
        wrong = np.argwhere(~np.isfinite(values.astype(np.float64)))
        if len(wrong):
            place = ", ".join(map(str, wrong[0]))
            raise CheckError(
                f'{name}: output "{output}" is not finite at [{place}] of its golden samples; '
                "mend the weights, or give --mean and --std if inputs are out of range"
            )
