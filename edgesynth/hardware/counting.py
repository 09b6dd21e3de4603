"""Parameters, multiply-accumulates and bytes of a torch module, counted while it runs once.

MACs are those of convolutions and matrix products (linear layers) of one inference, batch 1:
half of what `torch.utils.flop_counter` counts. Normalization, pooling and activations are not
counted, as in the papers, nor is fused attention. torch is imported on the first call only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

_BYTES_PER_VALUE = 4  # float32


@dataclass(frozen=True)
class LayerCost:
    """One call of one layer; a layer that is called twice appears twice, its params once."""

    name: str
    """Dotted name of the innermost module that ran it; empty for the network itself."""
    kind: str
    """Class of that module, such as `Conv2d`."""
    params: int
    macs: int
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """What one inference of one image costs."""

    params: int
    """Trainable or not; a shared parameter counts once."""
    macs: int
    size_bytes: int
    """Parameters and floating-point buffers (running mean, variance) as float32."""
    layers: tuple[LayerCost, ...]
    """The layers that multiply, in the order they ran."""


def count(module: nn.Module, input_shape: tuple[int, int, int]) -> Cost:
    """The cost of `module` for one image of `input_shape` (channels, height, width).

    The module runs once on zeros, in evaluation mode and without gradients; its modes and torch's
    random state are as before afterwards. Raises UserError when it cannot take such an input.
    """
    import torch

    parameters = list(module.parameters())
    first = parameters[0] if parameters else torch.zeros(())
    example = torch.zeros(1, *input_shape, device=first.device, dtype=first.dtype)
    devices = [first.device] if first.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _evaluating(module), torch.no_grad():
        try:
            layers = _run(module, example)
        except RuntimeError as error:
            shape = "x".join(map(str, input_shape))
            raise UserError(
                f"{type(module).__name__} cannot run an input of {shape}: "
                f"{str(error).splitlines()[0]}"
            ) from error
    params = sum(parameter.numel() for parameter in parameters)
    buffers = sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())
    return Cost(
        params=params,
        macs=sum(layer.macs for layer in layers),
        size_bytes=_BYTES_PER_VALUE * (params + buffers),
        layers=tuple(layers),
    )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode that gives every submodule its own mode back (a frozen BatchNorm, say)."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


def _run(module: nn.Module, example: torch.Tensor) -> list[LayerCost]:
    """Run once; operators are seen below torch's Python surface, so functional calls count too."""
    from torch.utils._python_dispatch import TorchDispatchMode

    formulas = _formulas()
    layers: list[LayerCost] = []
    running: list[tuple[str, nn.Module]] = [("", module)]
    seen: set[int] = set()

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            output = func(*args, **(kwargs or {}))
            formula = formulas.get(func)
            if formula is not None:
                name, layer = running[-1]
                own = layer.parameters(recurse=False)
                fresh = [each for each in own if id(each) not in seen]
                seen.update(map(id, fresh))
                params = sum(each.numel() for each in fresh)
                macs = formula(args, output)
                shape = tuple(output.shape)
                layers.append(LayerCost(name, type(layer).__name__, params, macs, shape))
            return output

    def enter(name: str) -> Callable[..., None]:
        return lambda layer, _: running.append((name, layer))

    def leave(layer: nn.Module, inputs: Any, output: Any) -> None:
        running.pop()

    hooks = []
    try:
        for name, layer in module.named_modules():
            hooks.append(layer.register_forward_pre_hook(enter(name)))
            hooks.append(layer.register_forward_hook(leave))
        with Counter():
            module(example)
    finally:
        for hook in hooks:
            hook.remove()
    return layers


def _formulas() -> dict[Any, Callable[[Any, Any], int]]:
    """Multiply-accumulates by operator, from its arguments and its output."""
    import torch

    aten = torch.ops.aten

    def convolution(args: Any, output: Any) -> int:
        source, weight, transposed = args[0], args[1], args[6]
        pixels = source if transposed else output  # every pixel meets one filter's worth of weights
        return int(pixels.numel() * weight[0].numel())

    def product(first: int) -> Callable[[Any, Any], int]:
        return lambda args, output: int(output.numel() * args[first].shape[-1])

    return {
        aten.convolution.default: convolution,
        aten.mm.default: product(0),
        aten.bmm.default: product(0),
        aten.addmm.default: product(1),
        aten.baddbmm.default: product(1),
    }
