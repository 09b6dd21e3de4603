"""What EsEffortConv computes, in PyTorch, and how much of it a scalar machine would compute.

`effort_spec.py` says what the knobs mean; this is its literal form, output by output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from edgesynth.operators.effort_spec import PREDICTED
from edgesynth.operators.spec import Attributes
from edgesynth.operators.weights import dense_weights

LOOK_OPERATIONS, FILL_OPERATIONS = 13, 6
"""Comparisons and subtractions by which a sample and its neighbours are found to agree, for all
outputs between them; the interpolation of one of these."""


@dataclass(frozen=True)
class Counts:
    """Operations of one call, of a machine that decides output by output. A multiply-accumulate,
    a comparison and an addition are one each."""

    products: int
    """Multiply-accumulates that were done."""
    checks: int
    """What deciding cost, interpolation included."""
    dense: int
    """Multiply-accumulates of the convolution without shortcuts; padding counts, as it does in
    `edgesynth.hardware.counting`."""

    @property
    def operations(self) -> int:
        """All that were done."""
        return self.products + self.checks


def effort_conv(
    inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, Counts]:
    """The output, and the operations that it takes."""
    y, counts, _ = _computed(inputs, attributes)
    return y, counts


def effort_map(
    inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and for each of its places (N, P, Q) the share of the multiply-accumulates of all
    filters that was done there."""
    y, _, products = _computed(inputs, attributes)
    return y, products.double().mean(dim=1) / math.prod(attributes["weight_shape"][1:])


def _computed(
    inputs: tuple[torch.Tensor, ...], attributes: Attributes
) -> tuple[torch.Tensor, Counts, torch.Tensor]:
    """Output, operations, and products of every output."""
    x, effort = inputs
    x = significant(x, attributes)
    patches = _patches(x, attributes)  # (N, group, C / group, window, P, Q)
    weights = dense_weights(attributes)
    ranks = _ranks(attributes)
    channels = level_channels(attributes, int(effort))
    similar, values = _means(patches, attributes)
    bias = torch.from_numpy(attributes["bias"]).to(x)[:, None, None]

    def summed(kept: np.ndarray) -> torch.Tensor:
        masked = torch.from_numpy(weights * kept[:, None, None]).to(x)
        return _multiply(values, masked) + bias

    sums = summed(ranks < channels)
    y = torch.relu(sums) if attributes["activation"] else sums
    predicted = torch.zeros_like(y, dtype=torch.bool)
    looks = attributes["saturation"] == PREDICTED and attributes["prefix_channels"] < channels
    if looks:
        prefix = summed(ranks < attributes["prefix_channels"])
        limits = torch.from_numpy(attributes["prefix_thresholds"]).to(x)
        predicted = prefix < limits[:, None, None]
        y = torch.where(predicted, torch.zeros_like(y), y)
    y, filled = _sampled(y, attributes)
    products = _products(attributes, similar, ranks, channels, predicted if looks else None)
    products = torch.where(filled, 0, products)
    checks = _checks(attributes, channels, tuple(y.shape), int(filled.sum()))
    dense = y.numel() * math.prod(attributes["weight_shape"][1:])
    return y, Counts(int(products.sum()), checks, dense), products


