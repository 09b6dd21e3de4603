"""A network's structure without its values: what asks only for shapes need not multiply."""

from __future__ import annotations

import copy

import torch
from torch import nn


def skeleton(module: nn.Module) -> nn.Module:
    """A copy of `module` on torch's meta device; running it computes shapes only, in no time."""
    memo: dict[int, object] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        empty = torch.empty_like(tensor, device="meta")
        if isinstance(tensor, nn.Parameter):
            empty = nn.Parameter(empty, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = empty
    bones: nn.Module = copy.deepcopy(module, memo)
    return bones
