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


def test_a_second_prediction_of_one_object_is_wrong():
    truth = ([A], [0], [False])
    assert ap(([A, A], [0, 0], [0.9, 0.8]), truth) == 1
    far = ([A, A, B], [0] * 3, [0.9, 0.8, 0.7])
    assert ap(far, ([A, B], [0, 0], [False] * 2)) == pytest.approx((1 + 2 / 3) / 2)


def test_the_rules_differ_where_two_predictions_prefer_one_object():
    """The second overlaps the first's object most, and still enough of the free one beside it."""
    truth = ([(0, 0, 10, 10), (0, 4, 10, 14)], [0, 0], [False] * 2)
    predictions = ([(0, 0, 10, 10), (0, 1.9, 10, 11.9)], [0, 0], [0.9, 0.8])
    assert ap(predictions, truth) == pytest.approx(0.5)
    assert ap(predictions, truth, rule="coco") == pytest.approx(1)


def test_an_overlap_of_exactly_the_threshold_counts():
    truth = ([(0, 0, 10, 10)], [0], [False])
    assert ap(([(0, 0, 10, 5)], [0], [0.9]), truth) == 1
    assert ap(([(0, 0, 10, 4.99)], [0], [0.9]), truth) == 0


def test_difficult_objects_count_neither_way():
    truth = ([A, B], [0, 0], [False, True])
    score = DetectionScore(("thing",))
    score.add(([B, B, A], [0] * 3, [0.9, 0.8, 0.7]), truth)
    found = score.result()
    assert found["map50"] == 1
    row = found["classes"][0]
    assert (row["objects"], row["ignored"], row["predictions"]) == (1, 1, 3)


@pytest.mark.parametrize("rule", ["voc", "coco"])
def test_a_region_of_no_class_excuses_every_class(rule):
    score = DetectionScore(("thing", "other"), rule=rule)
    truth = ([A, A, (100, 0, 200, 50)], [0, 1, -1], [False, False, True])
    inside, outside = (110, 10, 130, 30), (210, 10, 230, 30)
    score.add(([inside, A, inside, outside, A], [0, 0, 1, 1, 1], [0.9, 0.8, 0.9, 0.8, 0.7]), truth)
    assert [row["ap50"] for row in score.result()["classes"]] == [1, pytest.approx(0.5, abs=0.01)]


def test_a_crowd_is_judged_by_what_lies_in_it():
    """A small box in a large crowd: its IoU is small, and `voc` does not excuse it."""
    truth = ([A, (100, 0, 200, 50)], [0, 0], [False, True])
    predictions = ([(110, 10, 130, 30), A], [0, 0], [0.9, 0.8])
    assert ap(predictions, truth, rule="coco") == pytest.approx(1)
    assert ap(predictions, truth) == pytest.approx(0.5)


def test_classes_without_objects_are_left_out():
    score = DetectionScore(("here", "absent"))
    score.add(([A, B], [0, 1], [0.9, 0.8]), ([A], [0], [False]))
    found = score.result()
    assert found["map50"] == 1
    assert found["classes"][1]["ap50"] is None
    empty = DetectionScore(("here",))
    empty.add(NONE, NONE)
    assert empty.result()["map50"] is None
    assert "no image has an object" in empty.result()["reason"]


def test_what_is_never_found_is_zero():
    assert ap(NONE, ([A], [0], [False])) == 0


def test_coco_averages_ten_thresholds():
    truth = ([(0, 0, 10, 10)], [0], [False])
    score = DetectionScore(("thing",), rule="coco")
    score.add(([(0, 0, 10, 7.2)], [0], [0.9]), truth)  # IoU 0.72: five of the ten thresholds
    assert score.result()["map"] == pytest.approx(0.5)
    assert score.result()["map50"] == 1


def test_predictions_beyond_the_limit_do_not_count():
    truth = ([A], [0], [False])
    late = ([B] * 3 + [A], [0] * 4, [0.9, 0.8, 0.7, 0.6])
    assert ap(late, truth, most=3) == 0
    assert ap(late, truth, most=4) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "predictions, truth, message",
    [
        (([A], [0, 0], [0.5]), NONE, "1 boxes, 2 classes and 1 values"),
        (([A], [1], [0.5]), NONE, "class 1 to 1, but there are 1 classes"),
        (([A], [-1], [0.5]), NONE, "class -1 to -1"),
        (NONE, ([A], [-1], [False]), "must be ignored"),
        (([A[:3]], [0], [0.5]), NONE, r"shape \(1, 3\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(predictions, truth, message):
    with pytest.raises(ValueError, match=message):
        DetectionScore(("thing",)).add(predictions, truth)


def textbook(images, threshold):
    """VOC's average precision in the plain way: one list over all images, then the curve."""
    pool = [
        (score, number, box)
        for number, ((boxes, _, scores), _) in enumerate(images)
        for box, score in zip(boxes, scores)
    ]
    found, wrong, curve = set(), 0, []
    objects = sum(int((~ignored).sum()) for _, (_, _, ignored) in images)
    for _, number, box in sorted(pool, key=lambda each: -each[0]):
        truth, _, ignored = images[number][1]
        best, target = -1.0, None
        for index, other in enumerate(truth):
            width = min(box[2], other[2]) - max(box[0], other[0])
            height = min(box[3], other[3]) - max(box[1], other[1])
            shared = max(width, 0) * max(height, 0)
            both = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)) - shared
            if shared / both > best:
                best, target = shared / both, index
        if best >= threshold and ignored[target]:
            continue
        if best >= threshold and (number, target) not in found:
            found.add((number, target))
        else:
            wrong += 1
        curve.append((len(found) / float(objects), len(found) / float(len(found) + wrong)))
    area, reached = 0.0, 0.0
    for index, (recall, _) in enumerate(curve):
        area += (recall - reached) * max(precision for _, precision in curve[index:])
        reached = recall
    return area


def random_images(random, count):
    images = []
    for _ in range(count):
        low = random.uniform(0, 60, (4, 2))
        truth = np.hstack([low, low + random.uniform(10, 40, (4, 2))])
        near = truth[random.randint(0, 4, 6)] + random.normal(0, 2, (6, 4))
        scores = random.uniform(0, 1, 6)
        ignored = random.uniform(0, 1, 4) < 0.2
        images.append(((near, np.zeros(6, int), scores), (truth, np.zeros(4, int), ignored)))
    return images


@pytest.mark.parametrize("seed", range(5))
def test_as_a_textbook_on_random_boxes(seed):
    images = random_images(np.random.RandomState(seed), 20)
    score = DetectionScore(("thing",), thresholds=(0.5, 0.75))
    for predictions, truth in images:
        score.add(predictions, truth)
    found = score.result()
    assert 0.1 < found["map50"] < 0.9
    assert found["map50"] == pytest.approx(textbook(images, 0.5))
    assert found["map"] == pytest.approx((textbook(images, 0.5) + textbook(images, 0.75)) / 2)
