"""The low-bit weights of a network as packed words, for operators that read them so."""

from __future__ import annotations

from edgesynth.core.precision import FORMATS
from edgesynth.networks.grid import codes_of
from edgesynth.networks.network import Network
from edgesynth.operators.packing import PackedWeights, pack


def packed_layers(network: Network) -> dict[str, PackedWeights]:
    """Every layer of `network` with integer weights, packed; the others are left out.

    Codes are those of the network: normalization behind a layer is not folded into its scales.
    """
    packed = {}
    for name, form in network.description.precision.weights.items():
        if FORMATS[form].is_integer:
            codes = codes_of(network, name).cpu().numpy()
            bits = FORMATS[form].bits
            scales = network.scales[f"{name}.weight"].cpu().numpy()
            packed[name] = PackedWeights(pack(codes, bits), scales, bits, codes.shape[1])
    return packed
