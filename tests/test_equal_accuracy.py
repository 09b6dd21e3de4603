"""Sizes at equal accuracy: curves worked out by hand."""

from __future__ import annotations

import pytest

from edgesynth.core.equal_accuracy import Point, compare, size_at

CURVE = [Point(10_000, 0.90), Point(1_000, 0.88), Point(100, 0.80)]


def test_between_two_networks_accuracy_runs_straight_over_the_logarithm() -> None:
    assert size_at(CURVE, 0.89) == pytest.approx(10**3.5)  # half way from 1,000 to 10,000
    assert size_at(CURVE, 0.82) == pytest.approx(10**2.25)  # a quarter of the way from 100 up


def test_a_network_of_the_curve_is_found_itself() -> None:
    assert size_at(CURVE, 0.88) == pytest.approx(1_000)
    assert size_at(CURVE, 0.90) == pytest.approx(10_000)


def test_nothing_is_read_off_beyond_the_ends() -> None:
    assert size_at(CURVE, 0.91) is None
    assert size_at(CURVE, 0.50) == 100
    assert size_at([], 0.5) is None


def test_a_smaller_network_that_is_better_makes_the_larger_one_irrelevant() -> None:
    assert size_at([Point(1000, 0.85), Point(100, 0.90), Point(10, 0.80)], 0.85) == pytest.approx(
        10**1.5
    )


def test_the_ratio_is_that_of_the_smallest_on_each_side() -> None:
    curves = {
        "edgesynth": [Point(1000, 0.90), Point(100, 0.88)],
        "edgesynth+stress": [Point(1000, 0.90), Point(100, 0.86)],
        "magnitude": [Point(1000, 0.90), Point(10, 0.88)],
        "random": [Point(1000, 0.90), Point(100, 0.70)],
    }
    ours = ("edgesynth", "edgesynth+stress")
    (found,) = compare("synapses", curves, ours, 0.90, levels=(1.0,))
    assert (found.ours, found.baseline) == ("edgesynth", "magnitude")
    assert found.sizes["edgesynth"] == pytest.approx(10**2.5)
    assert found.sizes["magnitude"] == pytest.approx(100)
    assert found.ratio == pytest.approx(10**0.5)


def test_no_ratio_where_one_side_never_gets_there() -> None:
    curves = {"edgesynth": [Point(1000, 0.90)], "magnitude": [Point(500, 0.80)]}
    (found,) = compare("synapses", curves, ("edgesynth",), 0.90, levels=(0.5,))
    assert (found.ours, found.baseline, found.ratio) == ("edgesynth", None, None)
