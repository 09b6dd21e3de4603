"""The baselines: what others would do with the same ancestor and the same training.

Each takes its size from a rival of edgesynth, so that at every generation both are equally small.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, trace_channels
from edgesynth.synthesis.genes import genes_of, isolated, links_of
from edgesynth.synthesis.heredity import live_synapses
from edgesynth.synthesis.shrink import cut_out, shrink
from edgesynth.workflows.reproduce.rival import Scene

_HALVINGS = 12
_RATIOS = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98)
"""Tried in turn; a layer that would lose everything is left whole by the library."""


Masks = dict[str, torch.Tensor]


def magnitude(scene: Scene) -> Network:
    """The strongest synapses of the whole network live: torch's own `prune.global_unstructured`
    with `L1Unstructured`. Neurons that are left without a synapse leave."""

    def choose(keep: int) -> Masks:
        module = copy.deepcopy(scene.parent.module)
        layers = {name: module.get_submodule(name) for name in _channels(scene.parent).outputs}
        total = sum(layer.get_parameter("weight").numel() for layer in layers.values())
        places = [(layer, "weight") for layer in layers.values()]
        prune.global_unstructured(places, prune.L1Unstructured, amount=total - keep)
        return {n: layer.get_buffer("weight_mask").bool() for n, layer in layers.items()}

    return _to_goal(scene, choose)


def nncf_magnitude(scene: Scene) -> Network:
    """The same, chosen by NNCF's `prune` in its mode UNSTRUCTURED_MAGNITUDE_GLOBAL, which ranks
    weights relative to the norm of their layer."""
    import nncf
    from nncf.torch.function_hook.pruning.magnitude.algo import get_pruned_modules

    weights = {f"{name}.weight": name for name in _channels(scene.parent).outputs}
    total = sum(scene.parent.module.get_parameter(weight).numel() for weight in weights)

    def choose(keep: int) -> Masks:
        pruned = nncf.prune(
            copy.deepcopy(scene.parent.module),
            mode=nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_GLOBAL,
            ratio=1 - keep / total,
            examples_inputs=scene.parent.example_input(2),
        )
        hooks = get_pruned_modules(pruned)
        return {weights[key]: hook.binary_mask for key, hook in hooks.items() if key in weights}

    return _to_goal(scene, choose)


def _to_goal(scene: Scene, choose: Callable[[int], Masks]) -> Network:
    """The network with as many synapses as the goal, when neurons without any have left.

    `choose` says which synapses live when so many are kept; the number is found by bisection,
    because those that lead nowhere are no use and leave with their neuron.
    """
    parent, channels, goal = scene.parent, _channels(scene.parent), _goal(scene)
    low, high = goal, live_synapses(parent)
    best = _masked(parent, channels, choose(min(low, high)))
    while live_synapses(best) < 0.995 * goal and high - low > 1:
        middle = (low + high) // 2
        tried = _masked(parent, channels, choose(middle))
        if live_synapses(tried) <= goal:
            low, best = middle, tried
        else:
            high = middle
    return best


def torch_pruning(*, whole_network: bool) -> Callable[[Scene], Network]:
    """Structural pruning by group magnitude (torch-pruning, arXiv:2301.12900) to at most
    `scene.goal` dense parameters, the ratio found by bisection.

    Every layer gives up the same share of its channels, the library's default, or with
    `whole_network` the weakest of the whole network leave.
    """

    def draw(scene: Scene) -> Network:
        network, channels, goal = scene.parent, _channels(scene.parent), _goal(scene)
        shape = network.description.input_shape

        def params(dead: set[int]) -> int:
            return count(cut_out(network, channels, dead).module, shape).params

        low = high = 0.0
        dead: set[int] = set()
        for high in _RATIOS:
            dead = _weakest(network, channels, high, whole_network)
            if params(dead) <= goal:
                break
            low = high
        else:
            raise UserError(f"torch-pruning does not get down to {goal:,} parameters")
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            tried = _weakest(network, channels, middle, whole_network)
            if params(tried) <= goal:
                high, dead = middle, tried
            else:
                low = middle
        return shrink(network, channels, dead)

    return draw


def _weakest(network: Network, channels: ChannelMap, ratio: float, whole_network: bool) -> set[int]:
    """The clusters that torch-pruning removes."""
    import torch_pruning as tp

    module = copy.deepcopy(network.module)
    names = {layer: name for name, layer in module.named_modules()}
    classifier = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1:]
    pruner = tp.pruner.BasePruner(
        module,
        network.example_input(),
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        max_pruning_ratio=1.0,
        global_pruning=whole_network,
        ignored_layers=classifier,
    )
    dead: set[int] = set()
    for group in pruner.step(interactive=True):
        for dependency, indices in group:
            name = names.get(dependency.target.module)  # None for what is no layer, such as ReLU
            if name in channels.outputs and pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                dead.update(channels.outputs[name][list(indices)].tolist())
    return dead


def _channels(network: Network) -> ChannelMap:
    return trace_channels(network.module, network.example_input(2))


def _goal(scene: Scene) -> int:
    if scene.goal is None:
        raise UserError("a baseline needs a size to reach")
    return scene.goal


def _masked(parent: Network, channels: ChannelMap, chosen: Masks) -> Network:
    """`parent` with the synapses in `chosen`, by layer, that it had itself, without the clusters
    that have no synapse left on one side."""
    masks = {}
    for name, live in chosen.items():
        own = parent.masks.get(f"{name}.weight")
        masks[f"{name}.weight"] = live if own is None else live & own
    masked = Network(copy.deepcopy(parent.module), parent.description, masks)
    masked.apply_masks()
    return shrink(masked, channels, _isolated(masked, channels))


def _isolated(network: Network, channels: ChannelMap) -> list[int]:
    """Clusters that nothing enters or nothing leaves, as long as their layer keeps any."""
    genes = genes_of(network, channels)
    links = links_of({name: synapses.live for name, synapses in genes.items()})
    dead = np.zeros(channels.size, dtype=bool)
    while True:
        alone, before = isolated(genes, links, dead), dead.copy()
        for _, labels in channels.families():
            gone = dead[labels] | alone[labels]
            if not gone.all():
                dead[labels] = gone
        if (dead == before).all():
            found: list[int] = np.flatnonzero(dead).tolist()
            return found
