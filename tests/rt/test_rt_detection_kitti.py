"""KITTI's average precision: by hand, and against the kit's loops written down literally."""

import numpy as np
import pytest

from edgesynth_rt.detection_boxes import covered_matrix, iou_matrix
from edgesynth_rt.detection_kitti import KittiScore

NOTHING = ([], [], [])


def row_of(count, height=50, top=0):
    """Boxes of 20 pixels' width side by side, which do not touch."""
    return [(30 * i, top, 30 * i + 20, top + height) for i in range(count)]


def result(predictions, truth, levels=None, scale=1.0, name="Car"):
    score = KittiScore((name,))
    score.add(predictions, truth, levels, scale)
    return score.result()


def truth_of(boxes):
    return boxes, [0] * len(boxes), [False] * len(boxes)


def predicted(boxes, scores):
    return boxes, [0] * len(boxes), scores


def test_41_objects_found_without_a_mistake():
    boxes = row_of(41)
    found = result(predicted(boxes, np.linspace(0.9, 0.1, 41)), truth_of(boxes))
    assert found["easy"] == found["moderate"] == found["hard"] == 1
    assert found["classes"][0]["few"] == []


def test_a_few_objects_follow_the_kit_and_are_marked():
    boxes = row_of(4)
    found = result(predicted(boxes, [0.9, 0.8, 0.7, 0.6]), truth_of(boxes))
    assert found["easy"] == 3 / 40.0
    assert found["classes"][0]["few"] == ["easy", "moderate", "hard"]


def test_precision_at_40_recalls_by_hand():
    """Of 80 objects the best 40 are found, then come 40 mistakes, then the other 40."""
    boxes, elsewhere = row_of(80), row_of(40, top=1000)
    order = boxes[:40] + elsewhere + boxes[40:]
    found = result(predicted(order, np.linspace(1, 0, 120)), truth_of(boxes))
    # Recalls 1/40 to 20/40 at precision 1. Of the 40 after the mistakes 20 are read, every other
    # one, and the last: the best precision from there on is that of the last, 80 / 120.
    assert found["hard"] == pytest.approx((20 * 1 + 20 * 80 / 120.0) / 40)


def test_difficulty_decides_what_counts():
    boxes = row_of(50)
    levels = [0] * 10 + [1] * 20 + [2] * 15 + [3] * 5
    found = result(predicted(boxes, [0.5] * 50), truth_of(boxes), levels)
    assert found["classes"][0]["objects"] == {"easy": 10, "moderate": 30, "hard": 45}
    assert found["hard"] == 1  # the five beyond are neither missed nor wrong to find


def test_short_predictions_are_no_mistakes():
    boxes, short = row_of(45), row_of(30, height=24, top=500)
    found = result(predicted(boxes + short, [0.5] * 45 + [0.9] * 30), truth_of(boxes))
    assert found["hard"] == 1
    scaled = result(predicted(boxes + short, [0.5] * 45 + [0.9] * 30), truth_of(boxes), scale=2)
    assert scaled["hard"] == pytest.approx(45 / 75.0)  # 48 pixels in the original image


def test_dont_care_regions_and_neighbours_excuse():
    boxes, inside, van = row_of(45), row_of(9, top=500), row_of(1, top=800)
    corners = boxes + [(0, 490, 300, 600)] + van
    truth = (corners, [0] * 45 + [-1, 0], [False] * 45 + [True, True])
    predictions = predicted(boxes + inside + van, [0.5] * 45 + [0.9] * 10)
    assert result(predictions, truth)["hard"] == 1
    assert result(predictions, truth_of(boxes))["hard"] == pytest.approx(45 / 55.0)


def test_a_car_needs_more_overlap_than_a_person():
    boxes = row_of(41, height=100)
    shifted = [(a, b + 25, c, d + 25) for a, b, c, d in boxes]  # IoU 0.6
    assert result(predicted(shifted, [0.5] * 41), truth_of(boxes))["hard"] == 0
    assert result(predicted(shifted, [0.5] * 41), truth_of(boxes), name="Cyclist")["hard"] == 1


