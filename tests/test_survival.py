"""The genetic encoding against values computed by hand from the papers' equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgesynth.core.errors import UserError
from edgesynth.synthesis.environment import Environment, parse_environment
from edgesynth.synthesis.survival import (
    cluster_survival,
    synapse_survival,
    truncated,
    with_budget,
    with_factor,
)

weights = arrays(np.float32, st.integers(1, 60), elements=st.floats(-3, 3, width=32))


def test_synapse_survival_by_hand() -> None:
    found = synapse_survival(np.array([0.5, -1.0, 0.0], dtype=np.float32))
    assert found == pytest.approx([math.exp(-0.5), 1.0, math.exp(-1.0)])


def test_cluster_survival_by_hand() -> None:
    rows = truncated(np.array([[1.0, -1.0], [0.5, 0.02]], dtype=np.float32)).sum(axis=1)
    assert rows == pytest.approx([2.0, 0.5])  # 0.02 is below 5 % of 1.0
    assert cluster_survival(rows) == pytest.approx([1.0, math.exp(0.25 - 1)])


def test_the_factor_scales_the_probability() -> None:
    chance = with_factor(synapse_survival(np.array([1.0, 0.0], dtype=np.float32)), 0.7)
    assert chance == pytest.approx([0.7, 0.7 * math.exp(-1)])


@given(weights)
def test_survival_lies_between_one_over_e_and_one_and_grows_with_strength(
    w: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> None:
    survival = synapse_survival(w)
    assert survival.min() >= math.exp(-1) - 1e-12
    assert survival.max() <= 1
    order = np.argsort(np.abs(w), kind="stable")
    assert (np.diff(survival[order]) >= -1e-12).all()


@given(weights, st.floats(0.01, 1))
def test_a_budget_is_met_on_average(
    w: np.ndarray[tuple[int], np.dtype[np.float32]], share: float
) -> None:
    chance = with_budget(synapse_survival(w), share)
    assert chance.mean() == pytest.approx(share, rel=1e-6)
    assert (chance <= 1).all()


def test_environments_are_read_as_written() -> None:
    assert parse_environment("0.7") == Environment("factor", 0.7)
    assert parse_environment("synapses=0.5") == Environment("budget", 0.5)
    assert parse_environment(parse_environment(".25").text) == Environment("factor", 0.25)


@pytest.mark.parametrize(
    "text", ["", "0", "1.5", "-0.5", "synapse=0.5", "synapses=2", "nan", "0.0"]
)
def test_other_environments_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="neither a factor"):
        parse_environment(text)
