"""Comparing outputs: figures by hand, NaN fails, the worst element has its index."""

import numpy as np
import pytest

from edgesynth.core.errors import CheckError
from edgesynth.export.agreement import agree


def one(expected, found, atol=0.0, rtol=0.0):
    (agreement,) = agree(
        {"out": np.asarray(expected)}, {"out": np.asarray(found)}, {"out": atol}, rtol
    )
    return agreement


def test_figures_by_hand():
    expected = np.array([[1.0, -4.0], [0.0, 8.0]], np.float32)
    found = np.array([[1.5, -4.0], [0.25, 10.0]], np.float32)
    agreement = one(expected, found, atol=0.3, rtol=0.25)
    # Tolerances are 0.55, 1.3, 0.3 and 2.3: everything passes, closest at [1, 0]? 0.5 / 0.55 is
    # 0.909, 0.25 / 0.3 is 0.833, 2 / 2.3 is 0.87: the worst is [0, 0].
    assert agreement.passed
    assert agreement.worst == (0, 0)
    assert (agreement.max_abs, agreement.max_rel) == (2.0, 0.5)
    assert agreement.top1 == (2, 2)


def test_the_bound_itself_passes_and_a_hair_more_fails():
    assert one([[2.0]], [[2.5]], atol=0.25, rtol=0.125).passed
    assert not one([[2.0]], [[2.5001]], atol=0.25, rtol=0.125).passed


def test_the_worst_element_is_named():
    expected = np.zeros((2, 3, 4))
    found = expected.copy()
    found[1, 2, 3] = 0.5
    found[0, 1, 0] = -0.1
    agreement = one(expected, found, atol=0.01)
    assert not agreement.passed
    assert (agreement.worst, agreement.found, agreement.expected) == ((1, 2, 3), 0.5, 0.0)
    assert "out: FAILED" in str(agreement)
    assert "[1, 2, 3]: 0.5 instead of 0" in str(agreement)


def test_nan_never_passes_and_becomes_null():
    agreement = one([[1.0, 2.0]], [[1.0, np.nan]], atol=1e9, rtol=1e9)
    assert not agreement.passed
    assert agreement.worst == (0, 1)
    assert agreement.top1 == (0, 1)
    document = agreement.document()
    assert document["max_abs_error"] is None
    assert document["worst_found"] is None


def test_integers_must_be_equal():
    assert one([[3]], [[3]], atol=5.0).passed
    assert not one([[3]], [[4]], atol=5.0).passed


def test_each_output_has_its_own_tolerance():
    expected = {"boxes": np.array([[600.0]]), "scores": np.array([[0.5]])}
    found = {"boxes": np.array([[600.05]]), "scores": np.array([[0.55]])}
    boxes, scores = agree(expected, found, {"boxes": 0.06, "scores": 5e-5}, 0.0)
    assert boxes.passed
    assert not scores.passed


def test_another_shape_is_refused():
    with pytest.raises(CheckError, match="shape"):
        one([[1.0, 2.0]], [[1.0]])
