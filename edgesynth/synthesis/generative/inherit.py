"""A laid-out network gets weights: the prototype's where shapes allow, fresh ones elsewhere."""

from __future__ import annotations

import copy
import math

import msgspec
import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgesynth.core.network import Edit, NetworkDescription, Precision
from edgesynth.networks.edits import apply_edits
from edgesynth.networks.narrow import is_depthwise, widths
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.layout import Layout, Sources


def grow(prototype: Network, layout: Layout, *, seed: int, inherit: bool = True) -> Network:
    """The network of `layout` with weights; the same seed gives the same ones.

    Fresh weights are He's (arXiv:1502.01852). With `inherit`, channels and windows that come from
    the prototype have its weights instead, and a separable convolution the nearest to its.
    """
    module = copy.deepcopy(prototype.module)
    apply_edits(module, layout.edits)
    child = Network(module.eval(), described(prototype, layout.edits))
    generator = torch.Generator().manual_seed(seed)
    before = dict(prototype.module.named_modules())
    with torch.no_grad():
        for name, layer in module.named_modules():
            _refresh(layer, generator)
            if inherit and widths(layer) is not None:
                _inherit(layer, name, before, layout)
    return child


def described(prototype: Network, edits: tuple[Edit, ...]) -> NetworkDescription:
    """The description of a network that `edits` make of `prototype`.

    Channels that the prototype lacks of its architecture's are edits, too, before the new ones.
    """
    own = prototype.description
    layers = dict(prototype.module.named_modules())
    narrowed = []
    for name in own.kept:
        wide_in, wide_out = widths(layers[name]) or (0, 0)
        groups = int(getattr(layers[name], "groups", 1))
        narrowed.append(
            Edit(name, inputs=wide_in, outputs=wide_out, groups=groups if groups > 1 else None)
        )
    return msgspec.structs.replace(
        own,
        edits=(*own.edits, *narrowed, *edits),
        kept={},
        precision=Precision(),
        accuracy={},
        weights_sha256="",
    )


def _refresh(layer: nn.Module, generator: torch.Generator) -> None:
    """Initial weights, as `networks.layers.initialize` has them."""
    if isinstance(layer, _ConvNd | nn.Linear):
        fan_in = layer.weight[0].numel()
        if isinstance(layer, nn.ConvTranspose2d):
            fan_in = layer.weight.shape[0] * layer.weight[0, 0].numel()
        drawn = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.copy_(drawn * (2 / fan_in) ** 0.5)
        if layer.bias is not None:
            layer.bias.zero_()
    elif isinstance(layer, _BatchNorm):
        layer.reset_parameters()


def _inherit(layer: nn.Module, name: str, before: dict[str, nn.Module], layout: Layout) -> None:
    parent, _, part = name.rpartition(".")
    outputs = layout.outputs.get(name)
    inputs = layout.inputs.get(name)
    if name in before and type(before[name]) is type(layer):
        source = before[name]
        if name in layout.maps and isinstance(source, nn.Linear):
            source = _resized(source, *layout.maps[name])
        _take(layer, source, inputs, outputs)
        return
    dense = before.get(parent)
    if isinstance(dense, nn.Conv2d) and part in ("0", "1"):
        _factor(layer, dense, int(part), inputs, outputs)


