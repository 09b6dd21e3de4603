"""What exact saturation saves a machine that computes output by output.

Such a machine may add every filter's weights in an order of its own: those above 0 first, then the
others, greatest magnitude first. With an input that is not negative the sum only falls from there,
so it stops at the first look that finds it not above 0: the output is 0 whatever follows (Akhlaghi
et al., SnaPEA, ISCA 2018). Vectors share one order of channels, and save less; see
`effort_spec.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

LOOKS = 8
"""While the weights that are not above 0 are added: after every eighth of a filter's."""


def exact_operations(
    x: torch.Tensor, attributes: dict[str, Any], looks: int = LOOKS
) -> tuple[int, int]:
    """(multiply-accumulates, comparisons) for x (N, C, H, W) not negative; weights that are 0 cost
    nothing. `attributes` are those of an EsEffortConv with ReLU."""
    weights = attributes["weights"].reshape(attributes["weight_shape"])
    filters = len(weights)
    flat = weights.reshape(filters, -1)
    negative = np.argsort(np.where(flat < 0, flat, np.inf), axis=1, kind="stable")
    counts = (flat < 0).sum(axis=1)
    positive = torch.from_numpy((flat > 0).sum(axis=1))[:, None, None]
    sums = _convolve(x, np.maximum(weights, 0), attributes)
    sums = sums + torch.from_numpy(attributes["bias"])[:, None, None]
    products = int((positive * torch.ones_like(sums, dtype=torch.int64)).sum())
    checks = sums.numel()
    going = sums > 0
    for look in range(looks):
        part = np.zeros_like(flat)
        sizes = np.zeros(filters, np.int64)
        for f in range(filters):
            places = negative[f, counts[f] * look // looks : counts[f] * (look + 1) // looks]
            part[f, places], sizes[f] = flat[f, places], len(places)
        products += int((going * torch.from_numpy(sizes)[:, None, None]).sum())
        sums = sums + _convolve(x, part.reshape(weights.shape), attributes)
        checks += int(going.sum()) if look < looks - 1 else 0
        going &= sums > 0
    return products, checks


def _convolve(x: torch.Tensor, weights: Any, attributes: dict[str, Any]) -> torch.Tensor:
    top, left, bottom, right = attributes["pads"]
    return functional.conv2d(
        functional.pad(x, (left, right, top, bottom)),
        torch.from_numpy(weights),
        stride=attributes["strides"],
        dilation=attributes["dilations"],
        groups=attributes["group"],
    )
