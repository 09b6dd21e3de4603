"""One synthesis: draws an offspring from its parents' genetic encoding.

Clusters are drawn first; then the synapses of the survivors are drawn (arXiv:1609.01360). Weights
are inherited. A masked synapse never comes back. What is dead is then removed physically, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from edgesynth.core.errors import UserError, nearest
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, trace_channels
from edgesynth.synthesis.dense import COUNTED, DenseCost
from edgesynth.synthesis.draw import Draw
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genes import Flags
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.mating import unite
from edgesynth.synthesis.shrink import cut_out, shrink

Cost = Callable[[Network], float]


def synthesize(
    parents: Sequence[Network],
    genome: Genome,
    seed: tuple[int, ...],
    costs: Mapping[str, Cost] | None = None,
    *,
    whole: Network | None = None,
) -> Network:
    """An untrained offspring of one or two `parents`; the same `seed` gives the same offspring.

    `costs` gives the costs that budgets name beside `synapses`, `params` and `macs`, such as
    `latency@tx2`. A budget is a share of the first parent's cost, for synapses of those of `whole`
    where that is given: the first parent before its weights were put on the offspring's grid, so
    that what the grid makes zero is part of what the budget takes. Neurons that are left without
    any synapse leave as well, so that an offspring may keep a little less.

    Raises UserError when there is nothing to synthesize from, a budget has no cost or cannot be
    met, or two parents do not share their architecture.
    """
    body, carriers = unite(parents)
    channels = trace_channels(body.module, body.example_input(2))
    before = live_synapses(whole or parents[0])
    masks, gone = _choose(parents, body, carriers, channels, genome, seed, costs, before)
    child = shrink(Network(body.module, body.description, body.masks | masks), channels, gone)
    child.masks = {name: mask for name, mask in child.masks.items() if not mask.all()}
    return child


def doomed(
    network: Network,
    channels: ChannelMap,
    genome: Genome,
    seed: tuple[int, ...],
    costs: Mapping[str, Cost] | None = None,
) -> tuple[dict[str, torch.Tensor], list[int]]:
    """(masks by parameter, clusters that die): what `synthesize` would leave of `network`, which
    stays as it is. `channels` are those of the network."""
    before = live_synapses(network)
    return _choose([network], network, [network], channels, genome, seed, costs, before)


def _choose(
    parents: Sequence[Network],
    body: Network,
    carriers: Sequence[Network],
    channels: ChannelMap,
    genome: Genome,
    seed: tuple[int, ...],
    costs: Mapping[str, Cost] | None,
    before: int,
) -> tuple[dict[str, torch.Tensor], list[int]]:
    """`before`: the synapses that a budget of them is a share of."""
    if not channels.outputs:
        raise UserError(f"{body.name} has no convolution or linear layer to synthesize from")
    draw = Draw(body, carriers, channels, genome, seed)
    if genome.environment.physical:
        cost, whole = _budget(draw, parents[0], body, channels, genome.environment, costs or {})
        dead = draw.clusters_within(cost, genome.environment.value * whole)
    else:
        dead = draw.clusters(before)
    return draw.synapses(dead, before)


def _budget(
    draw: Draw,
    parent: Network,
    body: Network,
    channels: ChannelMap,
    environment: Environment,
    costs: Mapping[str, Cost],
) -> tuple[Callable[[Flags], float], float]:
    """(what is left of the budget's cost when some clusters of `body` die, the parent's cost)."""
    kind = environment.kind
    if kind in costs:
        cost = costs[kind]
        return lambda dead: cost(cut_out(body, channels, np.flatnonzero(dead).tolist())), cost(
            parent
        )
    if kind not in COUNTED:
        raise UserError(
            f'environment "{environment.text}": nothing here says what {kind} costs; '
            f"{nearest(kind, sorted({*COUNTED, *costs}))}"
        )
    dense = DenseCost(body, channels, draw.genes)
    own = getattr(count(parent.module, parent.description.input_shape), kind)
    return lambda dead: dense.of(kind, dead), float(own)


def live_synapses(network: Network) -> int:
    """Weights of convolutions and linear layers that are not masked."""
    channels = trace_channels(network.module, network.example_input(2))
    total = 0
    for name in channels.outputs:
        mask = network.masks.get(f"{name}.weight")
        weight = network.module.get_submodule(name).get_parameter("weight")
        total += weight.numel() if mask is None else int(mask.sum())
    return total


def live_clusters(network: Network) -> int:
    """Output channels and neurons of convolutions and linear layers."""
    channels = trace_channels(network.module, network.example_input(2))
    return sum(len(outputs) for outputs in channels.outputs.values())
