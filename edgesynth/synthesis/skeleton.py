"""A network's structure without its values: what asks only for shapes need not multiply."""

from __future__ import annotations

import copy

import torch
from torch import nn

LOOKS_AT_VALUES = (RuntimeError, TypeError, ValueError)
"""What a skeleton raises when it is run, but decides by values; the network itself may still run.
"""


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