def significant(x: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    """x, with 0 for what is too small to count."""
    return torch.where(x.abs() < attributes["input_threshold"], 0, x)


def level_channels(attributes: Attributes, effort: int) -> int:
    """Channels that are added up at the level `effort`."""
    levels = attributes["level_channels"]
    return int(levels[min(max(effort, 0), len(levels) - 1)])


def _ranks(attributes: Attributes) -> np.ndarray:
    """The place of each channel in the layer's order."""
    return np.argsort(attributes["channel_order"])


def _patches(x: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    _, per_group, height, width = attributes["weight_shape"]
    top, left, bottom, right = attributes["pads"]
    padded = functional.pad(x, (left, right, top, bottom))
    windows = padded
    for axis, size in ((2, height), (3, width)):
        dilation, stride = attributes["dilations"][axis - 2], attributes["strides"][axis - 2]
        span = dilation * (size - 1) + 1
        windows = windows.unfold(axis, span, stride)[..., ::dilation]
    n, _, rows, columns = windows.shape[:4]
    return windows.permute(0, 1, 4, 5, 2, 3).reshape(
        n, attributes["group"], per_group, height * width, rows, columns
    )


def _means(patches: torch.Tensor, attributes: Attributes) -> tuple[torch.Tensor, torch.Tensor]:
    """Which windows count as their mean, and the patches with those means."""
    low, high = patches.amin(dim=3, keepdim=True), patches.amax(dim=3, keepdim=True)
    similar = high - low <= attributes["similarity"]
    if patches.shape[3] == 1 or not bool(similar.any()):
        return torch.zeros_like(similar).squeeze(3), patches
    mean = patches.mean(dim=3, keepdim=True)
    return similar.squeeze(3), torch.where(similar, mean, patches)


def _multiply(patches: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    n, groups, _, _, rows, columns = patches.shape
    flat = patches.reshape(n, groups, -1, rows * columns)
    matrix = weights.reshape(groups, -1, flat.shape[2])
    return torch.matmul(matrix, flat).reshape(n, -1, rows, columns)


def _sampled(y: torch.Tensor, attributes: Attributes) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs with those that are interpolated, and which ones these are."""
    period, (rows, columns) = attributes["sample_period"], y.shape[2:]
    if period == 1:
        return y, torch.zeros_like(y, dtype=torch.bool)
    row, column = torch.arange(rows), torch.arange(columns)
    top, left = row - row % period, column - column % period
    bottom = torch.where(top + period < rows, top + period, top)
    right = torch.where(left + period < columns, left + period, left)
    corners = torch.stack([y[:, :, r][..., c] for r in (top, bottom) for c in (left, right)])
    most, least = corners.amax(dim=0), corners.amin(dim=0)
    agree = (most < attributes["sample_below"]) & (most - least < attributes["sample_within"])
    agree &= ((row % period)[:, None] + (column % period)[None, :] > 0).to(y.device)
    down = ((row % period).to(y) / period)[:, None]
    over = (column % period).to(y) / period
    first = corners[0] + over * (corners[1] - corners[0])
    second = corners[2] + over * (corners[3] - corners[2])
    return torch.where(agree, first + down * (second - first), y), agree


def _products(
    attributes: Attributes,
    similar: torch.Tensor,
    ranks: np.ndarray,
    channels: int,
    predicted: torch.Tensor | None,
) -> torch.Tensor:
    """Of every output (N, M, P, Q) that is computed."""
    filters = attributes["weight_shape"][0]
    window = int(np.prod(attributes["weight_shape"][2:]))
    groups = similar.shape[1]
    cost = torch.where(similar, 1, window)  # (N, group, C / group, P, Q)

    def spent(until: int) -> torch.Tensor:
        """Products of every output with the channels of the first `until` ranks."""
        kept = torch.from_numpy(ranks < until)[:, None, None]
        each = (cost * kept).sum(dim=2)
        return each.repeat_interleave(filters // groups, dim=1)

    products = spent(channels)
    if predicted is not None:
        products = torch.where(predicted, spent(attributes["prefix_channels"]), products)
    return products


def check_operations(
    attributes: Attributes, effort: int, shape: tuple[int, ...], filled: int
) -> int:
    """What deciding costs for an output of `shape` of which `filled` are interpolated."""
    return _checks(attributes, level_channels(attributes, effort), shape, filled)


def _checks(attributes: Attributes, channels: int, shape: tuple[int, ...], filled: int) -> int:
    n, filters, rows, columns = shape
    window = int(np.prod(attributes["weight_shape"][2:]))
    checks = 0
    if attributes["saturation"] == PREDICTED and attributes["prefix_channels"] < channels:
        checks += n * filters * rows * columns - filled
    if attributes["similarity"] >= 0 and window > 1:
        checks += (3 * window + 2) * attributes["group"] * channels * n * rows * columns
    period = attributes["sample_period"]
    if period > 1:
        checks += LOOK_OPERATIONS * n * filters * -(-rows // period) * -(-columns // period)
        checks += FILL_OPERATIONS * filled
    return checks
