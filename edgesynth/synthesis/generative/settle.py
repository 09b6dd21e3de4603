"""Statistics of normalization, taken anew: a short training moves them less than the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def settle(module: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give every batch normalization of `module` the mean and variance that it sees on `batches`.

    All else runs as in evaluation; modes are as before afterwards.
    """
    modes = {part: part.training for part in module.modules()}
    layers = [m for m in modes if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    module.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over batches
        layer.train()
    try:
        with torch.no_grad():
            for batch in batches:
                module(batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for part, mode in modes.items():
            part.training = mode
