"""One synthesis: draws an offspring from its parent's genetic encoding.

Clusters are drawn first and the dead ones are removed; then the synapses of the survivors are
drawn (arXiv:1609.01360). Weights are inherited. A masked synapse never comes back.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import torch

from edgesynth.core.errors import UserError
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, Labels, trace_channels
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.shrink import shrink
from edgesynth.synthesis.survival import (
    Array,
    cluster_survival,
    synapse_survival,
    truncated,
    with_budget,
    with_factor,
)

OUTPUT_SHARE = 0.8
"""Share of the classifier's synapses that one synthesis keeps at least."""


def synthesize(parent: Network, environment: Environment, seed: tuple[int, ...]) -> Network:
    """An untrained offspring of `parent`; the same `seed` gives the same offspring.

    Raises UserError when the network has no cluster that can be removed.
    """
    channels = trace_channels(parent.module, parent.example_input(2))
    if not channels.outputs:
        raise UserError(f"{parent.name} has no convolution or linear layer to synthesize from")
    child = shrink(parent, channels, _dying_clusters(parent, channels, environment, seed))
    synapses = _synapse_environment(parent, child, environment)
    channels = trace_channels(child.module, child.example_input(2))
    for name, outputs in channels.outputs.items():
        local = synapses
        if np.isin(outputs, list(channels.frozen)).any():
            local = Environment("budget", max(OUTPUT_SHARE, synapses.value))
        _draw_synapses(child, name, local, _generator(seed, name))
    return _without_isolated(child)


def live_synapses(network: Network) -> int:
    """Weights of convolutions and linear layers that are not masked."""
    channels = trace_channels(network.module, network.example_input(2))
    return sum(int(_mask(network, name).sum()) for name in channels.outputs)


def live_clusters(network: Network) -> int:
    """Output channels and neurons of convolutions and linear layers."""
    channels = trace_channels(network.module, network.example_input(2))
    return sum(len(outputs) for outputs in channels.outputs.values())


def _generator(seed: tuple[int, ...], layer: str) -> np.random.Generator:
    """One generator per (run, generation, offspring, layer): draws do not shift each other."""
    return np.random.default_rng([*seed, zlib.crc32(layer.encode())])


def _dying_clusters(
    parent: Network, channels: ChannelMap, environment: Environment, seed: tuple[int, ...]
) -> set[int]:
    dead: set[int] = set()
    for layers, labels in channels.families():
        strengths = _strengths(parent, channels, layers, labels)
        chance = _chance(cluster_survival(strengths), _cluster_environment(environment))
        draws = _generator(seed, "+".join(layers)).random(len(labels))
        lives = draws <= chance
        lives[strengths.argmax()] = True  # a layer without any cluster would cut the network
        dead.update(labels[~lives].tolist())
    return dead


def _cluster_environment(environment: Environment) -> Environment:
    """A layer narrows on its input and its output side, so each takes the root of a budget."""
    if environment.kind == "factor":
        return environment
    return Environment("budget", environment.value**0.5)


def _strengths(
    network: Network, channels: ChannelMap, layers: tuple[str, ...], labels: Labels
) -> Array:
    """Summed truncated strength of each cluster in `labels` over all its filters."""
    total = np.zeros(int(labels.max()) + 1)
    for name in layers:
        rows = truncated(_rows(network, name)).sum(axis=1)
        mine = np.isin(channels.outputs[name], labels)
        np.add.at(total, channels.outputs[name][mine], rows[mine])
    return total[labels]


def _rows(network: Network, layer: str) -> npt.NDArray[np.float32]:
    """The layer's weights with one row per output channel, shape (outputs, synapses)."""
    module = network.module.get_submodule(layer)
    weight = module.get_parameter("weight").detach()
    if isinstance(module, torch.nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    rows: npt.NDArray[np.float32] = weight.reshape(len(weight), -1).numpy()
    return rows


def _synapse_environment(parent: Network, child: Network, environment: Environment) -> Environment:
    """What of the budget is left for the synapses of the surviving clusters."""
    if environment.kind == "factor":
        return environment
    left = environment.value * live_synapses(parent) / live_synapses(child)
    return Environment("budget", min(1.0, left))


def _mask(network: Network, layer: str) -> torch.Tensor:
    weight = network.module.get_submodule(layer).get_parameter("weight")
    return network.masks.get(f"{layer}.weight", torch.ones_like(weight, dtype=torch.bool))


def _draw_synapses(
    child: Network, layer: str, environment: Environment, generator: np.random.Generator
) -> None:
    """Mask the synapses of `layer` that do not survive; survival is relative to the live ones."""
    if environment == Environment("budget", 1.0):
        return
    weight = child.module.get_submodule(layer).get_parameter("weight").detach()
    mask = _mask(child, layer).clone()
    survival = synapse_survival(weight[mask].numpy())
    chance = _chance(survival, environment)
    mask[mask.clone()] = torch.from_numpy(generator.random(len(survival)) <= chance)
    child.masks[f"{layer}.weight"] = mask
    child.apply_masks()


def _chance(survival: Array, environment: Environment) -> Array:
    """The environment's say on the probabilities of survival."""
    rule = with_factor if environment.kind == "factor" else with_budget
    return rule(survival, environment.value)


def _without_isolated(child: Network) -> Network:
    """Remove neurons that are left with no synapse in or no synapse out, until none is."""
    while True:
        channels = trace_channels(child.module, child.example_input(2))
        isolated = _isolated(child, channels)
        if not isolated:
            return child
        child = shrink(child, channels, isolated)


def _isolated(network: Network, channels: ChannelMap) -> set[int]:
    """Clusters that no living synapse enters, or that none leaves."""
    hearing: set[int] = set()
    heard: set[int] = set()
    for name, outputs in channels.outputs.items():
        groups = int(getattr(network.module.get_submodule(name), "groups", 1))
        live = _rows(network, name) != 0  # masked weights are exactly zero
        hearing.update(outputs[live.any(axis=1)].tolist())
        inputs = channels.inputs[name]
        per_input = live.reshape(groups, len(outputs) // groups, len(inputs) // groups, -1)
        heard.update(inputs[per_input.any(axis=(1, 3)).ravel()].tolist())
    isolated: set[int] = set()
    for _layers, labels in channels.families():
        alone = [label for label in labels.tolist() if label not in hearing & heard]
        if len(alone) == len(labels):
            alone.pop()  # an empty layer would cut the network
        isolated.update(alone)
    return isolated
