"""How a budget is spread over the layers.

By default every layer keeps the same share. Where layers compete, one cut goes through the
strengths of all of them, each measured against its own layer, so that over-parameterised layers
give up more. Layers with a share of their own keep it either way.
"""

from __future__ import annotations

import numpy as np

from edgesynth.synthesis.channels import ChannelMap
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genes import Genes
from edgesynth.synthesis.survival import Array

OUTPUT_SHARE = 0.8
"""Share of the classifier's synapses that one synthesis keeps at least."""
FLOOR = 0.3
"""Of the common share: what a competing layer keeps at least."""
_SAMPLED = 1 << 16
"""Strengths of one layer that the common cut looks at; more would change nothing."""


class Shares:
    """The share that each layer keeps when all together keep about `common`, in [0, 1]."""

    def __init__(self, genes: Genes, channels: ChannelMap, environment: Environment) -> None:
        names = list(genes)
        frozen = list(channels.frozen)
        self._own = {name: environment.own(name, names) for name in names}
        self._protected = {
            name for name, labels in channels.outputs.items() if np.isin(labels, frozen).any()
        }
        self._sizes = {name: int(synapses.live.sum()) for name, synapses in genes.items()}
        self._cuts: tuple[Array, Array] | None = None
        if environment.competing:
            self._compete(genes)

    def own(self, layer: str) -> float | None:
        """What the user gave to `layer`."""
        return self._own[layer]

    def own_of(self, layers: tuple[str, ...]) -> float | None:
        """What the user gave to layers that narrow together: the gentlest of their own values."""
        return max((self._own[name] or 0.0 for name in layers), default=0.0) or None

    def is_protected(self, layer: str) -> bool:
        """True for a classifier or another layer whose outputs are the network's."""
        return layer in self._protected

    def of_layer(self, layer: str, common: float) -> float:
        """Share of its synapses that `layer` keeps."""
        own = self._own[layer]
        if own is not None:
            return own
        share = common
        if self._cuts is not None and layer in self._scores:
            cut = np.interp(common, *self._cuts)
            scores = self._scores[layer]
            kept = 1 - np.searchsorted(scores, cut) / len(scores)
            share = max(FLOOR * common, float(kept))
        return max(OUTPUT_SHARE, share) if self.is_protected(layer) else share

    def of_layers(self, layers: tuple[str, ...], common: float) -> float:
        """Share of their synapses that `layers` keep that narrow together."""
        own = self.own_of(layers)
        if own is not None:
            return own
        sizes = [max(1, self._sizes[name]) for name in layers]
        shares = [self.of_layer(name, common) for name in layers]
        return float(np.average(shares, weights=sizes))

    def _compete(self, genes: Genes) -> None:
        self._scores: dict[str, Array] = {}
        for name, synapses in genes.items():
            strengths = synapses.strength[synapses.live]
            if strengths.size and self._own[name] is None and not self.is_protected(name):
                step = -(-strengths.size // _SAMPLED)
                self._scores[name] = _scores(strengths[::step], step)
        if not self._scores:
            return
        scores = np.concatenate(list(self._scores.values()))
        weights = np.concatenate(
            [np.full(len(s), self._sizes[name] / len(s)) for name, s in self._scores.items()]
        )
        order = np.argsort(scores)[::-1]
        kept = np.cumsum(weights[order]) / weights.sum()
        self._cuts = (np.concatenate([[0.0], kept]), scores[order][[0, *range(len(order))]])


def _scores(strengths: Array, step: int) -> Array:
    """Ascending scores of one layer's strengths, of which every `step`-th is given: each over the
    root of the sum of squares of all that are at least as strong (LAMP, Lee et al., ICLR 2021,
    arXiv:2010.07611).

    In a layer with many synapses most score low, so it gives up more. Of the measures tried (even
    shares; |w|; over the layer's RMS, mean or mean survival) it kept most accuracy at birth.
    """
    falling = np.sort(strengths)[::-1].astype(np.float64)
    return np.asarray((falling / np.sqrt(step * np.cumsum(np.square(falling))))[::-1])
