"""Weights on a grid: integer codes times one scale per output channel, or half-precision numbers.

Weights stay float32 tensors; `description.precision` says which layers are on which grid, and the
codes of an integer layer are recovered bit for bit from its weights and scales.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from edgesynth.core.errors import EdgesynthError, UserError
from edgesynth.core.precision import FORMATS, FULL, Format, LayerStorage, Storage, format_named
from edgesynth.networks.network import Network


def weighted_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Convolutions and linear layers by name; of several that share a weight, the first."""
    layers: dict[str, nn.Module] = {}
    seen: set[int] = set()
    for name, layer in module.named_modules():
        if isinstance(layer, _ConvNd | nn.Linear) and id(layer.weight) not in seen:
            seen.add(id(layer.weight))
            layers[name] = layer
    return layers


def to_rows(tensor: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """`tensor`, of the shape of the weight of `layer`, with one row per output channel.

    Shape (output channels, weights of each); a row runs over input channels, then the window.
    """
    if isinstance(layer, _ConvTransposeNd):  # (inputs, outputs of a group, window)
        per_group = tensor.reshape(layer.groups, -1, *tensor.shape[1:]).transpose(1, 2)
        return per_group.reshape(layer.out_channels, -1)
    return tensor.reshape(len(tensor), -1)


def from_rows(rows: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """The inverse of `to_rows`: a tensor of the shape of the weight of `layer`."""
    shape = layer.get_parameter("weight").shape
    if isinstance(layer, _ConvTransposeNd):
        per_group = rows.reshape(layer.groups, shape[1], shape[0] // layer.groups, *shape[2:])
        return per_group.transpose(1, 2).reshape(shape)
    return rows.reshape(shape)


def format_of(network: Network, layer: str) -> Format:
    """The format of the weights of `layer`."""
    return format_named(network.description.precision.weights.get(layer, FULL))


def codes_of(network: Network, layer: str) -> torch.Tensor:
    """Integer codes of `layer`, int8 of shape (output channels, weights of each).

    Raises UserError when the layer has no integer format or its weights are not on the grid.
    """
    form, module = format_of(network, layer), network.module.get_submodule(layer)
    if form.top is None:
        raise UserError(f"layer {layer} has {form.name} weights, which have no integer codes")
    rows = to_rows(module.get_parameter("weight").detach(), module)
    scales = network.scales[f"{layer}.weight"].to(rows.device)[:, None]
    codes = torch.round(rows / scales)
    if not torch.equal(codes * scales, rows) or bool((codes.abs() > form.top).any()):
        raise UserError(f"the weights of layer {layer} are not on the grid of {form.name}")
    return codes.to(torch.int8)


def check_grid(network: Network, place: str) -> None:
    """Hold the weights of a network that was read from the file `place` against its description.

    Raises UserError naming the layer whose format, scales or weights are not as described.
    """
    layers = weighted_layers(network.module)
    for name, largest in network.description.precision.activations.items():
        if name not in layers or not (math.isfinite(largest) and largest >= 0):
            raise UserError(f'{place}: activations of "{name}" up to {largest}; save it again')
    described = network.description.precision.weights
    needed = {f"{name}.weight" for name, form in described.items() if form != FULL}
    for name, form in described.items():
        try:
            if name not in layers:
                raise UserError(f'precision: "{name}" is not a layer with weights')
            if format_named(form).is_integer:
                _check_scales(network, name, layers[name])
                codes_of(network, name)
            elif form == "fp16":
                needed.discard(f"{name}.weight")
                _check_half(name, layers[name])
        except EdgesynthError as error:
            raise UserError(f"{place}: {error}; save the network again") from None
    for name in network.scales:
        if name not in needed:
            raise UserError(f"{place}: scale/{name} belongs to no layer with integer weights")


def _check_scales(network: Network, name: str, layer: nn.Module) -> None:
    scales = network.scales.get(f"{name}.weight")
    rows = len(to_rows(layer.get_parameter("weight"), layer))
    if scales is None:
        raise UserError(f"no tensor scale/{name}.weight for its integer weights")
    if scales.dtype != torch.float32 or tuple(scales.shape) != (rows,):
        raise UserError(f"scale/{name}.weight is not float32 with {rows} values")
    if not bool((torch.isfinite(scales) & (scales > 0)).all()):
        raise UserError(f"scale/{name}.weight has a value that is not a positive number")


def _check_half(name: str, layer: nn.Module) -> None:
    weight = layer.get_parameter("weight").detach()
    if not torch.equal(weight.half().float(), weight):
        raise UserError(f"the weights of layer {name} are not on the grid of fp16")


def storage_of(network: Network) -> Storage:
    """What the weights of `network` cost to store, layer by layer."""
    return Storage(
        tuple(
            _stored(network, name, layer) for name, layer in weighted_layers(network.module).items()
        )
    )


def _stored(network: Network, name: str, layer: nn.Module) -> LayerStorage:
    form = format_of(network, name)
    rows = to_rows(layer.get_parameter("weight").detach(), layer)
    mask = network.masks.get(f"{name}.weight")
    live = rows.numel() if mask is None else int(mask.sum())
    nonzero = int((rows != 0).sum())
    restricted = form is not FORMATS[FULL]
    return LayerStorage(
        layer=name,
        format=form,
        rows=rows.shape[0],
        columns=rows.shape[1],
        live=live,
        zeros=live - nonzero if restricted else 0,
    )
