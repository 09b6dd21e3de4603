"""The baselines: what others would do with the same ancestor and the same training.

Each takes its size from a rival of edgesynth, so that at every generation both are equally small.
"""

from __future__ import annotations

import copy
import warnings
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
from edgesynth.synthesis.shrink import cut_out, shrink
from edgesynth.workflows.reproduce.rival import Scene

_HALVINGS = 20


def magnitude(scene: Scene) -> Network:
    """The `scene.goal` strongest synapses of the whole network live: torch's own
    `prune.global_unstructured` with `L1Unstructured`. Neurons without a synapse leave."""
    parent, channels = scene.parent, _channels(scene.parent)
    module = copy.deepcopy(parent.module)
    layers = [(module.get_submodule(name), "weight") for name in channels.outputs]
    total = sum(layer.get_parameter(name).numel() for layer, name in layers)
    culled = max(0, total - _goal(scene))
    prune.global_unstructured(layers, prune.L1Unstructured, amount=culled)
    masks = {
        f"{name}.weight": module.get_submodule(name).get_buffer("weight_mask").bool()
        for name in channels.outputs
    }
    return _masked(parent, channels, masks)


def nncf_magnitude(scene: Scene) -> Network:
    """The same choice made by NNCF's `prune`, mode UNSTRUCTURED_MAGNITUDE_GLOBAL, which ranks
    weights relative to the norm of their layer."""
    import nncf
    from nncf.torch import strip

    parent, channels = scene.parent, _channels(scene.parent)
    weights = [parent.module.get_submodule(n).get_parameter("weight") for n in channels.outputs]
    ratio = 1 - _goal(scene) / sum(weight.numel() for weight in weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pruned = nncf.prune(
            copy.deepcopy(parent.module),
            nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_GLOBAL,
            max(0.0, ratio),
            examples_inputs=parent.example_input(2),
        )
        module = strip(pruned, do_copy=True, strip_format=nncf.StripFormat.IN_PLACE)
    masks = {
        f"{name}.weight": module.get_submodule(name).get_parameter("weight").detach() != 0
        for name in channels.outputs
    }
    return _masked(parent, channels, masks)


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

        low, high = 0.0, 1.0
        dead = _weakest(network, channels, high, whole_network)
        if params(dead) > goal:
            raise UserError(f"torch-pruning cannot reach {goal:,} parameters; stop earlier")
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
            name = names[dependency.target.module]
            if name in channels.outputs and pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                dead.update(channels.outputs[name][list(indices)].tolist())
    return dead


def _channels(network: Network) -> ChannelMap:
    return trace_channels(network.module, network.example_input(2))


def _goal(scene: Scene) -> int:
    if scene.goal is None:
        raise UserError("a baseline needs a size to reach")
    return scene.goal


def _masked(parent: Network, channels: ChannelMap, masks: dict[str, torch.Tensor]) -> Network:
    """`parent` with `masks`, without the clusters that have no synapse left on one side."""
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
