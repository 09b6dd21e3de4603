"""Settings of a layer's knobs that are worth a try, from what the layer sees on calibration images.

Nothing is trained: thresholds are quantiles of what was seen. Every knob has a few settings, from
cautious to bold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from edgesynth.dynamic.effort.execution import EffortModule
from edgesynth.dynamic.effort.knobs import Knobs, as_tuple
from edgesynth.dynamic.effort.layers import ConvLayer
from edgesynth.operators.effort_spec import EXACT, PREDICTED

PREFIXES = (0.125, 0.25, 0.5)
"""Of the channels, after which saturation is predicted."""
LOST = (0.002, 0.01, 0.03, 0.08)
"""Of the sum of a filter's outputs, that a threshold may make 0."""
SIMILAR = (0.0, 0.05, 0.15, 0.4)
"""Times the deviation of the input: the range of a window that counts as its mean."""
PERIODS = (2, 3)
BELOW = (0.25, 1.0, 4.0)
"""Times the mean of the outputs above 0."""
WITHIN = (0.1, 0.4, 1.2)
"""The same, for the difference between samples."""
FEWER = (0.875, 0.75, 0.5)
"""Of the channels that are added up."""

SMALL = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Of the inputs that are not zero, the smallest."""

Change = tuple[str, Knobs]
"""The knob's name, and a `Knobs` with that one on."""


def channel_order(layer: ConvLayer, x: torch.Tensor) -> npt.NDArray[np.int32]:
    """Channels of a group, those first that move the outputs most: mean input times weights."""
    per_channel = x.abs().mean(dim=(0, 2, 3)).reshape(layer.geometry["group"], -1).sum(dim=0)
    weights = np.abs(layer.weights).sum(axis=(0, 2, 3))
    order = np.argsort(-per_channel.numpy() * weights, kind="stable")
    return order.astype(np.int32)


def changes(module: EffortModule, x: torch.Tensor) -> Iterator[Change]:
    """Every setting of every knob for the layer with input `x`, one knob on at a time."""
    layer = module.layer
    y = module.dense(x)
    yield from _saturation(module, x, y)
    if layer.weights.shape[2] * layer.weights.shape[3] > 1:
        deviation = float(x.std())
        for share in SIMILAR:
            yield "SFMA", Knobs(similarity=share * deviation)
    yield from _sampling(y)
    for share in FEWER:
        count = round(share * layer.channels)
        if 0 < count < layer.channels:
            yield "effort", Knobs(channels=count)
    sizes = np.sort(x[x != 0].abs().numpy())
    for share in SMALL if sizes.size else ():
        yield "threshold", Knobs(input_threshold=float(sizes[int(share * sizes.size)]))


def merge(knobs: Knobs, change: Change) -> Knobs:
    """`knobs` with the one knob of `change` as it is there."""
    name, new = change
    if name == "SPET":
        return replace(
            knobs,
            saturation=new.saturation,
            prefix_channels=new.prefix_channels,
            thresholds=new.thresholds,
        )
    if name == "SFMA":
        return replace(knobs, similarity=new.similarity)
    if name == "SDSS":
        return replace(
            knobs,
            sample_period=new.sample_period,
            sample_below=new.sample_below,
            sample_within=new.sample_within,
        )
    if name == "threshold":
        return replace(knobs, input_threshold=new.input_threshold)
    return replace(knobs, channels=new.channels)


def _saturation(module: EffortModule, x: torch.Tensor, y: torch.Tensor) -> Iterator[Change]:
    layer = module.layer
    if not layer.rectified or layer.channels < 2:
        return
    if layer.positive:
        yield "SPET", Knobs(saturation=EXACT, prefix_channels=max(1, layer.channels // 8))
    counts = dict.fromkeys(min(max(1, round(p * layer.channels)), layer.channels - 1)
                           for p in PREFIXES)  # fmt: skip
    for count in counts:
        prefix = _prefix_sums(module, x, count)
        for thresholds in _thresholds(prefix, y, LOST):
            yield "SPET", Knobs(PREDICTED, count, as_tuple(thresholds))


def _sampling(y: torch.Tensor) -> Iterator[Change]:
    if min(y.shape[2:]) <= 2:
        return
    above = y[y > 0]
    scale = float(above.mean()) if above.numel() else 1.0
    for period in PERIODS:
        for below in BELOW:
            for within in WITHIN:
                if within <= below:
                    knobs = Knobs(
                        sample_period=period,
                        sample_below=below * scale,
                        sample_within=within * scale,
                    )
                    yield "SDSS", knobs


def _prefix_sums(module: EffortModule, x: torch.Tensor, count: int) -> torch.Tensor:
    kept = np.zeros(module.layer.channels, np.float32)
    kept[module.order[:count]] = 1
    weights = torch.from_numpy(module.layer.weights * kept[:, None, None])
    top, left, bottom, right = module.layer.geometry["pads"]
    return functional.conv2d(
        functional.pad(x, (left, right, top, bottom)),
        weights,
        module.bias,
        stride=module.layer.geometry["strides"],
        dilation=module.layer.geometry["dilations"],
        groups=module.layer.geometry["group"],
    )


def _thresholds(
    prefix: torch.Tensor, y: torch.Tensor, lost: Sequence[float]
) -> list[npt.NDArray[np.float32]]:
    """For each share of `lost`, a threshold per filter: the outputs whose prefix lies below it hold
    at most that share of the filter's outputs above 0."""
    filters = y.shape[1]
    sums = prefix.transpose(0, 1).reshape(filters, -1).numpy()
    outputs = y.transpose(0, 1).reshape(filters, -1).numpy()
    order = np.argsort(sums, axis=1)
    ascending = np.take_along_axis(sums, order, axis=1)
    gone = np.cumsum(
        np.take_along_axis(
            outputs,
            order,
            axis=1,
        ),
        axis=1,
        dtype=np.float64,
    )
    found = []
    for share in lost:
        limits = share * gone[:, -1]
        places = (gone <= limits[:, None]).sum(axis=1)  # so many outputs may go
        last = np.minimum(places, ascending.shape[1] - 1)
        at = ascending[np.arange(filters), last]
        # a filter that is never above 0 ends always, as far as was seen
        above = np.where(places == ascending.shape[1], np.abs(at) + at + 1, at)
        found.append(above.astype(np.float32))
    return found
