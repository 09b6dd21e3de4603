"""One synthesis: seeded, inherited, and true to the environment."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import parse_ranges
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.environment import Environment, parse_environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import live_clusters, live_synapses, synthesize
from small_networks import ALL, Mobile, Plain, Residual, network

HALF = Genome(Environment("synapses", 0.5))
PAPER = Genome(Environment("factor", 0.7))
LITERAL = Genome(Environment("factor", 0.7), "synapse")


def lenet(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return resolve("lenet5")


@pytest.mark.parametrize("genome", [HALF, PAPER, LITERAL])
def test_same_seed_same_offspring(genome: Genome) -> None:
    parent = network(Residual)
    first, again = (synthesize([parent], genome, (7, 2, 1)) for _ in range(2))
    other = synthesize([parent], genome, (7, 2, 2))
    assert first.description == again.description
    assert all(torch.equal(again.masks[name], mask) for name, mask in first.masks.items())
    state = again.module.state_dict()
    assert all(torch.equal(state[name], t) for name, t in first.module.state_dict().items())
    assert not all(torch.equal(other.masks.get(n, m[:0]), m) for n, m in first.masks.items()) or (
        first.description != other.description
    )


@pytest.mark.parametrize("encoding", ["synapse", "cluster", "both"])
def test_a_budget_of_half_keeps_half_of_the_synapses(encoding: str) -> None:
    parent = lenet()
    for seed in range(3):
        child = synthesize([parent], Genome(Environment("synapses", 0.5), encoding), (seed, 2, 1))
        share = live_synapses(child) / live_synapses(parent)
        assert 0.48 < share <= 0.5  # one filter less or more moves it by a little


def test_weights_are_inherited() -> None:
    parent = lenet()
    child = synthesize([parent], Genome(Environment("synapses", 0.4, clusters=0.7)), (0, 2, 1))
    kept = child.description.kept["conv1"].outputs
    assert kept is not None
    original = parent.module.get_parameter("conv1.weight")[parse_ranges(kept, 20)]
    mask = child.masks["conv1.weight"]
    assert 0 < mask.sum() < mask.numel()
    assert torch.equal(child.module.get_parameter("conv1.weight"), original * mask)


@pytest.mark.parametrize("kind", ALL)
def test_the_outputs_stay_and_the_masked_stay_dead_over_generations(kind: type[nn.Module]) -> None:
    parent = network(kind)
    live = live_synapses(parent)
    for generation in range(2, 6):
        child = synthesize([parent], PAPER, (1, generation, 1))
        with torch.no_grad():
            assert child.module(child.example_input(2)).shape == (2, 5)
            for name, parameter in child.module.named_parameters():
                if name in child.masks:
                    assert (parameter[~child.masks[name]] == 0).all()
        assert live_synapses(child) <= live
        live, parent = live_synapses(child), child
    assert live_clusters(parent) < live_clusters(network(kind))


def test_the_classifier_keeps_most_of_its_synapses() -> None:
    parent = network(Plain, 3)
    shares = []
    for seed in range(30):
        child = synthesize([parent], PAPER, (seed, 2, 1))
        shares.append(float(child.masks["f2.weight"].float().mean()))
    assert np.mean(shares) == pytest.approx(0.8, abs=0.04)  # not the 0.4 that the factor would


def test_no_neuron_is_left_without_a_synapse_in_or_out() -> None:
    parent = network(Mobile, 2)
    for seed in range(10):
        child = synthesize([parent], Genome(Environment("factor", 0.4)), (seed, 2, 1))
        channels = trace_channels(child.module, child.example_input(2))
        for layers, labels in channels.families():
            if len(labels) == 1:
                continue  # the last cluster of a layer is never removed
            for name in layers:
                weight = child.module.get_parameter(f"{name}.weight")
                rows = {
                    label: bool((weight[channels.outputs[name] == label] != 0).any())
                    for label in labels.tolist()
                }
                if len(layers) == 1:
                    assert all(rows.values()), (seed, name)


def test_the_literal_rule_keeps_what_the_equation_says() -> None:
    """E1: per synthesis 0.7 * mean(exp(|w|/Z - 1)) within 3 binomial standard deviations and inside
    [.2575, .40]; generation 4 has at least 20 times fewer synapses."""
    ancestor = parent = lenet(1)
    for name in ("conv1", "conv2", "fc1"):
        torch.nn.init.normal_(parent.module.get_parameter(f"{name}.weight"), std=0.05)
    for generation in range(2, 5):
        child = synthesize([parent], LITERAL, (0, generation, 1))
        before = live_synapses(parent)
        expected, variance = 0.0, 0.0
        for name, labels in trace_channels(parent.module, parent.example_input(2)).outputs.items():
            weight = parent.module.get_parameter(f"{name}.weight").detach()
            live = weight[weight != 0].abs().double()
            chance = 0.7 * torch.exp(live / live.max() - 1)
            if len(labels) == 10:  # the classifier keeps 0.8 exactly
                expected += 0.8 * len(live)
                continue
            expected += float(chance.sum())
            variance += float((chance * (1 - chance)).sum())
        if generation == 2:  # later, neurons that are left alone take theirs along
            assert live_synapses(child) == pytest.approx(expected, abs=3 * math.sqrt(variance))
        assert live_synapses(child) <= expected + 3 * math.sqrt(variance)
        assert 0.2575 <= live_synapses(child) / before <= 0.40
        parent = child
    assert live_synapses(ancestor) >= 20 * live_synapses(parent)


def test_nothing_but_isolated_neurons_leaves_under_the_synapse_encoding() -> None:
    parent = lenet()
    child = synthesize([parent], LITERAL, (0, 2, 1))
    assert live_clusters(child) == live_clusters(parent)
    assert child.description.kept == {}


def test_whole_clusters_die_under_the_cluster_encoding() -> None:
    parent = lenet()
    child = synthesize([parent], Genome(Environment("factor", 0.7), "cluster"), (0, 2, 1))
    assert live_clusters(child) < live_clusters(parent)
    assert child.masks == {}


def test_a_weight_of_zero_is_never_inherited() -> None:
    """Restricted precision rounds weak synapses to zero; those die with certainty."""
    parent = lenet()
    weight = parent.module.get_parameter("fc1.weight").data
    weight[weight.abs() < weight.abs().median()] = 0
    child = synthesize([parent], Genome(Environment("factor", 1.0), "synapse"), (0, 2, 1))
    assert not child.masks["fc1.weight"][weight == 0].any()


def test_strength_counts_for_more_under_pressure() -> None:
    parent = lenet()
    kept = []
    for pressure in (0.0, 1.0, 8.0, 1e6):
        genome = Genome(Environment("synapses", 0.3), "synapse", pressure)
        child = synthesize([parent], genome, (0, 2, 1))
        kept.append(float(child.module.get_parameter("fc1.weight").detach().abs().sum()))
    assert kept == sorted(kept)
    assert kept[-1] > 1.3 * kept[0]


def test_a_synthesis_is_quick() -> None:
    parent = lenet()
    synthesize([parent], HALF, (0, 2, 1))
    times = []
    for seed in range(3):
        started = time.process_time()
        synthesize([parent], Genome(parse_environment("synapses=0.3,clusters=0.9")), (seed, 2, 1))
        times.append(time.process_time() - started)
    assert min(times) < 0.3


def test_a_network_without_layers_to_narrow_is_refused() -> None:
    parent = network(Plain)
    parent.module = nn.Sequential(nn.Flatten(), nn.ReLU())
    with pytest.raises(UserError, match="no convolution or linear layer"):
        synthesize([parent], HALF, (0, 2, 1))
