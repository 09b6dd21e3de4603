"""What a synthesis works on: every layer's synapses in one form, and who is alive among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, Labels
from edgesynth.synthesis.survival import Array, truncated

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Synapses:
    """One layer's synapses, shape (groups, outputs of a group, inputs of a group, taps)."""

    strength: Array
    """|w|, float32."""
    live: Flags
    outputs: Labels
    """Cluster of each output channel, all groups."""
    inputs: Labels
    transposed: bool
    shape: tuple[int, ...]
    """Of the layer's own weight."""

    def reached(self, dead: Flags) -> Flags:
        """True where both ends live, shape (groups, outputs, inputs); `dead` is by cluster."""
        groups, outputs, inputs, _ = self.live.shape
        rows = ~dead[self.outputs].reshape(groups, outputs, 1)
        return rows & ~dead[self.inputs].reshape(groups, 1, inputs)

    def in_weight_shape(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`values`, one per synapse in this form, in the shape of the layer's own weight."""
        if self.transposed:
            inputs, outputs, *kernel = self.shape
            return values.reshape(outputs, inputs, *kernel).swapaxes(0, 1)
        return values.reshape(self.shape)


Genes = dict[str, Synapses]
"""By layer."""


def genes_of(network: Network, channels: ChannelMap) -> Genes:
    """The synapses of every convolution and linear layer. One of strength zero is not alive."""
    return {name: _synapses(network, channels, name) for name in channels.outputs}


def _synapses(network: Network, channels: ChannelMap, name: str) -> Synapses:
    layer = network.module.get_submodule(name)
    weight = layer.get_parameter("weight").detach()
    mask = network.masks.get(f"{name}.weight")
    transposed = isinstance(layer, nn.ConvTranspose2d)
    shape = tuple(weight.shape)
    if transposed:
        weight = weight.transpose(0, 1)
        mask = None if mask is None else mask.transpose(0, 1)
    groups = int(getattr(layer, "groups", 1))
    form = (groups, len(weight) // groups, weight.shape[1], -1)
    strength = weight.abs().reshape(form).float().cpu().numpy()
    live = strength != 0
    if mask is not None:
        live &= mask.reshape(form).cpu().numpy()
    return Synapses(
        strength, live, channels.outputs[name], channels.inputs[name], transposed, shape
    )


def cluster_strengths(genes: Genes, layers: tuple[str, ...], labels: Labels) -> Array:
    """Summed truncated strength of each cluster in `labels` over all its filters in `layers`."""
    total = np.zeros(int(labels.max()) + 1)
    for name in layers:
        synapses = genes[name]
        rows = truncated(synapses.strength * synapses.live).sum(axis=(2, 3), dtype=np.float64)
        mine = np.isin(synapses.outputs, labels)
        np.add.at(total, synapses.outputs[mine], rows.ravel()[mine])
    return np.asarray(total[labels])


def links_of(live: Mapping[str, Flags]) -> dict[str, Flags]:
    """Which inputs a layer's outputs hear at all, (groups, outputs, inputs) by layer."""
    return {name: np.asarray(flags.any(axis=3)) for name, flags in live.items()}


def isolated(genes: Genes, links: Mapping[str, Flags], dead: Flags) -> Flags:
    """Clusters that no link enters, or that none leaves, by cluster; dead ends do not count."""
    hearing, heard = np.zeros_like(dead), np.zeros_like(dead)
    for name, synapses in genes.items():
        linked = links[name] & synapses.reached(dead)
        hearing[synapses.outputs[linked.any(axis=2).ravel()]] = True
        heard[synapses.inputs[linked.any(axis=1).ravel()]] = True
    return ~(hearing & heard)
