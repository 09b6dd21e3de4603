"""Makes a network's layers anew in other sizes, or leaves modules out, in place.

What `narrow` is to taking channels away, this is to whatever a generator chooses: widths in either
direction, kernels, groups, depth. Works on a layer's attributes, so that it also serves subclasses;
the weights of what is changed are zeros afterwards, to be filled by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvTransposeNd

from edgesynth.core.network import Edit

MOST_CHANNELS, MOST_KERNEL, MOST_WEIGHTS = 1 << 16, 31, 1 << 30


def apply_edits(module: nn.Module, edits: Iterable[Edit]) -> None:
    """Change `module` by `edits`, one after the other.

    Raises ValueError naming the layer that there is not, or that cannot be changed so: edits also
    come from files.
    """
    for edit in edits:
        try:
            layer = module.get_submodule(edit.layer)
        except AttributeError:
            layer = module
        if layer is module:
            raise ValueError(f'edits: there is no layer "{edit.layer}"')
        try:
            _apply(module, layer, edit)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"edits: layer {edit.layer}: {error}") from None


def _apply(module: nn.Module, layer: nn.Module, edit: Edit) -> None:
    if edit.skip:
        _replace(module, edit.layer, nn.Identity())
    elif edit.mute:
        _replace(module, edit.layer, Silent())
    elif edit.separable:
        _replace(module, edit.layer, separated(layer))
    else:
        _require_sane(edit)
        resize(layer, edit)


def _replace(module: nn.Module, name: str, by: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, by)


def _require_sane(edit: Edit) -> None:
    """Refuse sizes before they ask for memory."""
    for what, most in (
        ("inputs", MOST_CHANNELS), ("outputs", MOST_CHANNELS), ("groups", MOST_CHANNELS),
        ("kernel", MOST_KERNEL),
    ):  # fmt: skip
        size = getattr(edit, what)
        if size is not None and not 1 <= size <= most:
            raise ValueError(f"{what} of {size} is out of range; 1 to {most} is possible")


class Silent(nn.Module):
    """Gives a single zero, whatever it is given; an exported file does not show it."""

    zero: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape ()."""
        return self.zero


def separated(layer: nn.Module) -> nn.Sequential:
    """A depthwise convolution with the window of `layer` and a 1 x 1 one, with zero weights.

    Raises ValueError when `layer` is no dense Conv2d.
    """
    if type(layer) is not nn.Conv2d or layer.groups > 1:
        raise ValueError(f"a {type(layer).__name__} of this kind cannot be made separable")
    window = nn.Conv2d(
        layer.in_channels,
        layer.in_channels,
        _sides(layer.kernel_size),
        _sides(layer.stride),
        padding=layer.padding if isinstance(layer.padding, str) else _sides(layer.padding),
        dilation=_sides(layer.dilation),
        groups=layer.in_channels,
        bias=False,
        padding_mode=layer.padding_mode,
    )
    point = nn.Conv2d(layer.in_channels, layer.out_channels, 1, bias=layer.bias is not None)
    for each in (window, point):
        for parameter in each.parameters():
            nn.init.zeros_(parameter)
    both = nn.Sequential(window, point).to(layer.weight.device, layer.weight.dtype)
    return both.train(layer.training)


def resize(layer: nn.Module, edit: Edit) -> None:
    """Give `layer` the sizes of `edit`, with zero weights (ones and zeros for a normalization).

    Raises ValueError for a layer of another kind, or sizes that its groups do not divide.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        _resize_convolution(layer, edit)
    elif isinstance(layer, nn.Linear):
        layer.in_features = edit.inputs or layer.in_features
        layer.out_features = edit.outputs or layer.out_features
        layer.weight = _zeros(layer.weight, (layer.out_features, layer.in_features))
        if layer.bias is not None:
            layer.bias = _zeros(layer.bias, (layer.out_features,))
    elif isinstance(layer, _BatchNorm):
        _resize_normalization(layer, edit.outputs or layer.num_features)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = edit.outputs or layer.num_parameters
        layer.weight = _zeros(layer.weight, (layer.num_parameters,))
        nn.init.constant_(layer.weight, 0.25)
    else:
        raise ValueError(f"a {type(layer).__name__} cannot be resized")


def _resize_convolution(layer: nn.Conv2d | nn.ConvTranspose2d, edit: Edit) -> None:
    kernel = _sides(layer.kernel_size)
    if edit.kernel is not None:
        if isinstance(layer, nn.ConvTranspose2d) or isinstance(layer.padding, str):
            raise ValueError("its kernel cannot be changed")
        layer.padding = padding_for(layer, edit.kernel)
        rows, columns = layer.padding
        layer._reversed_padding_repeated_twice = [columns, columns, rows, rows]
        kernel = (edit.kernel, edit.kernel)
    layer.kernel_size = kernel
    layer.in_channels = edit.inputs or layer.in_channels
    layer.out_channels = edit.outputs or layer.out_channels
    layer.groups = edit.groups or layer.groups
    if layer.in_channels % layer.groups or layer.out_channels % layer.groups:
        raise ValueError(
            f"{layer.in_channels} to {layer.out_channels} channels are not whole in each of "
            f"{layer.groups} groups"
        )
    first, second = layer.out_channels, layer.in_channels
    if isinstance(layer, _ConvTransposeNd):
        first, second = second, first
    layer.weight = _zeros(layer.weight, (first, second // layer.groups, *kernel))
    if layer.bias is not None:
        layer.bias = _zeros(layer.bias, (layer.out_channels,))


def padding_for(layer: nn.Conv2d, kernel: int) -> tuple[int, int]:
    """The padding with which a square `kernel` keeps the side of the output, where it can."""
    if isinstance(layer.padding, str):
        raise ValueError("its padding is not written as numbers")
    triples = zip(
        _sides(layer.padding), _sides(layer.kernel_size), _sides(layer.dilation), strict=True
    )
    first, second = (max(0, pad + d * (kernel - side) // 2) for pad, side, d in triples)
    return first, second


def _resize_normalization(layer: _BatchNorm, features: int) -> None:
    layer.num_features = features
    if layer.affine:
        layer.weight = _zeros(layer.weight, (features,))
        layer.bias = _zeros(layer.bias, (features,))
    for name in ("running_mean", "running_var"):
        statistic = getattr(layer, name)
        if statistic is not None:
            setattr(layer, name, torch.zeros(features).to(statistic))
    layer.reset_parameters()


def _zeros(before: torch.Tensor, shape: tuple[int, ...]) -> nn.Parameter:
    if math.prod(shape) > MOST_WEIGHTS:
        raise ValueError(f"{math.prod(shape):,} weights are more than a layer may have")
    fresh = torch.zeros(shape, device=before.device, dtype=before.dtype)
    return nn.Parameter(fresh, requires_grad=before.requires_grad)


def _sides(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
