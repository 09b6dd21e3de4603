"""Layers that read 8-bit inputs: simulated here, `QuantizeLinear` pairs in an ONNX file.

Every input of a layer is rounded to 256 levels, symmetric around zero, of one range per layer. A
hook in front of the layer does it, so the layer's own code, weights and names stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

LOWEST, HIGHEST = -128, 127
"""Codes of an 8-bit integer."""


class InputQuantizer:
    """A forward pre-hook that rounds the input of one layer."""

    def __init__(self, largest: float | None = None) -> None:
        self.largest = largest
        """The magnitude of code 127; None takes the greatest of every batch, as training does."""
        self.seen: list[float] = []
        """The greatest magnitude of every batch since the quantizer was made without `largest`."""

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs with the first one rounded."""
        largest = self.largest
        if largest is None:
            largest = float(inputs[0].detach().abs().amax())
            self.seen.append(largest)
        return (_rounded(inputs[0], scale_of(largest)), *inputs[1:])


def quantize_inputs(module: nn.Module, largest: Mapping[str, float | None]) -> None:
    """Let every layer named in `largest` read 8-bit inputs, and no other layer of `module`."""
    float_inputs(module)
    for name, value in largest.items():
        module.get_submodule(name).register_forward_pre_hook(InputQuantizer(value))


def float_inputs(module: nn.Module) -> None:
    """Let every layer of `module` read float inputs again."""
    for layer in module.modules():
        for key, hook in list(layer._forward_pre_hooks.items()):
            if isinstance(hook, InputQuantizer):
                del layer._forward_pre_hooks[key]


def calibrate(
    module: nn.Module, layers: Iterable[str], batches: Iterable[torch.Tensor]
) -> dict[str, float]:
    """The range of every layer in `layers`: its greatest input, averaged over `batches`.

    `batches` are inputs of `module`; one range per batch is what training has rounded by.
    """
    names = list(layers)
    quantize_inputs(module, dict.fromkeys(names))
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                module(batch)
    finally:
        for part, mode in training.items():
            part.training = mode
    found = {}
    for name in names:
        for hook in module.get_submodule(name)._forward_pre_hooks.values():
            if isinstance(hook, InputQuantizer) and hook.seen:
                found[name] = sum(hook.seen) / len(hook.seen)
    return found


def scale_of(largest: float) -> float:
    """The step of 8-bit codes up to `largest`, as a float32; 1 where `largest` is zero."""
    step: float = struct.unpack("f", struct.pack("f", largest / HIGHEST))[0]
    return step if step > 0 else 1.0


def _rounded(x: torch.Tensor, scale: float) -> torch.Tensor:
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined]  # public, not re-exported
    if tracing and torch.onnx.is_in_onnx_export():
        exported: torch.Tensor = _OnnxPair.apply(x, scale)
        return exported
    clamped = torch.clamp(x, LOWEST * scale, HIGHEST * scale)
    with torch.no_grad():
        rounded = torch.clamp(torch.round(x / scale), LOWEST, HIGHEST) * scale
    if not torch.is_grad_enabled():
        return rounded
    return clamped + (rounded - clamped).detach()  # straight-through inside of the range


class _OnnxPair(torch.autograd.Function):
    """Carries the symbolic of the TorchScript exporter; its forward only gives the shape."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: float) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def symbolic(g: Any, x: Any, scale: float) -> Any:
        step = g.op("Constant", value_t=torch.tensor(scale, dtype=torch.float32))
        zero = g.op("Constant", value_t=torch.tensor(0, dtype=torch.int8))
        codes = g.op("QuantizeLinear", x, step, zero)
        return g.op("DequantizeLinear", codes, step, zero).setType(x.type())
