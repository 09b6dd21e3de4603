"""DetectNet's grid becomes objects: groupRectangles by hand."""

import numpy as np
import pytest

from edgesynth_rt.detection_coverage import cluster, decode_coverage
from edgesynth_rt.errors import UserError

SETTINGS = {"kind": "coverage", "stride": 16, "classes": 2}
GROUP = dict(SETTINGS, clustering="group", min_boxes=0)


def grids(rows=4, columns=6, classes=2):
    return np.zeros((1, classes, rows, columns)), np.zeros((1, 4, rows, columns))


def test_the_published_coverage_of_a_group_holds_whatever_the_threshold():
    coverage, bboxes = grids()
    put(coverage, bboxes, 1, 2, 0.59, (20, 10, 60, 40))
    put(coverage, bboxes, 3, 5, 0.61, (70, 40, 90, 60))
    ((corners, _, _),) = decode_coverage([coverage, bboxes], GROUP, 0.005)
    assert corners.tolist() == [[70, 40, 90, 60]]


def put(coverage, bboxes, row, column, value, corners, index=0):
    coverage[0, index, row, column] = value
    origin = np.array([column, row, column, row]) * 16
    bboxes[0, :, row, column] = np.array(corners) - origin


def test_of_boxes_that_overlap_the_surest_stays():
    coverage, bboxes = grids()
    put(coverage, bboxes, 1, 2, 0.7, (20, 10, 60, 40))
    put(coverage, bboxes, 1, 3, 0.9, (24, 12, 60, 40))  # overlaps the first by 0.84
    coverage[0, 1, 1, 3] = 0.3  # the same box for another class
    put(coverage, bboxes, 1, 1, 0.6, (0, 10, 34, 40))  # overlaps the others by less than 0.45
    put(coverage, bboxes, 3, 5, 0.1, (70, 40, 90, 60))  # below the threshold
    ((corners, classes, scores),) = decode_coverage([coverage, bboxes], SETTINGS, 0.2)
    assert corners.tolist() == [[24, 12, 60, 40], [0, 10, 34, 40], [24, 12, 60, 40]]
    assert classes.tolist() == [0, 0, 1]
    assert scores.tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert (corners.dtype, classes.dtype, scores.dtype) == (np.float32, np.int64, np.float32)


def test_a_clustering_that_is_not_known_is_one_line():
    with pytest.raises(UserError, match=r'no clustering "mean".*known are nms and group'):
        decode_coverage(list(grids()), dict(SETTINGS, clustering="mean"), 0.5)


def test_cells_that_agree_are_one_object():
    coverage, bboxes = grids()
    put(coverage, bboxes, 1, 2, 0.9, (20, 10, 60, 40))
    put(coverage, bboxes, 1, 3, 0.7, (24, 12, 60, 40))
    put(coverage, bboxes, 3, 5, 0.8, (70, 40, 90, 60), index=1)
    put(coverage, bboxes, 0, 0, 0.4, (0, 0, 16, 16))  # below the threshold
    ((corners, classes, scores),) = decode_coverage([coverage, bboxes], GROUP, 0.005)
    assert corners.tolist() == [[22, 11, 60, 40], [70, 40, 90, 60]]
    assert classes.tolist() == [0, 1]
    assert scores.tolist() == pytest.approx([0.9, 0.8])
    assert (corners.dtype, classes.dtype, scores.dtype) == (np.float32, np.int64, np.float32)


def test_a_diverged_network_proposes_nothing():
    coverage, bboxes = grids()
    put(coverage, bboxes, 0, 0, np.nan, (0, 0, 16, 16))
    put(coverage, bboxes, 1, 1, 0.9, (0, 0, np.inf, 16))
    put(coverage, bboxes, 2, 2, 0.9, (0, 0, 16, 16))
    put(coverage, bboxes, 3, 3, np.inf, (50, 50, 90, 90))
    ((corners, _, _),) = decode_coverage([coverage, bboxes], SETTINGS, 0.5)
    assert corners.tolist() == [[50, 50, 90, 90], [0, 0, 16, 16]]


def test_an_empty_grid_and_each_image_of_a_batch():
    coverage, bboxes = grids()
    put(coverage, bboxes, 1, 1, 0.9, (10, 10, 40, 40))
    batch = [np.concatenate([np.zeros_like(each), each]) for each in (coverage, bboxes)]
    (nothing, _, _), (corners, _, _) = decode_coverage(batch, SETTINGS, 0.5)
    assert nothing.shape == (0, 4) and corners.shape == (1, 4)


def test_the_tolerance_is_half_the_sum_of_the_smaller_sides():
    """Sides 100 and 60 against 100 and 60: eps 0.1 allows 0.05 * (100 + 60) = 8 pixels."""
    near = np.array([[0, 0, 100, 60], [8, 0, 108, 60]])
    far = np.array([[0, 0, 100, 60], [9, 0, 109, 60]])
    assert len(cluster(near, np.ones(2), 0, 0.1)[0]) == 1
    assert len(cluster(far, np.ones(2), 0, 0.1)[0]) == 2


def test_a_chain_of_boxes_is_one_group():
    chain = np.array([[5 * step, 0, 100 + 5 * step, 60] for step in (0, 2, 4, 1, 3)])
    corners, scores = cluster(chain, np.array([0.1, 0.2, 0.6, 0.3, 0.5]), 0, 0.1)
    assert corners.tolist() == [[10, 0, 110, 60]] and scores.tolist() == pytest.approx([0.6])


def test_groups_of_few_boxes_are_dropped():
    boxes = np.array([[0, 0, 50, 50]] * 4 + [[100, 100, 150, 150]] * 3)
    corners, _ = cluster(boxes, np.ones(7), 3, 0.2)
    assert corners.tolist() == [[0, 0, 50, 50]]


@pytest.mark.parametrize(
    ("small", "large", "kept"),
    [(3, 4, 1), (3, 3, 2), (5, 4, 2), (2, 1, 1)],
)
def test_a_group_inside_a_larger_one_with_more_boxes_is_dropped(small, large, kept):
    """As in OpenCV: dropped when the larger has more than 3 and more boxes, or itself below 3."""
    boxes = np.array([[40, 40, 60, 60]] * small + [[0, 0, 100, 100]] * large)
    corners, _ = cluster(boxes, np.ones(small + large), 0, 0.2)
    assert len(corners) == kept and [0, 0, 100, 100] in corners.tolist()


@pytest.mark.parametrize(
    "outputs",
    [
        [np.zeros((1, 2, 4, 6))],
        [np.zeros((1, 3, 4, 6)), np.zeros((1, 4, 4, 6))],
        [np.zeros((1, 2, 4, 6)), np.zeros((1, 8, 4, 6))],
        [np.zeros((1, 2, 4, 6)), np.zeros((1, 4, 6, 4))],
        [np.zeros((2, 4, 6)), np.zeros((4, 4, 6))],
    ],
)
def test_other_outputs_are_refused_in_one_line(outputs):
    with pytest.raises(UserError, match="DetectNet"):
        decode_coverage(outputs, SETTINGS, 0.5)
