"""Composed scenes: the same bits everywhere, honest boxes, items that never cross splits."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest

from edgesynth.core.dataset import Dataset, boxed
from edgesynth.core.errors import UserError
from edgesynth.data.fashion_mnist import DEBIAN_FOLDER
from edgesynth.data.resampling import resized
from edgesynth.data.scenes import VISIBLE, compose
from edgesynth.data.source import load_dataset

needs_fashion_mnist = pytest.mark.skipif(
    not DEBIAN_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)

HASH = "48a2d07a25d2e4987fe54624c44bc14e941586438e6ef9439302ffe29d959c01"

ITEMS = np.zeros((3, 28, 28), np.uint8)
ITEMS[0, 4:24, 4:24] = 250  # a square,
ITEMS[1, 10:18, 2:26] = 200  # a bar,
ITEMS[2, 2:26, 2:26] = 220  # and a frame
ITEMS[2, 6:22, 6:22] = 0
CLASSES = np.array([5, 1, 7])


def digest(dataset: Dataset, scenes: int = 20) -> str:
    found = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        chosen = np.arange(scenes)
        found.update(split.images(chosen).tobytes())
        for boxes in boxed(split).boxes(chosen):
            found.update(boxes.corners.tobytes() + boxes.classes.tobytes())
    return found.hexdigest()


@needs_fashion_mnist
def test_the_same_spec_and_seed_give_the_same_bits() -> None:
    assert digest(load_dataset("fashion-detection@20", seed=3)) == HASH
    assert digest(load_dataset("fashion-detection@20", seed=4)) != HASH


@needs_fashion_mnist
def test_splits_sizes_and_what_the_seed_changes() -> None:
    one = load_dataset("fashion-detection", seed=1)
    assert one.task == "detection"
    assert one.input_shape == (1, 96, 96)
    assert len(one.classes) == 10
    assert [len(split) for split in (one.train, one.validation, one.test)] == [4000, 500, 1000]
    two = load_dataset("fashion-detection,size=128@6000", seed=2, validation=50)
    assert [len(split) for split in (two.train, two.validation, two.test)] == [6000, 50, 1000]
    assert two.train.images(np.array([5999])).shape == (1, 1, 128, 128)
    three = load_dataset("fashion-detection@30", seed=2)
    few = np.arange(30)
    assert np.array_equal(one.test.images(few), three.test.images(few))
    assert not np.array_equal(one.train.images(few), three.train.images(few))
    assert three.mean == pytest.approx([three.train.images(few).mean() / 255])


@needs_fashion_mnist
def test_scenes_are_composed_once() -> None:
    dataset = load_dataset("fashion-detection@200")
    chosen = np.arange(200)
    backwards = dataset.test.images(chosen[::-1])
    started = time.process_time()
    assert np.array_equal(dataset.test.images(chosen), backwards[::-1])
    assert (time.process_time() - started) < 200 / 1500  # training must not be slowed
    assert len(boxed(dataset.test).boxes(chosen)) == 200


@needs_fashion_mnist
def test_every_class_and_empty_scenes_occur() -> None:
    boxes = boxed(load_dataset("fashion-detection@1").test).boxes(np.arange(300))
    counts = np.bincount(np.concatenate([each.classes for each in boxes]))
    assert len(counts) == 10
    assert counts.min() > 40
    assert 0.02 < np.mean([len(each.classes) == 0 for each in boxes]) < 0.1
    assert not any(each.ignored.any() for each in boxes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fashion-detection,size=32", "size=32 is out of range; give 64 to 512"),
        ("fashion-detection,size=96x64", "fashion-detection has square pictures; write size=96"),
        ("fashion-detection@0", "asks for 0 train scenes; give 1 to 40000"),
        ("fashion-detection@40001", "asks for 40001 train scenes"),
    ],
)
@needs_fashion_mnist
def test_what_cannot_be_is_explained(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_dataset(text)


def test_boxes_are_tight_around_what_is_visible() -> None:
    seen = hidden = 0
    for seed in range(150):
        scene = compose(ITEMS, CLASSES, 96, np.random.default_rng(seed))
        assert scene.pixels.dtype == np.uint8
        for index, (left, top, right, bottom) in enumerate(scene.corners.astype(int)):
            mine = scene.owner == index
            rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
            assert (left, top) == (columns[0], rows[0])
            assert (right, bottom) == (columns[-1] + 1, rows[-1] + 1)
            if scene.classes[index] == 5:  # the square fills its box but for what hides it
                seen += 1
                share = mine.sum() / ((right - left) * (bottom - top))
                assert share > VISIBLE - 0.05
                hidden += share < 0.98
    assert seen > 100
    assert hidden > 10


def test_scales_cover_the_documented_range() -> None:
    widths = []
    for seed in range(150):
        scene = compose(ITEMS[:1], CLASSES[:1], 128, np.random.default_rng(seed))
        widths += (scene.corners[:, 2] - scene.corners[:, 0]).tolist()
    assert max(widths) <= round(20 * 1.6) + 1
    assert max(widths) > 30
    assert np.percentile(widths, 5) < 15


def test_a_blank_item_is_left_out() -> None:
    blank = np.zeros((1, 28, 28), np.uint8)
    scenes = [compose(blank, CLASSES, 64, np.random.default_rng(seed)) for seed in range(20)]
    assert all(len(scene.classes) == 0 for scene in scenes)


def test_resizing_by_hand() -> None:
    assert resized(np.array([[0, 100]], np.uint8), 1, 4).tolist() == [[0, 25, 75, 100]]
    assert resized(np.array([[0, 100], [200, 40]], np.uint8), 1, 1).tolist() == [[85]]
    same = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(resized(same, 3, 4), same)
    assert (resized(np.full((5, 7), 255, np.uint8), 11, 3) == 255).all()
