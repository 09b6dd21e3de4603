"""What users write for the environment and the genome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesynth.core.errors import UserError
from edgesynth.synthesis.environment import Environment, parse_environment
from edgesynth.synthesis.genome import Genome

shares = st.integers(1, 100).map(lambda percent: percent / 100)
layer_names = st.from_regex(r"[a-z][a-z0-9_]{0,6}(\.[0-9a-z]{1,4}){0,2}", fullmatch=True).filter(
    lambda name: name not in ("clusters", "synapses")
)
kinds = st.sampled_from(["factor", "synapses", "params", "macs", "latency@tx2", "energy@tx1"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.7", Environment("factor", 0.7)),
        (".25", Environment("factor", 0.25)),
        ("synapses=0.5", Environment("synapses", 0.5)),
        ("synapses=0.5:global", Environment("synapses", 0.5, competing=True)),
        ("macs=0.6", Environment("macs", 0.6)),
        ("latency=0.7@tx2", Environment("latency@tx2", 0.7)),
        ("energy=0.7@tx2,synapses=0.4", Environment("energy@tx2", 0.7, synapses=0.4)),
        ("0.7,clusters=0.9", Environment("factor", 0.7, clusters=0.9)),
        (
            "synapses=0.5, conv1=0.9, fc.1=0.3",
            Environment("synapses", 0.5, (("conv1", 0.9), ("fc.1", 0.3))),
        ),
    ],
)
def test_environments_are_read_as_written(text: str, expected: Environment) -> None:
    assert parse_environment(text) == expected


@given(kinds, shares, st.dictionaries(layer_names, shares, max_size=3), st.booleans(), shares)
def test_what_is_written_is_read_back(
    kind: str, value: float, layers: dict[str, float], competing: bool, other: float
) -> None:
    physical = kind not in ("factor", "synapses")
    environment = Environment(
        kind,
        value,
        tuple(layers.items()),
        competing=competing and kind != "factor",
        clusters=None if physical else other,
        synapses=other if physical else None,
    )
    assert parse_environment(environment.text) == environment
    genome = Genome(environment, "both", 2.5, 8)
    assert Genome.read(genome.document()) == genome


@given(st.text(alphabet="synapsemc=0.57@tx2,:global clusters", max_size=24))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        environment = parse_environment(text)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert parse_environment(environment.text) == environment


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no share"),
        ("0", "is no share"),
        ("1.5", "is no share"),
        ("nan", "is no share"),
        ("synapses=2", "is no share"),
        ("synapse=0.5", 'did you mean "synapses"'),
        ("latency=0.7", "name a board"),
        ("macs=0.7@tx2", "leave out the board"),
        ("0.7:global", "compete for a budget"),
        ("macs=0.7:local", 'is not "global"'),
        ("0.7,conv1", "is not NAME=SHARE"),
        ("0.7,conv1=0.5,conv1=0.6", "is there twice"),
        ("synapses=0.5,synapses=0.4", "gives synapses twice"),
        ("macs=0.5,clusters=0.4", "clusters follow from the budget"),
    ],
)
def test_other_environments_are_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_environment(text)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"encoding": "clusters"}, 'did you mean "cluster"'),
        ({"pressure": -1.0}, "pressure -1"),
        ({"pressure": float("nan")}, "pressure nan"),
        ({"round_to": 0}, "rounded to 0"),
        ({"encoding": "synapse", "environment": "macs=0.5"}, "leaves layers dense"),
        ({"encoding": "synapse", "environment": "0.5,clusters=0.4"}, "has no use"),
        ({"round_to": None}, "damaged"),
    ],
)
def test_a_genome_that_makes_no_sense_is_refused(document: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Genome.read({**Genome().document(), **document})
