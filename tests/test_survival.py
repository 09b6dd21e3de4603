"""The genetic encoding against values computed by hand from the papers' equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgesynth.synthesis.survival import (
    chances,
    factor_for,
    hardiest,
    hardiness,
    log_survival,
    mixed,
    truncated,
)

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
strengths = arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 3, width=32))


def test_synapse_survival_by_hand() -> None:
    found = np.exp(log_survival(np.array([0.5, 1.0, 0.0])))
    assert found == pytest.approx([math.exp(-0.5), 1.0, math.exp(-1.0)])


def test_cluster_survival_by_hand() -> None:
    rows = truncated(np.array([[1.0, 1.0], [0.5, 0.02]])).sum(axis=1)
    assert rows == pytest.approx([2.0, 0.5])  # 0.02 is below 5 % of 1.0
    assert np.exp(log_survival(rows)) == pytest.approx([1.0, math.exp(0.25 - 1)])


def test_the_factor_scales_the_probability() -> None:
    chance = chances(log_survival(np.array([1.0, 0.0])), math.log(0.7))
    assert chance == pytest.approx([0.7, 0.7 * math.exp(-1)])


def test_pressure_by_hand() -> None:
    weights = np.array([0.5, 1.0, 0.0])
    found = np.exp(log_survival(weights, pressure=4))
    assert found == pytest.approx([math.exp(-2), 1.0, math.exp(-4)])
    assert np.exp(log_survival(weights, pressure=0)) == pytest.approx([1, 1, 1])  # chance alone


def test_in_the_limit_pressure_is_magnitude_pruning() -> None:
    weights = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    survival = log_survival(np.abs(weights), pressure=1e6)
    lives = hardiest(hardiness(survival, np.random.default_rng(1)), 300)
    assert np.abs(weights)[lives].min() > np.abs(weights)[~lives].max()


@given(strengths)
def test_survival_lies_between_one_over_e_and_one_and_grows_with_strength(w: Vector) -> None:
    survival = np.exp(log_survival(w))
    assert survival.min() >= math.exp(-1) * (1 - 1e-6)
    assert survival.max() <= 1
    assert (np.diff(survival[np.argsort(w, kind="stable")]) >= 0).all()


@given(strengths, st.floats(0.01, 1), st.floats(0, 2000))
def test_a_budget_is_met_on_average(w: Vector, share: float, pressure: float) -> None:
    survival = log_survival(w.astype(np.float64), pressure)
    chance = chances(survival, factor_for(survival, share))
    assert chance.mean() == pytest.approx(share, rel=1e-6)
    assert (chance <= 1).all()


def test_a_gene_lives_under_a_factor_as_often_as_the_rule_says() -> None:
    survival = np.full(40_000, math.log(0.6))
    for factor in (0.3, 0.7, 1.0):
        lives = hardiness(survival, np.random.default_rng(3)) >= -math.log(factor)
        expected = 0.6 * factor
        deviation = math.sqrt(expected * (1 - expected) / survival.size)
        assert lives.mean() == pytest.approx(expected, abs=3 * deviation)


@given(strengths, st.integers(0, 60), st.integers(0, 60))
def test_the_living_of_a_harder_environment_live_in_a_gentler_one(
    w: Vector, few: int, more: int
) -> None:
    few, more = sorted((min(few, w.size), min(more, w.size)))
    hardy = hardiness(log_survival(w), np.random.default_rng(0))
    assert hardiest(hardy, few).sum() == few
    assert (hardiest(hardy, few) <= hardiest(hardy, more)).all()


def test_two_parents_mix_by_the_mean_probability() -> None:
    mother, father = np.log([0.8, 0.4]), np.array([math.log(0.6), -np.inf])
    assert np.exp(mixed([mother, father])) == pytest.approx([0.7, 0.2])
