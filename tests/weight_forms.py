"""Networks whose weights operators can hold: mostly zeros, or a few bits."""

from __future__ import annotations

import torch

from edgesynth.core.precision import FORMATS, PrecisionPolicy
from edgesynth.networks.grid import weighted_layers
from edgesynth.networks.network import Network
from edgesynth.synthesis.precision import restrict


def pruned(net: Network, share: float, *whole: str) -> Network:
    """`net` with the weakest `share` of every layer's synapses dead, but for the layers `whole`."""
    for name, layer in weighted_layers(net.module).items():
        if name in whole:
            continue
        size = layer.weight.detach().abs().flatten()
        dead = int(share * size.numel())
        limit = size.sort().values[dead - 1] if dead else -1.0
        net.masks[f"{name}.weight"] = layer.weight.detach().abs() > limit
    net.apply_masks()
    return net


def low_bit(net: Network, form: str) -> Network:
    """`net` with the weights on the grid of `form`, such as int4."""
    images = torch.randn(4, *net.description.input_shape, generator=torch.manual_seed(3))
    restrict(net, PrecisionPolicy(FORMATS[form]), [images])
    return net
