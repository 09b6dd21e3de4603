"""Narrows layers in place to the channels that are kept.

Works on a layer's attributes instead of building a new one, so that it also serves subclasses
whose constructors it does not know.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Indices = torch.Tensor
"""Ascending int64 channel indices, shape (kept,)."""


def widths(layer: nn.Module) -> tuple[int, int] | None:
    """(input channels, output channels) of a layer that can be narrowed, else None."""
    if isinstance(layer, _ConvTransposeNd) and layer.groups > 1:
        return None
    if isinstance(layer, _ConvNd):
        return layer.in_channels, layer.out_channels
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, _BatchNorm):
        return layer.num_features, layer.num_features
    if isinstance(layer, nn.PReLU) and layer.num_parameters > 1:
        return layer.num_parameters, layer.num_parameters
    return None


def is_depthwise(layer: nn.Module) -> bool:
    """True for a convolution with one input channel per group, multipliers included."""
    return isinstance(layer, _ConvNd) and 1 < layer.groups == layer.in_channels


def narrow(layer: nn.Module, inputs: Indices | None, outputs: Indices | None) -> None:
    """Keep only `inputs` and `outputs` of `layer`; None keeps a side whole.

    A grouped convolution keeps the same positions in every group (the caller sees to that); a
    depthwise one keeps one group per kept input; a normalization or PReLU has one side, `outputs`.

    Raises ValueError when the layer's kind cannot be narrowed.
    """
    if isinstance(layer, _ConvNd):
        _narrow_convolution(layer, inputs, outputs)
    elif isinstance(layer, nn.Linear):
        layer.weight = _take(layer.weight, outputs, 0)
        layer.weight = _take(layer.weight, inputs, 1)
        if layer.bias is not None:
            layer.bias = _take(layer.bias, outputs, 0)
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, _BatchNorm):
        _narrow_normalization(layer, outputs)
    elif isinstance(layer, nn.PReLU):
        layer.weight = _take(layer.weight, outputs, 0)
        layer.num_parameters = len(layer.weight)
    else:
        raise ValueError(f"a {type(layer).__name__} cannot be narrowed")


def _narrow_convolution(layer: _ConvNd, inputs: Indices | None, outputs: Indices | None) -> None:
    transposed = isinstance(layer, _ConvTransposeNd)
    layer.weight = _take(layer.weight, outputs, 1 if transposed else 0)
    if layer.bias is not None:
        layer.bias = _take(layer.bias, outputs, 0)
    if inputs is not None:
        if is_depthwise(layer):
            layer.groups = len(inputs)
        else:
            per_group = inputs[: len(inputs) // layer.groups]
            layer.weight = _take(layer.weight, per_group, 0 if transposed else 1)
        layer.in_channels = len(inputs)
    if outputs is not None:
        layer.out_channels = len(outputs)


def _narrow_normalization(layer: _BatchNorm, outputs: Indices | None) -> None:
    if outputs is None:
        return
    if layer.affine:
        layer.weight = _take(layer.weight, outputs, 0)
        layer.bias = _take(layer.bias, outputs, 0)
    for name in ("running_mean", "running_var"):
        statistic = getattr(layer, name)
        if statistic is not None:
            setattr(layer, name, statistic[outputs].clone())
    layer.num_features = len(outputs)


def _take(parameter: torch.Tensor, indices: Indices | None, dim: int) -> nn.Parameter:
    if indices is None:
        indices = torch.arange(parameter.shape[dim])
    taken = parameter.detach().index_select(dim, indices).clone()
    return nn.Parameter(taken, requires_grad=parameter.requires_grad)
