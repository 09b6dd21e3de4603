"""The inquisitor's probes: stimuli go into a network, and the reactions of its stages are observed.

Half of the stimuli are images, half are noise. What is observed needs no labels, so that it serves
every task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

REACTIONS = ("activation", "dead", "rank", "knock_out")
"""Of one stage, each a mean over its layers: log10 of the mean magnitude of what comes out; share
of channels that hardly react; effective rank over the number of channels (participation ratio of
the eigenvalues of the channels' covariance); and the relative change of the network's output when
every second channel is silent."""
IMAGES = 16
_DEAD = 1e-3
"""Of the mean magnitude of a layer, below which a channel counts as dead."""
Array = npt.NDArray[np.float64]


def stimuli(batches: Iterable[torch.Tensor]) -> torch.Tensor:
    """Up to 16 images of `batches` and as much noise, shape (n, channels, height, width)."""
    images = next(iter(batches))[:IMAGES]
    generator = torch.Generator().manual_seed(IMAGES)
    return torch.cat([images, torch.randn(images.shape, generator=generator)])


def probe(module: nn.Module, stimulus: torch.Tensor, stages: Mapping[str, int]) -> Array:
    """Reactions by stage, shape (stages, len(REACTIONS)); `stages` maps layers to stages.

    Stages without a layer in `module` have zeros. The module is left as it was.
    """
    count = max(stages.values(), default=-1) + 1
    found_in = {name: stage_of(name, stages) for name, _ in module.named_modules()}
    layers = {name: stage for name, stage in found_in.items() if stage is not None}
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            output, seen = _observe(module, stimulus, layers)
            found = np.zeros((count, len(REACTIONS)))
            for stage in range(count):
                mine = [seen[name] for name, own in layers.items() if own == stage and name in seen]
                if mine:
                    found[stage, :3] = np.mean(mine, axis=0)
                    hit = [name for name in seen if layers[name] == stage]
                    found[stage, 3] = _knock_out(module, stimulus, hit, output)
    finally:
        for part, mode in modes.items():
            part.training = mode
    return np.nan_to_num(found, nan=0.0, posinf=10.0, neginf=-10.0)


def stage_of(name: str, stages: Mapping[str, int]) -> int | None:
    """The stage of a layer; the 1 x 1 part of a separable convolution stands for the whole."""
    if name in stages:
        return stages[name]
    parent, _, part = name.rpartition(".")
    return stages.get(parent) if part == "1" else None


def _observe(
    module: nn.Module, stimulus: torch.Tensor, layers: Mapping[str, int]
) -> tuple[torch.Tensor, dict[str, Array]]:
    seen: dict[str, Array] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.dim() > 1:
                seen[name] = _statistics(output)

        return note

    with _Hooks(module, {name: watch(name) for name in layers if is_leaf(module, name)}):
        return _flat(module(stimulus)), seen


def is_leaf(module: nn.Module, name: str) -> bool:
    """Whether the submodule called `name` has no further ones."""
    return not list(module.get_submodule(name).children())


def _statistics(output: torch.Tensor) -> Array:
    """Log mean magnitude, share of dead channels, and relative effective rank of one layer."""
    channels = output.transpose(0, 1).flatten(1)
    magnitude = channels.abs().mean(dim=1)
    mean = float(magnitude.mean())
    dead = float((magnitude <= _DEAD * mean).float().mean())
    if channels.shape[1] > 4096:
        channels = channels[:, :: channels.shape[1] // 4096]
    centred = channels - channels.mean(dim=1, keepdim=True)
    covariance = centred @ centred.T
    total = float(covariance.diagonal().sum())
    squares = float((covariance**2).sum())
    rank = total**2 / squares / len(channels) if squares > 0 else 0.0
    return np.array([np.log10(mean + 1e-12), dead, rank])


def _knock_out(
    module: nn.Module, stimulus: torch.Tensor, names: list[str], before: torch.Tensor
) -> float:
    """Relative change of the output with every second channel of the layers silent."""

    def silence(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        muted = output.clone()
        muted[:, ::2] = 0
        return muted

    with _Hooks(module, dict.fromkeys(names, silence)):
        after = _flat(module(stimulus))
    return float((after - before).norm() / before.norm().clamp(min=1e-12))


class _Hooks:
    """Forward hooks for as long as the context."""

    def __init__(self, module: nn.Module, hooks: Mapping[str, Callable[..., object]]) -> None:
        self._module, self._hooks = module, hooks
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> None:
        for name, hook in self._hooks.items():
            layer = self._module.get_submodule(name)
            self._handles.append(layer.register_forward_hook(hook))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def _flat(output: object) -> torch.Tensor:
    """All numbers that a network gives, shape (n,)."""
    if isinstance(output, torch.Tensor):
        return output.flatten()
    parts: Iterable[object] = ()
    if isinstance(output, dict):
        parts = output.values()
    elif isinstance(output, (tuple, list)):
        parts = output
    return torch.cat([_flat(part) for part in parts])
