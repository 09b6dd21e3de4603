"""DetectNet's ground truth and loss: worked out by hand from NVIDIA's Caffe layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgesynth.core.dataset import Boxes
from edgesynth.core.errors import UserError
from edgesynth.networks.coverage_head import CoverageHead
from edgesynth_rt.detection_coverage import decode_coverage


def boxes(*objects: tuple[tuple[float, float, float, float], int, bool]) -> Boxes:
    return Boxes(
        np.array([corners for corners, _, _ in objects], np.float32).reshape(-1, 4),
        np.array([index for _, index, _ in objects], np.int64),
        np.array([ignored for _, _, ignored in objects], bool),
    )


CAR = ((20.0, 20.0, 120.0, 70.0), 1, False)  # 100 x 50 pixels around (70, 45)
ONE = CoverageHead(classes=2, stride=16)


def test_the_middle_of_an_object_is_covered() -> None:
    """0.4 * 100 = 40 wide: 50..90, columns 3 to 5. 0.4 * 50 = 20 high: 35..55, rows 2 and 3."""
    truth = ONE.ground_truth([boxes(CAR)], 8, 10)
    expected = np.zeros((2, 8, 10))
    expected[1, 2:4, 3:6] = 1
    assert np.array_equal(truth.coverage[0].numpy(), expected)
    # edges from the corner of cell (row 3, column 5), which lies at (80, 48)
    assert truth.bboxes[0, :, 3, 5].tolist() == [-60, -28, 40, 22]
    # errors are relative to the size, and count by the area of a cell over that of the middle
    norm = 16 * 16 / (40 * 20)
    assert truth.box_weights[0, :, 3, 5].tolist() == pytest.approx(
        [norm / 100, norm / 50, norm / 100, norm / 50]
    )
    assert truth.box_weights[0, :, expected[1] == 0].abs().sum() == 0
    assert truth.counted.min() == 1


def test_the_middle_of_a_small_object_is_at_least_20_pixels_but_not_larger_than_it() -> None:
    """30 x 10 around (47, 37): 20 wide, 37..57, columns 2 and 3; 10 high, 32..42, row 2."""
    truth = ONE.ground_truth([boxes(((32.0, 32.0, 62.0, 42.0), 0, False))], 8, 10)
    assert np.argwhere(truth.coverage[0, 0].numpy()).tolist() == [[2, 2], [2, 3]]
    assert truth.box_weights[0, 0, 2, 2] == pytest.approx(256 / (20 * 10) / 30)


def test_the_later_object_has_the_cell_where_two_meet() -> None:
    first, second = ((0.0, 0.0, 32.0, 32.0), 0, False), ((0.0, 0.0, 32.0, 16.0), 1, False)
    truth = ONE.ground_truth([boxes(first, second)], 2, 2)
    assert truth.coverage[0].tolist() == [[[0, 0], [1, 1]], [[1, 1], [0, 0]]]
    assert truth.bboxes[0, 3, 0, 0] == 16 and truth.bboxes[0, 3, 1, 0] == 32 - 16


def test_an_ignored_object_is_neither_background_nor_covered() -> None:
    ignored = ((0.0, 0.0, 64.0, 32.0), 0, True)  # middle 19.2..44.8 by 6..26
    inside = ((32.0, 0.0, 48.0, 16.0), 0, False)
    truth = ONE.ground_truth([boxes(ignored, inside)], 2, 4)
    assert truth.coverage[0, 0].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert truth.counted[0, 0].tolist() == [[1, 0, 1, 1], [1, 0, 0, 1]]


def test_objects_beyond_the_image_and_without_area_leave_no_trace() -> None:
    nowhere = ((500.0, 0.0, 600.0, 50.0), 0, False)
    flat = ((10.0, 10.0, 10.0, 40.0), 0, False)
    truth = ONE.ground_truth([boxes(nowhere, flat), boxes()], 2, 4)
    assert truth.coverage.sum() == 0 and truth.box_weights.sum() == 0


def outputs(rows: int, columns: int, value: float) -> dict[str, torch.Tensor]:
    return {
        "coverage": torch.full((2, 2, rows, columns), value),
        "bboxes": torch.zeros(2, 4, rows, columns),
    }


def test_the_published_loss_by_hand() -> None:
    """Two images of 2 x 2 cells, one object of one cell in the first."""
    objects = [boxes(((4.0, 0.0, 12.0, 16.0), 0, False)), boxes()]  # middle: 4..12 by 0..16
    # all coverage 0.25: one cell wants 1 (0.75 off), 15 want 0 (0.25 off)
    coverage = 0.5 * (0.75**2 + 15 * 0.25**2)
    # edges 4, 0, 12, 16 against 0, relative to 8 x 16, times 256 / (8 * 16)
    edges = 2 * (4 / 8 + 0 + 12 / 8 + 16 / 16)
    loss = ONE.loss(outputs(2, 2, 0.25), objects)
    assert loss.item() == pytest.approx((coverage + 2 * edges) / 2)


def test_cross_entropy_by_hand() -> None:
    head = CoverageHead(classes=2, stride=16, loss_kind="bce", box_loss_weight=0)
    objects = [boxes(((4.0, 0.0, 12.0, 16.0), 0, False)), boxes()]
    expected = (-np.log(0.25) - 15 * np.log(0.75)) / 2
    assert head.loss(outputs(2, 2, 0.25), objects).item() == pytest.approx(expected)


def test_ignored_cells_have_no_gradient() -> None:
    made = outputs(2, 4, 0.5)
    made["coverage"].requires_grad_()
    ignored = boxes(((0.0, 0.0, 64.0, 32.0), 0, True))
    ONE.loss(made, [ignored, boxes()]).backward()
    gradient = made["coverage"].grad
    assert gradient is not None
    assert gradient[0, 0].tolist() == [[0.25, 0, 0, 0.25], [0.25, 0, 0, 0.25]]


def test_an_unknown_loss_is_one_line() -> None:
    with pytest.raises(UserError, match='no coverage loss "l1"; give l2 or bce'):
        CoverageHead(classes=1, stride=16, loss_kind="l1")
    with pytest.raises(UserError, match='no clustering "mean" of boxes; give nms or group'):
        CoverageHead(classes=1, stride=16, clustering="mean")


@given(
    left=st.integers(0, 80),
    top=st.integers(0, 80),
    width=st.integers(4, 60),
    height=st.integers(4, 60),
    index=st.integers(0, 2),
    stride=st.sampled_from([4, 8, 16]),
)
def test_decoding_the_ground_truth_gives_the_object_back(
    left: int, top: int, width: int, height: int, index: int, stride: int
) -> None:
    head = CoverageHead(classes=3, stride=stride)
    corners = (float(left), float(top), float(left + width), float(top + height))
    cells = 160 // stride
    truth = head.ground_truth([boxes((corners, index, False))], cells, cells)
    grids = [truth.coverage.numpy(), truth.bboxes.numpy()]
    ((found, classes, scores),) = decode_coverage(grids, head.postprocessing(), 0.5)
    assert found.tolist() == [pytest.approx(list(corners))]
    assert classes.tolist() == [index] and scores.tolist() == [1.0]
