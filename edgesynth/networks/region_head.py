"""YOLOv2's region head: what its raw output means, and the loss that teaches it.

Of each cell and anchor the output holds x, y, width, height, objectness and one number per class,
as channel anchor * (5 + classes) + i. The loss is that of darknet's region layer
(src/region_layer.c, `forward_region_layer`) with the settings of cfg/yolov2-voc.cfg; its delta is
the negative gradient of what is computed here. Left out is the pull towards the anchors during the
first 12,800 images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from edgesynth.core.dataset import Boxes
from edgesynth.core.errors import UserError

Anchors = tuple[tuple[float, float], ...]
"""Width and height of each in cells."""

MAX_ANCHORS = 64
NMS_IOU = 0.45
"""darknet's own value for suppressing overlapping detections (examples/detector.c)."""


def parse_anchors(text: str) -> Anchors:
    """`1.3x1.7/3.2x4.0` as pairs of width and height.

    Raises UserError saying how it is written.
    """
    pairs = [part.split("x") for part in text.split("/")]
    try:
        anchors = tuple((float(width), float(height)) for width, height in pairs)
    except ValueError:
        anchors = ()
    sound = all(0 < side < 1e4 for anchor in anchors for side in anchor)
    if not 0 < len(anchors) <= MAX_ANCHORS or not sound:
        raise UserError(
            f'anchors "{text[:80]}" are not 1 to {MAX_ANCHORS} of WIDTHxHEIGHT in cells, '
            "such as 1.3x1.7/3.2x4.0"
        )
    return anchors


def format_anchors(anchors: Sequence[Sequence[float]]) -> str:
    """What `parse_anchors` reads, to five significant digits."""
    return "/".join(f"{width:.5g}x{height:.5g}" for width, height in anchors)


