"""The region head: which anchor learns which object, and what darknet's loss comes to by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesynth.core.dataset import Boxes
from edgesynth.core.errors import UserError
from edgesynth.networks.anchors import cluster_sizes, fit_anchors
from edgesynth.networks.region_head import RegionHead, format_anchors, parse_anchors, shape_iou
from edgesynth_rt.detection_decode import decode

HEAD = RegionHead(classes=2, stride=10, anchors=((1.0, 1.0), (2.0, 4.0)))


def objects(*rows: tuple[float, ...], ignored: bool = False) -> Boxes:
    """Rows of left, top, right, bottom, class."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(table[:, :4], table[:, 4].astype(np.int64), np.full(len(table), ignored))


def silent(rows: int = 3, columns: int = 3) -> torch.Tensor:
    """An output that says 0 everywhere: half objectness, anchors in the middle of their cells."""
    return torch.zeros(1, 2 * 7, rows, columns)


def test_without_objects_only_the_objectness_is_taught() -> None:
    # 2 anchors in 9 cells, each 1/2 * 0.5^2
    assert float(HEAD.loss(silent(), [objects()])) == pytest.approx(18 * 0.5 * 0.25)


def test_one_object_by_hand() -> None:
    # Centre (15, 14) in cell (1, 1) at (0.5, 0.4), sides 10 and 12: like the first anchor.
    # The prediction there is (10, 10)-(20, 20), which lies in the object: overlap 100 / 120.
    boxes = objects((10, 8, 20, 20, 1))
    overlap = 100 / 120
    area = 10 * 12 / 900
    place = (2 - area) * (0.1**2 + math.log(1.2) ** 2)
    thing = 5 * (0.5 - overlap) ** 2
    nothing = 17 * 0.25
    expected = 0.5 * (nothing + place + thing) + math.log(2)
    assert float(HEAD.loss(silent(), [boxes])) == pytest.approx(expected, rel=1e-5)
    certain = replace(HEAD, rescore=False)
    expected = 0.5 * (nothing + place + 5 * 0.25) + math.log(2)
    assert float(certain.loss(silent(), [boxes])) == pytest.approx(expected, rel=1e-5)


def test_a_prediction_near_an_object_is_not_taught_that_there_is_none() -> None:
    # The object is the task of the second anchor (20 x 40), which only overlaps itself by > 0.6.
    # Overlap of the first anchor anywhere: at most 100 / 800. So 17 others are taught.
    outputs = silent(5, 5)
    outputs[0, 4, 2, 2] = 30.0  # the first anchor in the object's own cell is sure of itself ...
    boxes = objects((15, 5, 35, 45, 0))
    sure = float(HEAD.loss(outputs, [boxes])) - float(HEAD.loss(silent(5, 5), [boxes]))
    assert sure == pytest.approx(0.5 * (1 - 0.25))  # ... and is taught otherwise
    outputs[0, 2, 2, 2], outputs[0, 3, 2, 2] = math.log(2), math.log(4)  # until it fits, too
    fits = float(HEAD.loss(outputs, [boxes])) - float(HEAD.loss(silent(5, 5), [boxes]))
    assert fits == pytest.approx(-0.5 * 0.25)


def test_ignored_objects_teach_nothing() -> None:
    region = objects((0, 0, 30, 30, -1), ignored=True)
    assert float(HEAD.loss(silent(), [region])) < float(HEAD.loss(silent(), [objects()]))
    one = objects((10, 8, 20, 20, 1), ignored=True)
    # the first anchor of the middle cell overlaps it by 10 / 12 of its own area
    assert float(HEAD.loss(silent(), [one])) == pytest.approx(17 * 0.5 * 0.25)


def test_of_two_objects_in_one_place_the_later_one_counts() -> None:
    first, second = (10, 10, 20, 20, 0), (11, 11, 20, 20, 1)
    outputs = silent()
    outputs[0, 6, 1, 1] = 20.0  # class 1
    right = float(HEAD.loss(outputs, [objects(first, second)]))
    wrong = float(HEAD.loss(outputs, [objects(second, first)]))
    assert wrong - right > 15


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_output_that_decodes_to_the_objects_has_no_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.permutation(16)[:3]
    centres = np.stack([cells % 4, cells // 4], 1) * 10 + rng.uniform(1, 9, (3, 2))
    sides = np.minimum(rng.uniform(4, 30, (3, 2)), 2 * np.minimum(centres, 40 - centres))
    corners = np.concatenate([centres - sides / 2, centres + sides / 2], 1).astype(np.float32)
    boxes = Boxes(corners, rng.integers(0, 2, 3), np.zeros(3, bool))
    outputs = silent(4, 4)
    outputs[0, [4, 11]] = -20.0
    anchors = np.array(HEAD.anchors)
    for cell, centre, side, kind in zip(
        cells, centres / 10, sides / 10, boxes.classes, strict=True
    ):
        best = int(shape_iou(side[None], anchors)[0].argmax())
        own = outputs[0, 7 * best : 7 * best + 7, cell // 4, cell % 4]
        offset = centre % 1
        own[:2] = torch.from_numpy(np.log(offset / (1 - offset)))
        own[2:4] = torch.from_numpy(np.log(side / anchors[best]))
        own[4], own[5 + int(kind)] = 20.0, 20.0
    assert float(HEAD.loss(outputs, [boxes])) < 1e-4
    everything = {**HEAD.postprocessing(), "nms_iou": 1.0}
    found, classes, scores = decode([outputs.numpy()], everything, 0.5)[0]
    order, wanted = np.lexsort(found.T), np.lexsort(corners.T)
    np.testing.assert_allclose(found[order], corners[wanted], atol=1e-3)
    np.testing.assert_array_equal(classes[order], boxes.classes[wanted])
    assert (scores > 0.99).all()


def test_anchors_are_written_as_they_are_read() -> None:
    anchors = ((1.3221, 1.7315), (11.236, 10.007))
    assert parse_anchors(format_anchors(anchors)) == anchors
    for text in ("", "1x2x3", "1", "ax2", "-1x2", "nanx1"):
        with pytest.raises(UserError, match="WIDTHxHEIGHT"):
            parse_anchors(text)


def test_shape_iou() -> None:
    found = shape_iou(np.array([[2.0, 4.0]]), np.array([[2.0, 2.0], [4.0, 4.0], [2.0, 4.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5, 1.0]])


def test_k_means_finds_the_kinds_of_objects() -> None:
    rng = np.random.default_rng(0)
    kinds = np.array([[1.0, 2.0], [3.0, 1.0], [5.0, 6.0]])
    sides = np.repeat(kinds, 40, axis=0) * rng.uniform(0.97, 1.03, (120, 2))
    np.testing.assert_allclose(cluster_sizes(sides, 3), kinds[[0, 1, 2]], rtol=0.03)
    assert len(cluster_sizes(sides[:2], 5)) == 2


def test_no_object_no_anchors() -> None:
    class Empty:
        def __len__(self) -> int:
            return 3

        def images(self, indices: np.ndarray) -> np.ndarray:
            return np.zeros((len(indices), 1, 8, 8), np.uint8)

        def boxes(self, indices: np.ndarray) -> list[Boxes]:
            return [objects() for _ in indices]

    with pytest.raises(UserError, match="no object"):
        fit_anchors(Empty(), 8)
