"""Budgets, exceptions, competing layers and rounded channels: what is asked for is what is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.synthesis.rounding import revive, rounded
from edgesynth.workflows.world import predicted_cost
from small_networks import SHAPE, Mobile, Plain, network

SEED = (0, 2, 1)


@pytest.fixture(scope="module")
def lenet() -> Network:
    torch.manual_seed(0)
    return resolve("lenet5")


def born(parent: Network, environment: str, encoding: str = "both", **how: float) -> Network:
    round_to = int(how.pop("round_to", 1))
    genome = Genome(parse_environment(environment), encoding, how.pop("pressure", 1.0), round_to)
    return synthesize([parent], genome, SEED)


def widths(of: Network) -> dict[str, int]:
    return {
        name.removesuffix(".weight"): len(parameter)
        for name, parameter in of.module.named_parameters()
        if name.endswith("weight")
    }


@pytest.mark.parametrize("encoding", ["cluster", "both"])
@pytest.mark.parametrize("key", ["macs", "params"])
def test_a_dense_budget_is_met_and_not_overshot(lenet: Network, key: str, encoding: str) -> None:
    shape = (1, 28, 28)
    before = getattr(count(lenet.module, shape), key)
    shares = []
    for asked in (0.35, 0.6, 0.9):
        child = born(lenet, f"{key}={asked}", encoding)
        shares.append(getattr(count(child.module, shape), key) / before)
        assert asked - 0.06 < shares[-1] <= asked  # one filter more would be too much
    assert shares == sorted(shares)


def test_a_budget_on_a_cost_of_ones_own(lenet: Network) -> None:
    def milliseconds(network: Network) -> float:
        return 1.0 + count(network.module, (1, 28, 28)).macs / 1e6

    genome = Genome(parse_environment("latency=0.7@tx2"))
    child = synthesize([lenet], genome, SEED, {"latency@tx2": milliseconds})
    assert 0.65 < milliseconds(child) / milliseconds(lenet) <= 0.7
    with pytest.raises(UserError, match="nothing here says what latency@tx2 costs"):
        synthesize([lenet], genome, SEED)


@pytest.mark.parametrize("kind", ["latency", "energy"])
def test_a_budget_on_what_is_predicted_for_a_board(lenet: Network, kind: str) -> None:
    cost = predicted_cost(kind, "tx2")
    genome = Genome(parse_environment(f"{kind}=0.9@tx2"), "cluster")
    child = synthesize([lenet], genome, SEED, {f"{kind}@tx2": cost})
    assert 0.85 < cost(child) / cost(lenet) <= 0.9


def test_a_dense_budget_may_have_a_share_of_synapses_beside_it(lenet: Network) -> None:
    child = born(lenet, "macs=0.8,synapses=0.3")
    assert count(child.module, (1, 28, 28)).macs / count(lenet.module, (1, 28, 28)).macs > 0.74
    assert live_synapses(child) / live_synapses(lenet) == pytest.approx(0.3, abs=0.001)


def test_what_cannot_be_met_is_said(lenet: Network) -> None:
    with pytest.raises(UserError, match=r"cannot be met in one synthesis.*--round-to"):
        born(lenet, "macs=0.01", round_to=16)


def test_layers_with_a_share_of_their_own_keep_it(lenet: Network) -> None:
    child = born(lenet, "synapses=0.5,conv1=0.9,fc2=0.6", "synapse")
    kept = {
        name.removesuffix(".weight"): float(m.float().mean()) for name, m in child.masks.items()
    }
    assert kept["conv1"] == pytest.approx(0.9, abs=0.002)
    assert kept["fc2"] == pytest.approx(0.6, abs=0.002)
    assert kept["fc1"] == pytest.approx(kept["conv2"], abs=0.002)
    assert live_synapses(child) / live_synapses(lenet) == pytest.approx(0.5, abs=0.001)
    narrow = widths(born(lenet, "synapses=0.5,conv1=0.25", "cluster"))
    assert narrow["conv1"] == 10  # the root of a quarter: the other half is what its readers lose
    literal = born(lenet, "0.7,conv2=1,fc1=0.5", "synapse").masks
    means = {name: float(mask.float().mean()) for name, mask in literal.items()}
    assert 1 / math.e < means["conv2.weight"] < 1  # the factor 1 leaves the rule itself
    assert 0.5 / math.e < means["fc1.weight"] < 0.25
    assert means["fc1.weight"] < means["conv1.weight"] < means["conv2.weight"]


def test_a_module_stands_for_its_layers() -> None:
    torch.manual_seed(0)
    parent = network(Plain)
    whole = torch.nn.Sequential()
    whole.body, whole.head = parent.module, torch.nn.Linear(5, 5)
    parent.module = whole
    child = born(parent, "synapses=0.4,body=0.8,body.f1=0.3", "synapse")
    kept = {name: float(mask.float().mean()) for name, mask in child.masks.items()}
    assert kept["body.c2.weight"] == pytest.approx(0.8, abs=0.01)
    assert kept["body.f1.weight"] == pytest.approx(0.3, abs=0.01)


def test_an_unknown_layer_is_answered_with_the_nearest(lenet: Network) -> None:
    with pytest.raises(UserError, match='no layer "fc_1"; did you mean "fc1"'):
        born(lenet, "synapses=0.5,fc_1=0.9")


def test_clusters_may_have_a_factor_of_their_own(lenet: Network) -> None:
    child = born(lenet, "synapses=0.3,clusters=0.9")
    assert widths(child) == {"conv1": 18, "conv2": 45, "fc1": 450, "fc2": 10}
    assert live_synapses(child) / live_synapses(lenet) == pytest.approx(0.3, abs=0.001)


def test_where_layers_compete_the_over_parameterised_gives_up_more(lenet: Network) -> None:
    """fc1 has 400,000 of LeNet-5's 430,500 weights."""
    child = born(lenet, "synapses=0.2:global", "synapse", pressure=8)
    kept = {
        name.removesuffix(".weight"): float(m.float().mean()) for name, m in child.masks.items()
    }
    assert live_synapses(child) / live_synapses(lenet) == pytest.approx(0.2, abs=0.001)
    assert 0.3 * 0.2 <= kept["fc1"] < 0.2 < kept["conv2"] < kept["conv1"]


