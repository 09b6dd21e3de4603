"""DetectNet's head: what its grid should say for given objects, and the loss.

Geometry and losses are those of NVIDIA's Caffe (branch caffe-0.15): the layers
`DetectNetTransformation` (src/caffe/util/detectnet_coverage_rectangular.cpp), `L1Loss` and
`EuclideanLoss`, with the values of examples/kitti/detectnet_network.prototxt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from edgesynth.core.dataset import Boxes
from edgesynth.core.errors import UserError

Array = npt.NDArray[np.float32]

LOSSES = ("l2", "bce")
CLUSTERINGS = ("nms", "group")


@dataclass(frozen=True)
class GroundTruth:
    """What the grid should say about a batch of images."""

    coverage: torch.Tensor
    """1 where the middle of an object of the class covers a cell; (n, classes, rows, columns)."""
    bboxes: torch.Tensor
    """Edges of that object in pixels from the cell's left upper corner; (n, 4, rows, columns)."""
    box_weights: torch.Tensor
    """How much an error of an edge of one pixel counts, 0 in empty cells; shape of `bboxes`."""
    counted: torch.Tensor
    """0 in empty cells below the middle of an ignored object, else 1; (n, 1, rows, columns)."""


@dataclass(frozen=True)
class CoverageHead:
    """The settings of one DetectNet."""

    classes: int
    stride: int
    """Side of a cell in pixels."""
    loss_kind: str = "l2"
    """Of the coverage: `l2` as published, or `bce` (binary cross-entropy)."""
    clustering: str = "nms"
    """How the cells' boxes become objects: see `edgesynth_rt.detection_coverage`."""
    box_loss_weight: float = 2.0
    scale_coverage: float = 0.4
    """Share of an object's width and height that counts as its middle."""
    min_cells: float = 1.25
    """The middle is at least so many cells wide and high (published: 20 pixels at stride 16),
    though never larger than the object."""

    def __post_init__(self) -> None:
        if self.loss_kind not in LOSSES:
            raise UserError(f'no coverage loss "{self.loss_kind}"; give {" or ".join(LOSSES)}')
        if self.clustering not in CLUSTERINGS:
            raise UserError(
                f'no clustering "{self.clustering}" of boxes; give {" or ".join(CLUSTERINGS)}'
            )

    def loss(self, outputs: Mapping[str, torch.Tensor], boxes: Sequence[Boxes]) -> torch.Tensor:
        """The scalar to be minimized; per image, as in Caffe.

        `outputs`: what the module returns for the batch; `boxes`: the objects of each image.
        L2 is half the sum of squared errors of the coverage. An edge's error is taken relative to
        the object's width or height, and per area of its middle, so that large objects count no
        more than small ones.

        Differs from the published loss in one thing: empty cells below an ignored object
        (KITTI's DontCare) are left out instead of counting as background.
        """
        coverage, bboxes = outputs["coverage"], outputs["bboxes"]
        truth = self.ground_truth(boxes, coverage.shape[2], coverage.shape[3])
        images = len(coverage)
        weight = truth.counted.expand_as(coverage)
        if self.loss_kind == "l2":
            of_coverage = 0.5 * (weight * (coverage - truth.coverage) ** 2).sum()
        else:
            of_coverage = functional.binary_cross_entropy(
                coverage, truth.coverage, weight, reduction="sum"
            )
        of_boxes = (truth.box_weights * (bboxes - truth.bboxes).abs()).sum()
        return (of_coverage + self.box_loss_weight * of_boxes) / images

    def ground_truth(self, boxes: Sequence[Boxes], rows: int, columns: int) -> GroundTruth:
        """The grid of `rows` and `columns` cells for each image's objects.

        Where the middles of two objects meet, the one further on in the list has the cell.
        """
        n = len(boxes)
        coverage = np.zeros((n, self.classes, rows, columns), np.float32)
        bboxes = np.zeros((n, 4, rows, columns), np.float32)
        weights = np.zeros((n, 4, rows, columns), np.float32)
        counted = np.ones((n, 1, rows, columns), np.float32)
        for image, objects in enumerate(boxes):
            for corners in objects.corners[objects.ignored]:
                if found := self._cells(corners, rows, columns):
                    counted[image, 0, found[0], found[1]] = 0
            kept = ~objects.ignored
            pairs = zip(objects.corners[kept], objects.classes[kept].tolist(), strict=True)
            for corners, index in pairs:
                if found := self._cells(corners, rows, columns):
                    down, across, norm = found
                    coverage[image, :, down, across] = 0
                    coverage[image, index, down, across] = 1
                    bboxes[image, :, down, across] = self._edges(corners, down, across)
                    weights[image, :, down, across] = norm * _inverse_size(corners)
                    counted[image, 0, down, across] = 1
        return GroundTruth(*map(torch.from_numpy, (coverage, bboxes, weights, counted)))

    def postprocessing(self) -> dict[str, Any]:
        """The settings of `edgesynth_rt.detection_coverage`, as JSON data."""
        return {
            "kind": "coverage",
            "stride": self.stride,
            "classes": self.classes,
            "clustering": self.clustering,
        }

    def _cells(self, corners: Array, rows: int, columns: int) -> tuple[slice, slice, float] | None:
        """Rows and columns of the cells that the object's middle covers, and the area of a cell
        over that of the middle; None for an object without area or outside of the grid."""
        left, top, right, bottom = map(float, corners)
        if right <= left or bottom <= top:
            return None
        least = self.min_cells * self.stride
        width = min(right - left, max(least, (right - left) * self.scale_coverage))
        height = min(bottom - top, max(least, (bottom - top) * self.scale_coverage))
        across = self._span((left + right) / 2, width, columns)
        down = self._span((top + bottom) / 2, height, rows)
        if across.start >= across.stop or down.start >= down.stop:
            return None
        return down, across, self.stride**2 / (width * height)

    def _span(self, middle: float, length: float, cells: int) -> slice:
        first = math.floor((middle - length / 2) / self.stride)
        last = math.ceil((middle + length / 2) / self.stride)
        return slice(max(0, first), max(0, min(cells, last)))

    def _edges(self, corners: Array, down: slice, across: slice) -> Array:
        """`corners` from the left upper corner of each cell, shape (4, rows, columns)."""
        y = np.arange(down.start, down.stop, dtype=np.float32)[:, None] * self.stride
        x = np.arange(across.start, across.stop, dtype=np.float32)[None, :] * self.stride
        origin = np.stack(np.broadcast_arrays(x, y, x, y))
        edges: Array = corners[:, None, None] - origin
        return edges


def _inverse_size(corners: Array) -> Array:
    """1 / width and 1 / height for the four edges, shape (4, 1, 1)."""
    width, height = corners[2] - corners[0], corners[3] - corners[1]
    inverse = 1 / np.array([width, height, width, height])
    return inverse.astype(np.float32)[:, None, None]
