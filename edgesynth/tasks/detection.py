"""Object detection: a network's own head teaches it, and mean average precision judges it.

What the raw output of a network means is known to the network alone: a module made for detection
carries a `head`. Decoding and scoring are the device runtime's, so that the figure of merit here is
the one that a board computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.dataset import Boxes, Images, boxed
from edgesynth.core.errors import UserError
from edgesynth.core.metric import MAP50
from edgesynth.core.network import Preprocessing
from edgesynth.tasks.pixels import to_input
from edgesynth_rt.detection_decode import decode
from edgesynth_rt.detection_score import DetectionScore
from edgesynth_rt.evaluate_boxes import LEAST_SCORE


@runtime_checkable
class Head(Protocol):
    """The attribute `head` of a detection network."""

    def loss(self, outputs: Any, boxes: Sequence[Boxes]) -> torch.Tensor:
        """The scalar to be minimized; `outputs` is what the module's forward returned."""
        ...

    def postprocessing(self) -> dict[str, Any]:
        """Settings of `edgesynth_rt.detection_decode`, JSON data: "kind", "classes", ..."""
        ...


class Detection:
    """Any number of objects per image."""

    metric = MAP50

    def targets(self, split: Images, indices: npt.NDArray[np.int64]) -> list[Boxes]:
        """The objects of each image."""
        return boxed(split).boxes(indices)

    def loss(
        self, module: nn.Module, images: torch.Tensor, targets: Sequence[Boxes]
    ) -> torch.Tensor:
        """The loss of the module's own head."""
        return head_of(module).loss(module(images), targets)

    def require_fit(self, module: nn.Module, outputs: Any, classes: int) -> None:
        """A head for so many classes is needed, and outputs that it can decode."""
        settings = head_of(module).postprocessing()
        if settings["classes"] != classes:
            raise UserError(f"it was made for {settings['classes']} classes, not {classes}")
        decode(as_arrays(outputs), settings, threshold=1.0)

    def score(self, module: nn.Module, split: Images, preprocessing: Preprocessing) -> float:
        """Mean average precision at an overlap of 0.5 (VOC's rule); 0 without any object."""
        found = score_detections(module, split, preprocessing)["map50"]
        return 0.0 if found is None else float(found)


def has_head(module: nn.Module) -> bool:
    """Whether `module` was made for detection."""
    return isinstance(getattr(module, "head", None), Head)


def head_of(module: nn.Module) -> Head:
    """The head of a detection network.

    Raises UserError when `module` has none.
    """
    head = getattr(module, "head", None)
    if not isinstance(head, Head):
        raise UserError(
            f"{type(module).__name__} is no detection network: it has no attribute `head` with "
            "loss(outputs, boxes) and postprocessing(); yolov2 has one"
        )
    return head


def score_detections(
    module: nn.Module, split: Images, preprocessing: Preprocessing, *, batch: int = 64
) -> dict[str, Any]:
    """`DetectionScore.result` of `module` on all of `split`. Leaves the module's mode as it is."""
    settings = head_of(module).postprocessing()
    score = DetectionScore(tuple(map(str, range(settings["classes"]))))
    truths = boxed(split)
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(split), batch):
                indices = np.arange(start, min(start + batch, len(split)))
                outputs = module(to_input(split.images(indices), preprocessing))
                found = decode(as_arrays(outputs), settings, LEAST_SCORE)
                for predictions, truth in zip(found, truths.boxes(indices), strict=True):
                    score.add(predictions, (truth.corners, truth.classes, truth.ignored))
    finally:
        module.train(training)
    result: dict[str, Any] = score.result()
    return result


def as_arrays(outputs: Any) -> list[npt.NDArray[np.float32]]:
    """What a module returned, a tensor or several in a tuple or dict, as arrays in their order."""
    if torch.is_tensor(outputs):
        outputs = [outputs]
    elif isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    return [tensor.detach().cpu().numpy() for tensor in outputs]
