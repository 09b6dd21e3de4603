"""YOLOv2's output becomes boxes as worked out by hand, and the bundle's settings decide how."""

import numpy as np
import pytest

from edgesynth_rt.detection_decode import decode
from edgesynth_rt.errors import UserError

SETTINGS = {"kind": "region", "anchors": [[1.0, 2.0], [3.0, 1.0]], "stride": 8, "classes": 3}


def logit(share):
    return np.log(share / (1 - share))


def nothing(images=1, rows=4, columns=5):
    output = np.zeros((images, 2 * 8, rows, columns), np.float32)
    output[:, [4, 12]] = -20
    return output


def put(output, image, anchor, row, column, values):
    output[image, 8 * anchor : 8 * anchor + 8, row, column] = values


def test_one_box_by_hand():
    output = nothing()
    # anchor 2 in row 1, column 2: centre (2.25, 1.5) cells, sides 3 * 2 by 1 * 0.5 cells, times 8
    put(output, 0, 1, 1, 2, [logit(0.25), 0, np.log(2), np.log(0.5), logit(0.8), 0, np.log(2), 0])
    corners, classes, scores = decode([output], SETTINGS, 0.3)[0]
    # 2.25 * 8 - 24 lies left of the image and is cut off
    np.testing.assert_allclose(corners, [[0, 10, 40, 14]], atol=1e-5)
    assert classes.tolist() == [1] and classes.dtype == np.int64
    np.testing.assert_allclose(scores, [0.8 * 0.5], rtol=1e-6)
    assert corners.dtype == scores.dtype == np.float32


def test_a_cell_may_stand_for_several_classes():
    output = nothing()
    put(output, 0, 0, 2, 2, [0, 0, 0, 0, 20, np.log(2), np.log(2), 0])
    corners, classes, scores = decode([output], SETTINGS, 0.3)[0]
    assert sorted(classes.tolist()) == [0, 1]
    np.testing.assert_allclose(scores, [0.4, 0.4], rtol=1e-5)
    np.testing.assert_allclose(corners, [[16, 12, 24, 28]] * 2, atol=1e-5)


def test_overlapping_boxes_of_one_class_are_suppressed():
    output = nothing()
    put(output, 0, 0, 1, 2, [3, 0, 0, 0, 2, 9, 0, 0])
    put(output, 0, 0, 1, 3, [-3, 0, 0, 0, 4, 9, 0, 0])
    corners, _, scores = decode([output], SETTINGS, 0.3)[0]
    assert len(corners) == 1 and scores[0] > 0.97
    kept = decode([output], dict(SETTINGS, nms_iou=0.95), 0.3)[0]
    assert len(kept[0]) == 2


def test_images_of_a_batch_are_apart():
    output = nothing(images=3)
    put(output, 1, 0, 0, 0, [0, 0, 0, 0, 5, 9, 0, 0])
    assert [len(found[0]) for found in decode([output], SETTINGS, 0.3)] == [0, 1, 0]
    empty = decode([output], SETTINGS, 0.3)[0]
    assert empty[0].shape == (0, 4) and empty[1].shape == empty[2].shape == (0,)


def test_numbers_out_of_all_range_make_no_infinite_box():
    output = np.full((1, 16, 4, 5), 1e4, np.float32)
    corners, _, scores = decode([output], SETTINGS, 0.1)[0]
    assert np.isfinite(corners).all() and np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("outputs", "settings", "says"),
    [
        ([np.zeros((1, 15, 4, 4))], SETTINGS, r"one output \(n, 16, rows, columns\), not \(1, 15"),
        ([np.zeros((1, 16, 4, 4))] * 2, SETTINGS, "has one output"),
        ([np.zeros((1, 16, 4, 4))], dict(SETTINGS, kind="magic"), 'no decoder .* "magic"'),
    ],
)
def test_what_does_not_fit_is_refused(outputs, settings, says):
    with pytest.raises(UserError, match=says):
        decode(outputs, settings, 0.5)
