"""Mean average precision against COCO's own program on random boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edgesynth_rt.detection_score import DetectionScore

coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")

CLASSES = ("a", "b", "c")


def random_image(random: np.random.Generator) -> tuple[tuple, tuple]:
    count = int(random.integers(1, 7))
    low = random.uniform(0, 80, (count, 2))
    truth = np.hstack([low, low + random.uniform(8, 60, (count, 2))])
    kinds = random.integers(0, 3, count)
    crowds = random.random(count) < 0.15
    chosen = random.integers(0, count, 12)
    near = truth[chosen] + random.normal(0, 2.5, (12, 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    predicted = np.where(random.random(12) < 0.85, kinds[chosen], random.integers(0, 3, 12))
    return (near, predicted, random.permutation(12) / 12 + random.random()), (truth, kinds, crowds)


def as_coco(corners: np.ndarray) -> list[list[float]]:
    return np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).tolist()


def official(images: list[tuple[tuple, tuple]]) -> np.ndarray:
    """COCO's figures: the mean over thresholds first, then overlap 0.5."""
    from pycocotools.cocoeval import COCOeval

    truth, found = [], []
    for number, ((near, predicted, scores), (corners, kinds, crowds)) in enumerate(images, 1):
        for box, kind, crowd in zip(as_coco(corners), kinds, crowds, strict=True):
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": number,
                    "category_id": int(kind) + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(crowd),
                }
            )
        for box, kind, score in zip(as_coco(near), predicted, scores, strict=True):
            found.append(
                {
                    "image_id": number,
                    "category_id": int(kind) + 1,
                    "bbox": box,
                    "score": float(score),
                }
            )
    dataset = coco.COCO()
    dataset.dataset = {
        "info": {},
        "images": [{"id": number} for number in range(1, len(images) + 1)],
        "categories": [{"id": index, "name": name} for index, name in enumerate(CLASSES, 1)],
        "annotations": truth,
    }
    dataset.createIndex()
    evaluation = COCOeval(dataset, dataset.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(3))
def test_as_cocos_own_program(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = [random_image(random) for _ in range(40)]
    score = DetectionScore(CLASSES, rule="coco")
    for predictions, truth in images:
        score.add(predictions, truth)
    result = score.result()
    expected = official(images)
    assert 0.1 < expected[0] < expected[1] < 0.95
    assert result["map"] == pytest.approx(expected[0], abs=1e-9)
    assert result["map50"] == pytest.approx(expected[1], abs=1e-9)
