"""What is left dense when clusters die: parameters and MACs, without building the network."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap
from edgesynth.synthesis.genes import Flags, Genes
from edgesynth.synthesis.skeleton import LOOKS_AT_VALUES, skeleton

COUNTED = ("params", "macs")


class DenseCost:
    """The dense cost of `body` without some of its clusters, exactly as the shrunken network's.

    A layer's weights and MACs fall with the pairs of channels that it connects; its biases, and
    whatever follows channel by channel, fall with the channels.
    """

    def __init__(self, body: Network, channels: ChannelMap, genes: Genes) -> None:
        self._channels = channels
        self._genes = genes
        shape = body.description.input_shape
        try:
            self._whole = count(skeleton(body.module), shape)
        except LOOKS_AT_VALUES:
            self._whole = count(body.module, shape)
        self._macs: Counter[str] = Counter()
        for layer in self._whole.layers:
            self._macs[layer.name] += layer.macs
        layers = dict(body.module.named_modules())
        self._per_channel = {
            name: sum(p.numel() for p in layers[name].parameters(recurse=False) if p.dim() == 1)
            // len(labels)
            for name, labels in (channels.outputs | channels.followers).items()
        }

    def of(self, key: str, dead: Flags) -> float:
        """`params` or `macs` without the clusters in `dead` (flags by cluster)."""
        return self._params(dead) if key == "params" else self._multiplications(dead)

    def _multiplications(self, dead: Flags) -> float:
        lost = 0.0
        for name, synapses in self._genes.items():
            pairs = synapses.reached(dead)
            lost += self._macs[name] * (1 - np.count_nonzero(pairs) / pairs.size)
        return self._whole.macs - round(lost)

    def _params(self, dead: Flags) -> float:
        lost = 0
        for synapses in self._genes.values():
            pairs = synapses.reached(dead)
            lost += (pairs.size - np.count_nonzero(pairs)) * synapses.live.shape[3]
        for name, labels in (self._channels.outputs | self._channels.followers).items():
            lost += self._per_channel[name] * int(np.count_nonzero(dead[labels]))
        return float(self._whole.params - lost)
