"""The draw of one offspring: chance and strength decide who lives, the environment how many.

Every gene's random number is drawn once, from (seed, layer) alone. How hard the environment is
only moves the cut through the hardiness of the genes, so the living of a harder environment are
among those of a gentler one, and a budget is met by moving the cut.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from edgesynth.networks.network import Network
from edgesynth.synthesis.budget import largest_share
from edgesynth.synthesis.channels import ChannelMap, Labels
from edgesynth.synthesis.environment import FACTOR
from edgesynth.synthesis.genes import (
    Flags,
    cluster_strengths,
    genes_of,
    isolated,
    links_of,
)
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.rounding import cluster_multiple, revive
from edgesynth.synthesis.shares import OUTPUT_SHARE, Shares
from edgesynth.synthesis.survival import Array, hardiest, hardiness, log_survival, mixed

SIDES = 0.5
"""A layer narrows on its input and its output side, so each side takes the root of a budget."""
HARSHEST = 0.5
"""Of a layer's even share: what a layer keeps at least when protected layers keep more."""


@dataclass(frozen=True)
class _Family:
    """Clusters that compete with each other."""

    layers: tuple[str, ...]
    labels: Labels
    strengths: Array
    hardy: Array
    multiple: int


class Draw:
    """One draw among the genes of `body`; `carriers` say how strong they are, each in its own
    network of the same structure."""

    def __init__(
        self,
        body: Network,
        carriers: Sequence[Network],
        channels: ChannelMap,
        genome: Genome,
        seed: tuple[int, ...],
    ) -> None:
        self._channels = channels
        self._genome = genome
        self._seed = seed
        self.genes = genes_of(body, channels)
        self._carriers = [
            self.genes if carrier is body else genes_of(carrier, channels) for carrier in carriers
        ]
        self._shares = Shares(self.genes, channels, genome.environment)

    def clusters(self, parent_synapses: int) -> Flags:
        """Which clusters die under a factor or a budget of synapses, by cluster."""
        genome, environment = self._genome, self._genome.environment
        if genome.encoding == "synapse":
            return np.zeros(self._channels.size, dtype=bool)
        if environment.kind == FACTOR:
            return self._dead(self._under_factor)
        links = {name: synapses.live.sum(axis=3) for name, synapses in self.genes.items()}

        def left(share: float) -> int:
            dead = self._under_share(share)
            return sum(
                int((links[name] * synapses.reached(dead)).sum())
                for name, synapses in self.genes.items()
            )

        limit, common = environment.value * parent_synapses, environment.value
        too_few = left(common) < limit and environment.clusters is None
        if genome.encoding == "cluster" or too_few:  # else the draw of synapses does the rest
            common = largest_share(left, limit, f'budget "{environment.text}"')
        return self._under_share(common)

    def clusters_within(self, cost: Callable[[Flags], float], limit: float) -> Flags:
        """Which clusters die so that what is left costs at most `limit`, by cluster.

        `cost` is told which clusters die.
        """
        known: dict[bytes, float] = {}

        def cost_of(share: float) -> float:
            dead = self._under_share(share)
            key = dead.tobytes()
            if key not in known:
                known[key] = cost(dead)
            return known[key]

        budget = f'budget "{self._genome.environment.text}"'
        return self._under_share(largest_share(cost_of, limit, budget))

    def synapses(
        self, dead: Flags, parent_synapses: int
    ) -> tuple[dict[str, torch.Tensor], list[int]]:
        """(masks by parameter, clusters that die), drawn among the synapses that `dead` leaves.

        Clusters that are left without a living synapse on one side die as well.
        """
        live = {
            name: synapses.live & synapses.reached(dead)[..., None]
            for name, synapses in self.genes.items()
        }
        masks: dict[str, torch.Tensor] = {}
        if self._genome.encoding != "cluster":
            cuts = self._cuts(live, parent_synapses)
            for name, cut in cuts.items():
                live[name] = self._draw_layer(name, live[name], cut)
                mask = self.genes[name].in_weight_shape(live[name])
                masks[f"{name}.weight"] = torch.from_numpy(mask).contiguous()
        return masks, np.flatnonzero(self._without_isolated(dead, links_of(live))).tolist()

    @cached_property
    def _families(self) -> list[_Family]:
        families = []
        for layers, labels in self._channels.families():
            found = []
            for genes in self._carriers:
                strengths = cluster_strengths(genes, layers, labels)
                survival = log_survival(strengths, self._genome.pressure)
                alone = len(self._carriers) == 1
                found.append(survival if alone else np.where(strengths > 0, survival, -np.inf))
            survival = mixed(found)
            hardy = hardiness(survival, self._generator("+".join(layers)))
            multiple = cluster_multiple(self._channels, layers, labels, self._genome.round_to)
            families.append(_Family(layers, labels, survival, hardy, multiple))
        return families

    def _generator(self, layer: str) -> np.random.Generator:
        """One generator per (run, generation, offspring, layer): draws do not shift each other."""
        return np.random.default_rng([*self._seed, zlib.crc32(layer.encode())])

    def _dead(self, living: Callable[[_Family], Flags]) -> Flags:
        dead = np.zeros(self._channels.size, dtype=bool)
        for family in self._families:
            lives = revive(living(family), family.strengths, family.multiple)
            dead[family.labels[~lives]] = True
        return dead

    def _under_factor(self, family: _Family) -> Flags:
        environment = self._genome.environment
        own = self._shares.own_of(family.layers)
        factor = own or environment.clusters or environment.value
        return np.asarray(family.hardy >= -math.log(factor))

    def _under_share(self, common: float) -> Flags:
        def living(family: _Family) -> Flags:
            share = self._shares.of_layers(family.layers, common) ** SIDES
            if self._genome.environment.clusters and not self._shares.own_of(family.layers):
                share = self._genome.environment.clusters
            return hardiest(family.hardy, round(share * family.hardy.size))

        return self._dead(living)

    def _cuts(self, live: dict[str, Flags], parent_synapses: int) -> dict[str, tuple[str, float]]:
        """("factor" or "share", its value) for the synapses of every layer that are drawn."""
        environment, shares = self._genome.environment, self._shares
        if environment.kind == FACTOR:
            return {
                name: ("share", max(OUTPUT_SHARE, environment.value))
                if shares.is_protected(name) and shares.own(name) is None
                else (FACTOR, shares.own(name) or environment.value)
                for name in live
            }
        value = environment.synapses or environment.value
        sizes = {name: int(flags.sum()) for name, flags in live.items()}
        limit = value * parent_synapses

        def share_of(name: str, common: float) -> float:
            own = shares.own(name)
            if own is None:
                return shares.of_layer(name, common)
            return min(1.0, own * int(self.genes[name].live.sum()) / max(1, sizes[name]))

        def left(common: float) -> float:
            return sum(round(share_of(name, common) * size) for name, size in sizes.items())

        if sum(sizes.values()) <= limit:
            return {}
        least = HARSHEST * limit / sum(sizes.values())  # the others do not pay for the classifier
        common = least if left(least) > limit else largest_share(left, limit, environment.text)
        return {name: ("share", share_of(name, common)) for name in live}

    def _draw_layer(self, name: str, live: Flags, cut: tuple[str, float]) -> Flags:
        """Which of the `live` synapses of a layer are inherited."""
        kind, value = cut
        if kind == "share" and value >= 1.0:
            return live
        found = []
        for genes in self._carriers:
            strength = np.where(genes[name].live, genes[name].strength, 0)[live]
            survival = log_survival(strength, self._genome.pressure)
            found.append(np.where(strength > 0, survival, -np.inf))
        hardy = hardiness(mixed(found), self._generator(name))
        drawn = live.copy()
        if kind == FACTOR:
            drawn[live] = hardy >= -math.log(value)
        else:
            drawn[live] = hardiest(hardy, max(1, round(value * hardy.size)))
        return drawn

    def _without_isolated(self, dead: Flags, links: dict[str, Flags]) -> Flags:
        """`dead` and the clusters that are left without a synapse in or out, until none is."""
        while True:
            alone = isolated(self.genes, links, dead)
            more = dead.copy()
            for family in self._families:
                here = ~dead[family.labels]
                lives = ~alone[family.labels[here]]
                lives = revive(lives, family.strengths[here], family.multiple)
                more[family.labels[here][~lives]] = True
            if (more == dead).all():
                return dead
            dead = more
