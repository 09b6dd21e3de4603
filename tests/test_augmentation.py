"""Augmentation of train images."""

import numpy as np
import pytest

from edgesynth.core.errors import UserError
from edgesynth.tasks.augmentation import Augmentation, parse_augmentation


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("none", Augmentation()),
        ("flip", Augmentation(flip=True)),
        ("shift=2", Augmentation(shift=2)),
        ("flip,shift=12", Augmentation(flip=True, shift=12)),
    ],
)
def test_what_can_be_asked_for(text: str, read: Augmentation):
    assert parse_augmentation(text) == read


@pytest.mark.parametrize("text", ["", "flop", "shift", "shift=0", "shift=-1", "flip,,shift=2"])
def test_what_cannot(text: str):
    with pytest.raises(UserError, match="no augmentation"):
        parse_augmentation(text)


def test_half_of_the_images_are_mirrored_and_nothing_else_happens():
    pixels = np.arange(400 * 2 * 3 * 4, dtype=np.uint32).astype(np.uint8).reshape(400, 2, 3, 4)
    found = Augmentation(flip=True)(pixels, np.random.default_rng(0))
    mirrored = (found == pixels[..., ::-1]).all(axis=(1, 2, 3))
    same = (found == pixels).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 160 < mirrored.sum() < 240


def test_an_image_moves_by_all_steps_that_are_allowed_and_repeats_its_border():
    pixels = np.zeros((500, 1, 5, 5), np.uint8)
    pixels[:, 0, 2, 2] = 200  # a dot in the middle
    pixels[:, 0, :, 4] = 90  # and a border to be repeated
    found = Augmentation(shift=1)(pixels, np.random.default_rng(0))
    rows, columns = np.nonzero((found == 200).any(axis=(0, 1)))
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (row, column) for row in (1, 2, 3) for column in (1, 2, 3)
    }
    assert set(np.unique(found[:, 0, :, 4]).tolist()) == {0, 90}  # 0 where it moved to the right
    to_the_left = found[(found[:, 0, :, 1] == 200).any(axis=1)]
    assert (to_the_left[:, 0, :, 3:] == 90).all()


def test_the_same_seed_gives_the_same_images():
    pixels = np.random.default_rng(1).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    augment = parse_augmentation("flip,shift=2")
    one, two = (augment(pixels, np.random.default_rng([3, 4])) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.dtype == np.uint8 and one.shape == pixels.shape
