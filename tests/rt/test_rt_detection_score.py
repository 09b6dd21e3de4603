"""Average precision worked out by hand."""

import numpy as np
import pytest

from edgesynth_rt.detection_boxes import covered_matrix, iou_matrix, suppress
from edgesynth_rt.detection_score import DetectionScore

NONE = ([], [], [])
A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)  # far from each other


def test_overlaps():
    boxes = [A, (5, 0, 15, 10), (2, 2, 4, 4), (3, 3, 3, 9)]
    found = iou_matrix([A], boxes)
    assert found == pytest.approx(np.array([[1, 50 / 150.0, 4 / 100.0, 0]]))
    assert covered_matrix(boxes, [A])[:, 0].tolist() == [1, 0.5, 1, 0]
    assert iou_matrix([], boxes).shape == (0, 4)


def test_boxes_of_a_diverged_network_overlap_nothing():
    broken = [(np.nan, 0, 1, 1), (-np.inf, -np.inf, np.inf, np.inf), (9, 9, 1, 1)]
    assert iou_matrix(broken, [A]).tolist() == [[0], [0], [0]]


def test_suppression_keeps_the_best_of_each_class():
    corners = [A, (1, 0, 11, 10), B, A]
    classes, scores = [0, 0, 0, 1], [0.6, 0.9, 0.5, 0.4]
    assert suppress(corners, classes, scores, 0.5).tolist() == [1, 2, 3]
    assert suppress(corners, classes, scores, 0.9).tolist() == [1, 0, 2, 3]
    assert suppress(corners, classes, scores, 0.5, most=2).tolist() == [1, 2]
    assert suppress([], [], [], 0.5).tolist() == []


def ap(predictions, truth, **options):
    score = DetectionScore(("thing",), **options)
    score.add(predictions, truth)
    return score.result()["map50"]


def test_average_precision_by_hand():
    """Right, wrong, right; 4 objects: precision 1, 1/2, 2/3 at recall 1/4, 1/4, 2/4."""
    truth = ([A, B, C, (60, 0, 70, 10)], [0] * 4, [False] * 4)
    predictions = ([A, (80, 0, 90, 10), B], [0] * 3, [0.9, 0.8, 0.7])
    assert ap(predictions, truth) == pytest.approx((1 + 2 / 3) / 4)
    eleven = (3 * 1 + 3 * 2 / 3) / 11  # recalls 0, .1, .2 then .3, .4, .5
    assert ap(predictions, truth, reading="11") == pytest.approx(eleven)
    hundred = (26 * 1 + 25 * 2 / 3) / 101  # recalls 0 to .25, then .26 to .50
    assert ap(predictions, truth, rule="coco") == pytest.approx(hundred)