def test_nothing_to_find():
    found = result(NOTHING, NOTHING)
    assert found["hard"] is None
    assert "no image has an object" in found["reason"]


def literal_image(image, level, overlap, threshold, with_false):
    """computeStatistics of one image: (right, wrong, scores of what was found)."""
    (boxes, _, values), (objects, kinds, ignored), levels = image
    assigned = [False] * len(boxes)
    overlaps = iou_matrix(boxes, objects)
    short = [box[3] - box[1] < (40, 25, 25)[level] for box in boxes]
    low = [with_false and value < threshold for value in values]
    scores = []
    for j in np.flatnonzero(np.asarray(kinds) >= 0):
        best, chosen, weak = 0.0, None, False
        near = [i for i in range(len(boxes)) if overlaps[i, j] > overlap]
        for i in [i for i in near if not (assigned[i] or low[i])]:
            if not with_false:
                chosen = i if chosen is None or values[i] > values[chosen] else chosen
            elif (overlaps[i, j] > best or weak) and not short[i]:
                best, chosen, weak = overlaps[i, j], i, False
            elif chosen is None and short[i]:
                chosen, weak = i, True
        if chosen is not None:
            assigned[chosen] = True
            if not (ignored[j] or levels[j] > level or short[chosen]):
                scores.append(values[chosen])
    left = [i for i in range(len(boxes)) if not (assigned[i] or short[i] or low[i])]
    inside = covered_matrix(boxes[left], objects[np.asarray(kinds) < 0]) > overlap
    return len(scores), int((~inside.any(axis=1)).sum()), scores


def literal(images, level, overlap):
    """evaluate_object.cpp for one class, loop by loop: the oracle."""
    objects = sum(
        int(((kinds >= 0) & ~ignored & (levels <= level)).sum())
        for _, (_, kinds, ignored), levels in images
    )
    first = [literal_image(image, level, overlap, 0, False)[2] for image in images]
    scores = sorted((score for found in first for score in found), reverse=True)
    recall, precision = 0.0, []
    for i, score in enumerate(scores):
        last = i == len(scores) - 1
        here = (i + 1) / float(objects)
        beyond = here if last else (i + 2) / float(objects)
        if beyond - recall < recall - here and not last:
            continue
        recall += 1 / 40.0
        counts = [literal_image(image, level, overlap, score, True)[:2] for image in images]
        right, wrong = np.sum(counts, axis=0)
        precision.append(right / float(right + wrong))
    precision += [0.0] * (41 - len(precision))
    return sum(max(precision[i:]) for i in range(1, 41)) / 40


def random_image(random):
    def boxes(count):
        low = random.uniform(0, 150, (count, 2))
        return np.hstack([low, low + random.uniform(18, 70, (count, 2))])

    objects = boxes(6)
    kinds = np.array([0, 0, 0, 0, 0, -1])
    ignored = np.array([False, False, False, False, random.uniform() < 0.5, True])
    near = objects[random.randint(0, 5, 8)] + random.normal(0, 3, (8, 4))
    predictions = np.vstack([near, boxes(3)])
    scores = random.permutation(11) / 11.0 + random.uniform(0, 0.01)
    levels = random.randint(0, 4, 6)
    return (predictions, np.zeros(11, int), scores), (objects, kinds, ignored), levels


@pytest.mark.parametrize("seed", range(4))
def test_as_the_kit_on_random_boxes(seed):
    random = np.random.RandomState(seed)
    images = [random_image(random) for _ in range(25)]
    score = KittiScore(("Pedestrian",))
    for predictions, truth, levels in images:
        score.add(predictions, truth, levels)
    found = score.result()
    for level, word in enumerate(("easy", "moderate", "hard")):
        expected = literal(images, level, 0.5)
        assert 0.01 < expected < 0.95
        assert found[word] == pytest.approx(expected)