@dataclass(frozen=True)
class RegionHead:
    """The settings of one region layer; names and defaults are darknet's."""

    classes: int
    stride: int
    """Side of a cell in pixels."""
    anchors: Anchors
    object_scale: float = 5.0
    noobject_scale: float = 1.0
    class_scale: float = 1.0
    coord_scale: float = 1.0
    thresh: float = 0.6
    """A prediction that overlaps any object more than this is not taught that there is none."""
    rescore: bool = True
    """Teach the objectness to be the overlap instead of 1."""

    def postprocessing(self) -> dict[str, Any]:
        """The settings of `edgesynth_rt.detection_region`, as JSON data."""
        return {
            "kind": "region",
            "anchors": [list(anchor) for anchor in self.anchors],
            "stride": self.stride,
            "classes": self.classes,
            "nms_iou": NMS_IOU,
        }

    def loss(self, outputs: torch.Tensor, boxes: Sequence[Boxes]) -> torch.Tensor:
        """The scalar to be minimized, per image.

        `outputs`: (n, anchors * (5 + classes), rows, columns); `boxes`: the objects of each image,
        in pixels. Each object is the task of the anchor most like it in shape, in the cell of its
        centre; where two share both, of the later one. Ignored objects teach nothing.
        """
        n, _, rows, columns = outputs.shape
        cells = outputs.reshape(n, len(self.anchors), 5 + self.classes, rows, columns)
        cells = cells.permute(0, 1, 3, 4, 2)
        predicted = self._predicted(cells)
        objectness = torch.sigmoid(cells[..., 4])
        tasks = self._assign(boxes, rows, columns)
        free = ~self._near_object(predicted.detach(), boxes)
        where = tuple(torch.from_numpy(index).to(outputs.device) for index in tasks.where)
        free[where] = False
        nothing = self.noobject_scale * objectness[free].square().sum()
        own = cells[where]
        wanted = torch.from_numpy(tasks.coordinates).to(outputs)
        coordinates = torch.cat([torch.sigmoid(own[:, :2]), own[:, 2:4]], 1)
        # small objects count up to twice (darknet: coord_scale * (2 - width * height))
        weight = 2 - torch.from_numpy(tasks.area).to(outputs)
        place = self.coord_scale * (weight[:, None] * (coordinates - wanted).square()).sum()
        confidence = self._confidence(predicted[where].detach(), tasks)
        thing = self.object_scale * (objectness[where] - confidence).square().sum()
        target = torch.from_numpy(tasks.classes).to(outputs.device)
        kind = self.class_scale * functional.cross_entropy(own[:, 5:], target, reduction="sum")
        return (0.5 * (nothing + place + thing) + kind) / n

    def _predicted(self, cells: torch.Tensor) -> torch.Tensor:
        """Corners in cells of what (n, anchors, rows, columns, 5 + classes) says, last axis 4."""
        rows, columns = cells.shape[2], cells.shape[3]
        like: dict[str, Any] = {"dtype": cells.dtype, "device": cells.device}
        x = torch.sigmoid(cells[..., 0]) + torch.arange(columns, **like)
        y = torch.sigmoid(cells[..., 1]) + torch.arange(rows, **like)[:, None]
        anchors = torch.tensor(self.anchors, **like)[:, :, None, None]
        # a network that has not learned yet must not make an infinite box
        half_width = cells[..., 2].clamp(max=_MAX_LOG).exp() * anchors[:, 0] / 2
        half_height = cells[..., 3].clamp(max=_MAX_LOG).exp() * anchors[:, 1] / 2
        return torch.stack(
            [x - half_width, y - half_height, x + half_width, y + half_height], dim=-1
        )

    def _near_object(self, predicted: torch.Tensor, boxes: Sequence[Boxes]) -> torch.Tensor:
        """Which predictions overlap an object by more than `thresh`, or lie in an ignored one by
        that share; bool of the shape of `predicted` without its last axis."""
        most = max((len(each.classes) for each in boxes), default=0)
        corners = np.zeros((len(boxes), most, 4), np.float32)
        ignored = np.zeros((len(boxes), most), bool)
        for image, each in enumerate(boxes):
            corners[image, : len(each.classes)] = each.corners / self.stride
            ignored[image, : len(each.classes)] = each.ignored
        n, anchors, rows, columns, _ = predicted.shape
        near = predicted.new_zeros((n, anchors, rows, columns), dtype=torch.bool)
        for index in range(most):  # objects per image are few, predictions are many
            truth = torch.from_numpy(corners[:, index]).to(predicted)[:, None, None, None]
            region = torch.from_numpy(ignored[:, index]).to(predicted.device)[:, None, None, None]
            shared = _intersection(predicted, truth)
            area = _area(predicted)
            whole = torch.where(region, area, area + _area(truth) - shared)
            near |= shared > self.thresh * whole
        return near

    def _assign(self, boxes: Sequence[Boxes], rows: int, columns: int) -> _Tasks:
        """Which anchor of which cell each object is the task of, and what it should say."""
        kept = [~each.ignored for each in boxes]
        image = np.repeat(np.arange(len(boxes)), [int(keep.sum()) for keep in kept])
        pairs = list(zip(boxes, kept, strict=True))
        corners = np.concatenate([each.corners[keep] for each, keep in pairs]) / self.stride
        classes = np.concatenate([each.classes[keep] for each, keep in pairs])
        sides = corners[:, 2:] - corners[:, :2]
        centres = (corners[:, 2:] + corners[:, :2]) / 2
        sound = (sides > 0).all(1) & (centres >= 0).all(1) & (centres < (columns, rows)).all(1)
        image, corners, classes = image[sound], corners[sound], classes[sound]
        sides, centres = sides[sound], centres[sound]
        anchors = np.array(self.anchors, np.float32)
        anchor = shape_iou(sides, anchors).argmax(1)
        column, row = np.floor(centres).astype(np.int64).T
        places = np.stack([image, anchor, row, column])
        last = _last_of_each(np.ravel_multi_index(
            tuple(places), (len(boxes), len(anchors), rows, columns)
        ))  # fmt: skip
        offsets = centres - np.floor(centres)
        logs = np.log(sides / anchors[anchor])
        return _Tasks(
            where=tuple(places[:, last]),
            coordinates=np.concatenate([offsets, logs], 1)[last].astype(np.float32),
            corners=corners[last].astype(np.float32),
            area=(sides.prod(1) / (rows * columns))[last].astype(np.float32),
            classes=classes[last],
        )

    def _confidence(self, predicted: torch.Tensor, tasks: _Tasks) -> torch.Tensor:
        """What the objectness should be: the overlap with the object, or 1."""
        truth = torch.from_numpy(tasks.corners).to(predicted)
        if not self.rescore:
            return truth.new_ones(len(truth))
        shared = _intersection(predicted, truth)
        return shared / (_area(predicted) + _area(truth) - shared)


@dataclass(frozen=True)
class _Tasks:
    """Objects in the order of nothing in particular; sides in cells."""

    where: tuple[npt.NDArray[np.int64], ...]
    """Image, anchor, row and column of each."""
    coordinates: npt.NDArray[np.float32]
    """Place within the cell, and log of the size over the anchor's; (objects, 4)."""
    corners: npt.NDArray[np.float32]
    area: npt.NDArray[np.float32]
    """Share of the image."""
    classes: npt.NDArray[np.int64]


_MAX_LOG = math.log(1e4)


def shape_iou(
    sides: npt.NDArray[np.floating[Any]], anchors: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float64]:
    """Overlap of boxes with one centre, by width and height: (m, 2) and (k, 2) give (m, k)."""
    shared = np.minimum(sides[:, None], anchors[None]).prod(2)
    union = sides.prod(1)[:, None] + anchors.prod(1)[None] - shared
    overlap: npt.NDArray[np.float64] = shared / union
    return overlap


def _last_of_each(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index of the last occurrence of each key."""
    _, first = np.unique(keys[::-1], return_index=True)
    found: npt.NDArray[np.int64] = len(keys) - 1 - first
    return found


def _intersection(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    return (high - low).clamp(min=0).prod(-1)


def _area(corners: torch.Tensor) -> torch.Tensor:
    return (corners[..., 2:] - corners[..., :2]).prod(-1)
