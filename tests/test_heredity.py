"""One synthesis: seeded, inherited, and true to the environment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.heredity import (
    _draw_synapses,
    _generator,
    live_clusters,
    live_synapses,
    synthesize,
)
from small_networks import ALL, Mobile, Plain, Residual, network

HALF = Environment("budget", 0.5)
PAPER = Environment("factor", 0.7)


def lenet(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return resolve("lenet5")


@pytest.mark.parametrize("environment", [HALF, PAPER])
def test_same_seed_same_offspring(environment: Environment) -> None:
    parent = network(Residual)
    first, again = (synthesize(parent, environment, (7, 2, 1)) for _ in range(2))
    other = synthesize(parent, environment, (7, 2, 2))
    assert first.description == again.description
    assert all(torch.equal(again.masks[name], mask) for name, mask in first.masks.items())
    state = again.module.state_dict()
    assert all(torch.equal(state[name], t) for name, t in first.module.state_dict().items())
    assert first.description != other.description


def test_a_budget_of_half_keeps_half_of_the_synapses() -> None:
    parent = lenet()
    shares = []
    for seed in range(6):
        child = synthesize(parent, HALF, (seed, 2, 1))
        shares.append(live_synapses(child) / live_synapses(parent))
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)


def test_weights_are_inherited() -> None:
    parent = lenet()
    child = synthesize(parent, HALF, (0, 2, 1))
    kept = child.description.kept["conv1"].outputs
    assert kept is not None
    first = int(kept.replace("-", ",").split(",")[0])
    inherited = child.module.get_parameter("conv1.weight")[0]
    original = parent.module.get_parameter("conv1.weight")[first]
    mask = child.masks.get("conv1.weight")
    expected = original if mask is None else original * mask[0]
    assert torch.equal(inherited, expected)


@pytest.mark.parametrize("kind", ALL)
def test_the_outputs_stay_and_the_masked_stay_dead_over_generations(kind: type[nn.Module]) -> None:
    parent = network(kind)
    live = live_synapses(parent)
    for generation in range(2, 6):
        child = synthesize(parent, PAPER, (1, generation, 1))
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
        child = synthesize(parent, PAPER, (seed, 2, 1))
        shares.append(float(child.masks["f2.weight"].float().mean()))
    assert np.mean(shares) == pytest.approx(0.8, abs=0.04)  # not the 0.4 that the factor would


def test_no_neuron_is_left_without_a_synapse_in_or_out() -> None:
    parent = network(Mobile, 2)
    for seed in range(10):
        child = synthesize(parent, Environment("factor", 0.4), (seed, 2, 1))
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
    """Synapse retention is 0.7 * mean(exp(|w|/Z - 1)) within 3 binomial standard deviations."""
    parent = network(Plain)
    weight = parent.module.get_parameter("f1.weight").detach()
    torch.nn.init.normal_(weight)
    expected = 0.7 * torch.exp(weight.abs() / weight.abs().max() - 1).numpy()
    kept = []
    for seed in range(20):
        child = Network(parent.module, parent.description)
        before = weight.clone()
        _draw_synapses(child, "f1", PAPER, _generator((seed,), "f1"))
        parent.module.get_parameter("f1.weight").data.copy_(before)
        kept.append(float(child.masks["f1.weight"].float().mean()))
    deviation = np.sqrt((expected * (1 - expected)).sum()) / expected.size / np.sqrt(20)
    assert np.mean(kept) == pytest.approx(expected.mean(), abs=3 * deviation)
    assert 0.7 / np.e <= np.mean(kept) <= 0.4


def test_a_network_without_layers_to_narrow_is_refused() -> None:
    parent = network(Plain)
    parent.module = nn.Sequential(nn.Flatten(), nn.ReLU())
    with pytest.raises(UserError, match="no convolution or linear layer"):
        synthesize(parent, HALF, (0, 2, 1))