def _resized(source: nn.Linear, channels: int, inputs: int) -> nn.Linear:
    """`source` for maps of another size, square ones: its weights are interpolated, and scaled so
    that their sum stays. Weights that cannot be laid out so are zero."""
    sides = [math.isqrt(wide // channels) for wide in (source.in_features, inputs)]
    resized = nn.Linear(inputs, source.out_features, bias=source.bias is not None)
    resized.weight.zero_()
    if resized.bias is not None:
        resized.bias.copy_(source.bias)
    if [channels * side**2 for side in sides] == [source.in_features, inputs]:
        before, after = sides
        maps = source.weight.reshape(-1, channels, before, before)
        grown = nn.functional.interpolate(maps, size=(after, after), mode="bilinear")
        resized.weight.copy_(grown.flatten(1) * (before / after) ** 2)
    return resized


def _take(
    layer: nn.Module, source: nn.Module, inputs: Sources | None, outputs: Sources | None
) -> None:
    """Copy what `layer` has in common with `source`."""
    rows = _pairs(outputs, (widths(source) or (0, 0))[1])
    for name in ("bias", "weight", "running_mean", "running_var"):
        ours, theirs = getattr(layer, name, None), getattr(source, name, None)
        if ours is None or theirs is None:
            continue
        if ours.dim() == 1:
            ours[rows[0]] = theirs.detach()[rows[1]]
        else:
            _take_weight(layer, source, _pairs(inputs, (widths(source) or (0, 0))[0]), rows)


def _take_weight(
    layer: nn.Module, source: nn.Module, columns: tuple[Sources, Sources],
    rows: tuple[Sources, Sources],
) -> None:  # fmt: skip
    transposed = isinstance(layer, nn.ConvTranspose2d)
    ours = layer.get_parameter("weight")
    theirs = source.get_parameter("weight").detach()
    if isinstance(source, _ConvNd) and source.groups > 1 and not is_depthwise(source):
        if ours.shape == theirs.shape:  # narrowed inside its groups: too rare to be pieced together
            ours.copy_(theirs)
        return
    theirs = fit_window(theirs, tuple(ours.shape[2:]))
    if isinstance(layer, _ConvNd) and is_depthwise(layer):
        if isinstance(source, _ConvNd) and is_depthwise(source):
            ours[rows[0]] = theirs[rows[1]]
        return
    groups = int(getattr(layer, "groups", 1))
    if groups > 1:
        _take_blocks(ours, theirs, columns, rows, groups, layer)
        return
    (mine, own), (their_rows, their_columns) = (rows[0], columns[0]), (rows[1], columns[1])
    if transposed:
        mine, own, their_rows, their_columns = own, mine, their_columns, their_rows
    ours[np.ix_(mine, own)] = theirs[np.ix_(their_rows, their_columns)]


def _take_blocks(
    ours: torch.Tensor, theirs: torch.Tensor, columns: tuple[Sources, Sources],
    rows: tuple[Sources, Sources], groups: int, layer: nn.Module,
) -> None:  # fmt: skip
    """A dense layer that became grouped inherits the blocks on its diagonal."""
    wide_in, wide_out = widths(layer) or (0, 0)
    per_in, per_out = wide_in // groups, wide_out // groups
    for row, their_row in zip(rows[0].tolist(), rows[1].tolist(), strict=True):
        inside = columns[0] // per_in == row // per_out
        if inside.any():
            ours[row, columns[0][inside] % per_in] = theirs[their_row, columns[1][inside]]


def _factor(
    layer: nn.Module, source: nn.Conv2d, part: int, inputs: Sources | None, outputs: Sources | None
) -> None:
    """Depthwise window (`part` 0) or 1 x 1 weights (1) nearest to the dense `source`.

    Of every input channel the filters that read it, one row each, are replaced by their best
    approximation of rank one: a shared window times one weight per filter.
    """
    weight = source.weight.detach()
    window = layer.get_parameter("weight").shape[2:] if part == 0 else source.kernel_size
    fitted = fit_window(weight, tuple(window))
    left, strength, right = torch.linalg.svd(fitted.transpose(0, 1).flatten(2), full_matrices=False)
    ours = layer.get_parameter("weight")
    if part == 0:
        rows = _pairs(outputs, source.in_channels)
        windows = right[:, 0].reshape(source.in_channels, 1, *window)
        ours[rows[0]] = windows[rows[1]]
        return
    points = (left[:, :, 0] * strength[:, :1]).transpose(0, 1)[..., None, None]
    rows, columns = _pairs(outputs, source.out_channels), _pairs(inputs, source.in_channels)
    ours[np.ix_(rows[0], columns[0])] = points[np.ix_(rows[1], columns[1])]
    if source.bias is not None:
        layer.get_parameter("bias")[rows[0]] = source.bias.detach()[rows[1]]


def _pairs(sources: Sources | None, width: int) -> tuple[Sources, Sources]:
    """Places of channels that are inherited, and where they come from."""
    if sources is None:
        return np.arange(width), np.arange(width)
    old = (sources >= 0) & (sources < width)
    return np.flatnonzero(old), sources[old]


def fit_window(weight: torch.Tensor, window: tuple[int, ...]) -> torch.Tensor:
    """`weight` with other windows: smaller ones take what lies outside into their border, which
    keeps the answer to whatever is smooth, and larger ones are framed by zeros."""
    for dim, side in enumerate(window, start=2):
        own = weight.shape[dim]
        if side < own:
            nearest = (torch.arange(own) - (own - side) // 2).clamp(0, side - 1)
            shape = [*weight.shape[:dim], side, *weight.shape[dim + 1 :]]
            weight = weight.new_zeros(shape).index_add(dim, nearest, weight)
        elif side > own:
            frame = [0, 0] * (weight.dim() - 1 - dim) + [
                (side - own) // 2,
                side - own - (side - own) // 2,
            ]
            weight = nn.functional.pad(weight, frame)
    return weight
