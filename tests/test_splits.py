"""Cutting: disjoint, seeded, stratified; statistics against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from edgesynth.core.dataset import ArraySplit
from edgesynth.core.errors import UserError
from edgesynth.data.splits import Subset, balanced_order, blocks, cut, statistics, take

labels_of = st.lists(st.integers(0, 4), min_size=2, max_size=80).map(
    lambda values: np.array(values, np.int64)
)


@given(labels_of, st.integers(0, 2**32 - 1), st.data())
def test_both_sides_of_a_cut_hold_every_image_once(
    labels: np.ndarray, seed: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(labels) - 1))
    held_out, rest = cut(labels, size, seed, "validation")
    assert len(held_out) == size
    assert sorted([*held_out, *rest]) == list(range(len(labels)))


@given(labels_of, st.integers(0, 1000), st.data())
def test_every_prefix_holds_the_classes_in_proportion(
    labels: np.ndarray, seed: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(labels)))
    prefix = labels[balanced_order(labels, seed)[:size]]
    classes = np.unique(labels)
    for each in classes:
        fair = size * np.mean(labels == each)
        assert abs(np.sum(prefix == each) - fair) <= len(classes)


def test_the_seed_decides_and_nothing_else() -> None:
    labels = np.repeat(np.arange(10), 50)
    first = balanced_order(labels, 1)
    np.random.seed(0)  # the global generator has no say
    assert np.array_equal(first, balanced_order(labels, 1))
    assert not np.array_equal(first, balanced_order(labels, 2))


def test_a_balanced_data_set_gives_a_validation_split_with_equal_classes() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 600))
    held_out, _ = cut(labels, 1 / 12, 3, "validation")
    assert np.bincount(labels[held_out]).tolist() == [50] * 10


@pytest.mark.parametrize("share", [0, -1, 4, 5, 0.0, 1.0, 1.5, -0.2])
def test_a_cut_that_empties_a_side_is_refused(share: float) -> None:
    with pytest.raises(UserError, match=rf"^validation of {share:g} leaves"):
        cut(np.zeros(4, np.int64), share, 0, "validation")


def test_a_subset_larger_than_the_data_names_the_limit() -> None:
    with pytest.raises(UserError, match='"digits@9" asks for 9 train images; give 1 to 5'):
        take(np.arange(5), 9, "digits@9")
    with pytest.raises(UserError, match="give 1 to 5"):
        take(np.arange(5), 0, "digits@0")


@given(nps.arrays(np.uint8, st.tuples(*map(st.integers, (1, 1, 1, 1), (9, 3, 4, 4)))))
def test_statistics_are_those_of_numpy(pixels: np.ndarray) -> None:
    mean, std = statistics(blocks(pixels, 2))
    scaled = pixels.astype(np.float64) / 255
    assert mean == pytest.approx(scaled.mean((0, 2, 3)), abs=1e-12)
    expected = scaled.std((0, 2, 3))
    assert std == pytest.approx(np.where(expected < 1e-12, 1.0, expected), abs=1e-9)


def test_a_subset_reads_through_to_the_whole() -> None:
    whole = ArraySplit(np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), np.arange(6))
    part = Subset(whole, np.array([5, 1, 3]))
    assert len(part) == 3
    assert part.labels.tolist() == [5, 1, 3]
    assert part.images(np.array([2, 0])).ravel().tolist() == [3, 5]