def test_a_competing_layer_keeps_its_floor() -> None:
    parent = network(Plain)
    weight = parent.module.get_parameter("f1.weight").data
    weight *= 1e-6
    weight[0, 0] = 1.0  # one strong synapse makes all others of its layer hopeless
    child = born(parent, "synapses=0.5:global", "synapse")
    assert float(child.masks["f1.weight"].float().mean()) >= 0.3 * 0.4


@pytest.mark.parametrize("environment", ["0.6", "synapses=0.5", "macs=0.7", "synapses=0.4:global"])
@pytest.mark.parametrize("encoding", ["cluster", "both"])
def test_channels_stay_multiples(lenet: Network, environment: str, encoding: str) -> None:
    found = widths(born(lenet, environment, encoding, round_to=8))
    assert found["fc2"] == 10  # the classifier's outputs are the classes
    available = {"conv1": 20, "conv2": 50, "fc1": 500}
    for name, width in available.items():
        assert found[name] % 8 == 0 or found[name] == width
    assert sum(found[name] < width for name, width in available.items()) >= 2


def test_grouped_and_depthwise_layers_are_rounded_by_their_own_channels() -> None:
    parent = network(Mobile)
    for seed in range(5):
        genome = Genome(parse_environment("0.6"), "both", 1.0, 4)
        child = synthesize([parent], genome, (seed, 2, 1))
        found = widths(child)
        assert found["depth"] == 2 * found["expand"]  # two filters a channel
        assert found["expand"] % 4 == 0 and found["depth"] % 4 == 0
        assert found["grouped"] % 4 == 0 and found["squeeze"] % 4 == 0


def test_rounding_by_hand() -> None:
    assert [rounded(n, 50, 8) for n in (0, 1, 8, 9, 47, 49, 50)] == [8, 8, 8, 16, 48, 50, 50]
    assert rounded(0, 5, 1) == 1
    assert rounded(3, 5, 8) == 5


def test_the_strongest_of_the_dying_are_given_life() -> None:
    lives = np.array([False, True, False, False, False, False])
    strengths = np.array([0.1, 0.2, 0.9, 0.3, 0.8, 0.0])
    expected = [False, True, True, True, True, False]
    assert revive(lives, strengths, 4).tolist() == expected
    assert revive(lives, strengths, 1).tolist() == lives.tolist()
    assert revive(np.zeros(6, dtype=bool), strengths, 1).tolist() == (strengths == 0.9).tolist()


def test_shapes_are_all_that_a_count_needs() -> None:
    child = born(network(Plain), "params=0.5", "cluster")
    assert count(child.module, SHAPE).params <= 0.5 * count(network(Plain).module, SHAPE).params


def test_a_relaxed_environment_goes_from_nothing_to_all() -> None:
    harsh = parse_environment("synapses=0.2:global,clusters=0.9,conv1=0.6")
    assert harsh.relaxed(1.0) == harsh
    assert harsh.relaxed(0.0).text == "synapses=1:global,clusters=1,conv1=1"
    assert harsh.relaxed(0.5).value == pytest.approx(0.2 + 0.8 / 8)
    assert harsh.relaxed(0.5).layers == (("conv1", pytest.approx(0.6 + 0.4 / 8)),)
