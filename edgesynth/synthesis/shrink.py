"""Physical shrink: a network without its dead clusters, dense and smaller.

A dead cluster takes with it its filters, their normalization, and every synapse that reads it, so
the smaller network computes what the masked one does, whatever the activation function.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Kept, format_ranges, parse_ranges
from edgesynth.networks.narrow import is_depthwise, narrow, widths
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, Labels
from edgesynth.synthesis.skeleton import LOOKS_AT_VALUES, skeleton

Live = npt.NDArray[np.bool_]


def shrink(network: Network, channels: ChannelMap, dead: Collection[int]) -> Network:
    """A copy of `network` without the clusters in `dead`.

    Raises UserError when a layer would lose all its channels or when the network's forward
    depends on written-out channel counts.
    """
    child = cut_out(network, channels, dead)
    _assert_runs(child)
    return child


def cut_out(network: Network, channels: ChannelMap, dead: Collection[int]) -> Network:
    """As `shrink`, without the check that the result runs.

    Raises UserError when a layer would lose all its channels.
    """
    dead_labels = np.array(sorted(dead), dtype=np.int64)
    module = copy.deepcopy(network.module)
    layers = dict(module.named_modules())
    masks = dict(network.masks)
    kept = dict(network.description.kept)
    for name, (inputs, outputs) in _sides(channels).items():
        live_in = None if inputs is None else ~np.isin(inputs, dead_labels)
        live_out = ~np.isin(outputs, dead_labels)
        if live_out.all() and (live_in is None or live_in.all()):
            continue
        if not live_out.any() or (live_in is not None and not live_in.any()):
            raise UserError(f"layer {name} would lose every channel; synthesize more gently")
        layer = layers[name]
        weight = f"{name}.weight"
        if weight in masks:
            masks[weight] = _narrow_mask(masks[weight], layer, live_in, live_out)
        kept[name] = _compose(kept.get(name), layer, live_in, live_out)
        narrow(layer, None if live_in is None else _indices(live_in), _indices(live_out))
    description = msgspec.structs.replace(network.description, kept=kept)
    child = Network(module, description, masks)
    child.apply_masks()
    return child


def mask_clusters(network: Network, channels: ChannelMap, dead: Collection[int]) -> Network:
    """A copy of `network` with the clusters in `dead` masked, not removed: the slow twin of
    `shrink`, against which it is tested. Every synapse into and out of a dead cluster is zero."""
    dead_labels = np.array(sorted(dead), dtype=np.int64)
    module = copy.deepcopy(network.module)
    layers = dict(module.named_modules())
    with torch.no_grad():
        for name, (inputs, outputs) in _sides(channels).items():
            layer = layers[name]
            gone = torch.from_numpy(np.isin(outputs, dead_labels))
            transposed = isinstance(layer, nn.ConvTranspose2d)
            for parameter in layer.parameters(recurse=False):
                rows = (
                    parameter.transpose(0, 1) if transposed and parameter.dim() > 1 else parameter
                )
                rows[gone] = 0
            if inputs is not None and not is_depthwise(layer):
                deaf = torch.from_numpy(np.isin(inputs, dead_labels))
                weight = layer.get_parameter("weight")
                columns = weight if transposed else weight.transpose(0, 1)
                columns[deaf[: len(columns)]] = 0
    return Network(module, network.description, dict(network.masks))


def _sides(channels: ChannelMap) -> dict[str, tuple[Labels | None, Labels]]:
    """Layer -> (labels of its inputs or None, labels of its outputs)."""
    sides: dict[str, tuple[Labels | None, Labels]] = {
        name: (channels.inputs[name], labels) for name, labels in channels.outputs.items()
    }
    return sides | {name: (None, labels) for name, labels in channels.followers.items()}


def _narrow_mask(
    mask: torch.Tensor, layer: nn.Module, live_in: Live | None, live_out: Live
) -> torch.Tensor:
    """`mask` narrowed as `narrow` narrows the weight."""
    transposed = isinstance(layer, nn.ConvTranspose2d)
    mask = mask.index_select(1 if transposed else 0, _indices(live_out))
    if live_in is None or is_depthwise(layer):
        return mask
    per_group = live_in[: len(live_in) // int(getattr(layer, "groups", 1))]
    return mask.index_select(0 if transposed else 1, _indices(per_group))


def _compose(before: Kept | None, layer: nn.Module, live_in: Live | None, live_out: Live) -> Kept:
    """What is kept of the architecture's own channels after one more narrowing."""
    width_in, width_out = widths(layer) or (0, 0)
    before = before or Kept()
    return Kept(
        inputs=_compose_side(before.inputs, width_in, live_in),
        outputs=_compose_side(before.outputs, width_out, live_out),
    )


def _compose_side(before: str | None, width: int, live: Live | None) -> str | None:
    if live is None or (before is None and live.all()):
        return before
    own = np.arange(width) if before is None else np.array(parse_ranges(before, 1 << 31))
    return format_ranges(own[live].tolist())


def _indices(live: Live) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero(live))


def _assert_runs(network: Network) -> None:
    example = network.example_input(2)
    try:
        _run(skeleton(network.module), example.to("meta"))
    except LOOKS_AT_VALUES:
        pass  # it looks at values, or does not run at all: the network itself knows
    else:
        network.module.eval()
        return
    try:
        _run(network.module, example)
    except RuntimeError as error:
        raise UserError(
            f"{network.name}: forward() depends on written-out channel counts "
            f"({str(error).splitlines()[0]}); use flatten(1) or view(x.size(0), -1)"
        ) from None


def _run(module: nn.Module, example: torch.Tensor) -> None:
    module.eval()
    with torch.no_grad():
        module(example)
