"""One synthesis: draws an offspring from its parents' genetic encoding.

Clusters are drawn first; then the synapses of the survivors are drawn (arXiv:1609.01360). Weights
are inherited. A masked synapse never comes back. What is dead is then removed physically, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgesynth.core.errors import UserError, nearest
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.draw import Draw
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genes import Flags
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.mating import unite
from edgesynth.synthesis.shrink import shrink
from edgesynth.synthesis.skeleton import skeleton

Cost = Callable[[Network], float]


def synthesize(
    parents: Sequence[Network],
    genome: Genome,
    seed: tuple[int, ...],
    costs: Mapping[str, Cost] | None = None,
) -> Network:
    """An untrained offspring of one or two `parents`; the same `seed` gives the same offspring.

    `costs` gives the costs that budgets name beside `synapses`, `params` and `macs`, such as
    `latency@tx2`. A budget is a share of the first parent's cost; neurons that are left without any
    synapse leave as well, so that an offspring may keep a little less.

    Raises UserError when there is nothing to synthesize from, a budget has no cost or cannot be
    met, or two parents do not share their architecture.
    """
    body, carriers = unite(parents)
    channels = trace_channels(body.module, body.example_input(2))
    if not channels.outputs:
        raise UserError(f"{body.name} has no convolution or linear layer to synthesize from")
    draw = Draw(body, carriers, channels, genome, seed)
    before = live_synapses(parents[0])
    if genome.environment.physical:
        dead = _within_budget(draw, parents[0], body, genome.environment, costs or {})
    else:
        dead = draw.clusters(before)
    masks, gone = draw.synapses(dead, before)
    return shrink(Network(body.module, body.description, body.masks | masks), channels, gone)


def _within_budget(
    draw: Draw,
    parent: Network,
    body: Network,
    environment: Environment,
    costs: Mapping[str, Cost],
) -> Flags:
    """Which clusters die so that the offspring keeps its share of the parent's cost."""
    known = {**_COUNTED, **costs}
    if environment.kind not in known:
        raise UserError(
            f'environment "{environment.text}": nothing here says what {environment.kind} costs; '
            f"{nearest(environment.kind, sorted(known))}"
        )
    cost = known[environment.kind]
    limit = environment.value * cost(parent)
    if cost in _COUNTED.values():  # looks at shapes only
        body = Network(skeleton(body.module), body.description)
    return draw.clusters_within(cost, limit, body)


_COUNTED: Mapping[str, Cost] = {
    "params": lambda network: count(network.module, network.description.input_shape).params,
    "macs": lambda network: count(network.module, network.description.input_shape).macs,
}


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
