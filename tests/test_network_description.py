"""`network.json`: what is written is read back, and what a stranger wrote is at worst refused."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesynth.core.network import (
    Architecture,
    Kept,
    Lineage,
    NetworkDescription,
    Preprocessing,
    format_ranges,
    parse_ranges,
)

CHANNELS = st.sets(st.integers(0, 4095), min_size=1, max_size=300).map(sorted)
DESCRIPTION = NetworkDescription(
    name="lenet5-g03",
    architecture=Architecture("zoo:lenet5", {"classes": 10, "width": 1.0, "small": True}),
    input_shape=(1, 28, 28),
    classes=("T-shirt/top", "Trouser"),
    preprocessing=Preprocessing(mean=(0.286,), std=(0.353,)),
    kept={"conv2": Kept(inputs="0-18", outputs="0-19,25"), "fc1": Kept(outputs="7")},
    lineage=Lineage(generation=3, parent="ab" * 32, seed=7, versions={"torch": "2.13.0"}),
    accuracy={"validation": 0.91},
    weights_sha256="cd" * 32,
)


@given(CHANNELS)
def test_ranges_come_back_as_they_were(channels):
    text = format_ranges(channels)
    assert parse_ranges(text, limit=channels[-1] + 1) == channels


@given(CHANNELS)
def test_ranges_are_as_short_as_can_be(channels):
    gaps = sum(b != a + 1 for a, b in itertools.pairwise(channels))
    assert format_ranges(channels).count(",") == gaps


@pytest.mark.parametrize(
    ("channels", "text"),
    [([0, 1, 2, 5], "0-2,5"), ([3], "3"), ([0, 2, 4], "0,2,4"), ([8, 9], "8-9"), ([], "")],
)
def test_ranges_as_a_person_writes_them(channels, text):
    assert format_ranges(channels) == text


@pytest.mark.parametrize(
    "text",
    [
        "",  # keeps nothing
        ",",
        "0,",
        "-1",
        "1-",
        "1--2",
        "3-2",  # falls
        "0-3,3",  # twice
        "5,1",
        "0-10",  # one beyond the layer's 10 channels
        "10",
        "0-99999999999999999999",  # would fill the memory
        "9" * 5000,  # more digits than Python turns into a number
        "0x1",
        "1e0",
        " 1",
        "1 ",
        "1_0",
        "0-٣",  # a digit, but not one of ours
        "²",
    ],
)
def test_a_hostile_range_is_refused(text):
    with pytest.raises(ValueError, match=r"range|digits"):
        parse_ranges(text, limit=10)


@given(st.text() | st.text("0123456789-,", max_size=30), st.integers(1, 1000))
def test_any_accepted_range_lies_in_the_layer(text, limit):
    try:
        channels = parse_ranges(text, limit)
    except ValueError:
        return
    assert channels
    assert channels == sorted(set(channels))
    assert 0 <= channels[0] <= channels[-1] < limit


def test_a_description_comes_back_as_it_was():
    text = msgspec.json.encode(DESCRIPTION)
    assert msgspec.json.decode(text, type=NetworkDescription) == DESCRIPTION


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"input_shape": [1, 28]}, "input_shape"),
        ({"input_shape": "big"}, "input_shape"),
        ({"architecture": {"source": "zoo:lenet5", "code": "import os"}}, "code"),
        ({"architecture": {"source": "zoo:lenet5", "arguments": {"hook": {"a": 1}}}}, "arguments"),
        ({"kept": {"conv1": {"outputs": [0, 1]}}}, "kept"),
        ({"kept": {"conv1": {"outputs": "0", "weights": "0"}}}, "weights"),
        ({"accuracy": {"validation": "high"}}, "accuracy"),
        ({"run": "rm -rf /"}, "run"),
        ({"name": None}, "name"),
    ],
)
def test_a_changed_description_is_refused_by_the_place(change, named):
    document = msgspec.to_builtins(DESCRIPTION) | change
    with pytest.raises(msgspec.ValidationError, match=named):
        msgspec.json.decode(msgspec.json.encode(document), type=NetworkDescription)
