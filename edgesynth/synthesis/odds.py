"""How likely every gene of a network is to survive the next synthesis, without drawing it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap
from edgesynth.synthesis.draw import SIDES
from edgesynth.synthesis.environment import FACTOR
from edgesynth.synthesis.genes import Genes, cluster_strengths, genes_of
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.shares import OUTPUT_SHARE, Shares
from edgesynth.synthesis.survival import Array, chances, factor_for, log_survival

Chances = npt.NDArray[np.float32]
_SAMPLED = 1 << 12
"""Genes of one layer that a budget's factor is solved for; more would change nothing."""


@dataclass(frozen=True)
class Odds:
    """Probabilities of survival."""

    clusters: Chances | None
    """By cluster; 1 for those that are never removed. None where clusters are not drawn."""
    synapses: dict[str, Chances]
    """By layer, in the shape of its weight; layers that keep all are left out."""


def odds_of(network: Network, channels: ChannelMap, genome: Genome) -> Odds:
    """The odds of `network` as it is now. Budgets are taken at the share they ask for, spread over
    the layers as the draw does; costs are not solved for."""
    genes = genes_of(network, channels)
    shares = Shares(genes, channels, genome.environment)
    clusters = None if genome.encoding == "synapse" else _clusters(genes, channels, genome, shares)
    synapses: dict[str, Chances] = {}
    if genome.encoding != "cluster":
        for name in genes:
            odds = _synapses(genes, name, genome, shares)
            if odds is not None:
                synapses[name] = odds
    return Odds(clusters, synapses)


def _clusters(genes: Genes, channels: ChannelMap, genome: Genome, shares: Shares) -> Chances:
    environment = genome.environment
    odds = np.ones(channels.size, dtype=np.float32)
    for layers, labels in channels.families():
        strengths = cluster_strengths(genes, layers, labels)
        survival = log_survival(strengths, genome.pressure)
        own = shares.own_of(layers)
        if environment.kind == FACTOR:
            factor = math.log(own or environment.clusters or environment.value)
        else:
            share = shares.of_layers(layers, environment.value) ** SIDES
            share = share if own or environment.clusters is None else environment.clusters
            factor = factor_for(survival, share)
        odds[labels] = chances(survival, factor)
    return odds


def _synapses(genes: Genes, name: str, genome: Genome, shares: Shares) -> Chances | None:
    """None for a layer that keeps all, as far as its share says."""
    environment, own = genome.environment, shares.own(name)
    share = None
    if environment.kind != FACTOR:
        share = _left_to_synapses(genome, own or shares.of_layer(name, environment.value))
    elif shares.is_protected(name) and own is None:
        share = max(OUTPUT_SHARE, environment.value)
    if share is not None and share >= 1:
        return None
    synapses = genes[name]
    survival = log_survival(synapses.strength * synapses.live, genome.pressure)
    if share is None:
        factor = math.log(own or environment.value)
    else:
        live = survival[synapses.live]
        factor = factor_for(live[:: -(-live.size // _SAMPLED)], share) if live.size else 0.0
    odds: Array = chances(survival, factor)
    return np.ascontiguousarray(synapses.in_weight_shape(odds), dtype=np.float32)


def _left_to_synapses(genome: Genome, share: float) -> float:
    """The share of the survivors' synapses that lives, when clusters have taken their part."""
    environment = genome.environment
    if genome.encoding == "synapse":
        return share
    if environment.physical:
        return min(1.0, (environment.synapses or environment.value) / environment.value)
    taken = share if environment.clusters is None else environment.clusters ** (1 / SIDES)
    return min(1.0, share / taken)
