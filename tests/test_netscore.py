"""NetScore against figures that follow from its formula and published accuracies."""

from __future__ import annotations

import math

import pytest

from edgesynth.core.netscore import energy_netscore, netscore, netscore_of

#: top-1 percent, millions of parameters, billions of MACs -> dB
VECTORS = {
    "AlexNet": (57.2, 60.9, 0.725, 53.85),
    "VGG16": (71.5, 138.3, 15.47, 40.87),
    "GoogLeNet": (69.8, 6.6, 1.5, 63.80),
    "ResNet-50": (76.1, 25.6, 4.1, 55.05),
    "MobileNetV1": (70.6, 4.2, 0.569, 70.17),
    "SqueezeNet 1.1": (58.2, 1.24, 0.352, 74.20),
    "Caffe LeNet": (99.1, 0.431, 0.002293, 109.9),
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_networks(name: str) -> None:
    accuracy, params, macs, score = VECTORS[name]
    tolerance = 1e-2 if name != "Caffe LeNet" else 5e-2  # stated with one decimal
    assert netscore(accuracy, params, macs) == pytest.approx(score, abs=tolerance)


def test_what_ten_times_fewer_are_worth() -> None:
    base = netscore(90, 1, 1)
    assert netscore(90, 0.1, 1) - base == pytest.approx(10)
    assert netscore(90, 1, 0.1) - base == pytest.approx(10)
    assert base - netscore(80, 1, 1) == pytest.approx(2.05, abs=0.01)
    assert base - netscore(90, 1, 2) == pytest.approx(3.01, abs=0.01)  # FLOPs taken for MACs


def test_plain_counts_are_the_same() -> None:
    assert netscore_of(0.761, 25.6e6, 4.1e9) == pytest.approx(netscore(76.1, 25.6, 4.1))


def test_the_energy_aware_form() -> None:
    # 90 %, 2 ms, 5 W: 20 log10(8100 / (0.002^(1/8) 5^(1/8)))
    expected = 20 * math.log10(8100 / (0.002**0.125 * 5**0.125))
    assert energy_netscore(90, 0.002, 5) == pytest.approx(expected)
    gain = energy_netscore(90, 0.001, 5) - energy_netscore(90, 0.002, 5)
    assert gain == pytest.approx(20 / 8 * math.log10(2))
    assert energy_netscore(90, 0.002, 2.5) - energy_netscore(90, 0.002, 5) == pytest.approx(gain)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_nothing_is_made_of_nothing(bad: float, place: int) -> None:
    for score in (netscore, energy_netscore):
        values = [90.0, 1.0, 1.0]
        values[place] = bad
        with pytest.raises(ValueError, match="above zero"):
            score(*values)
