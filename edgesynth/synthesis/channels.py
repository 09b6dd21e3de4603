"""Which channels of a network live and die together.

The network runs once on an example while labels travel with its tensors: every convolution and
linear layer gives fresh labels to its output channels, an addition ties the labels of its sides, a
concatenation joins them, a flatten repeats them. What is tied is one *cluster* (a filter with
everything that must go with it). Clusters that reach the output, or an operation that is not
known to treat channels apart, are frozen: they are never removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from edgesynth.networks.narrow import is_depthwise, widths
from edgesynth.networks.reorg import GROUP, Reorg
from edgesynth.synthesis.skeleton import LOOKS_AT_VALUES, skeleton

Labels = npt.NDArray[np.int64]
"""One cluster label per channel, shape (channels,)."""

_PER_CHANNEL = frozenset(
    """relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid tanh hardtanh hardswish
    hardsigmoid softplus softsign threshold clamp clip abs exp sqrt neg square dropout dropout1d
    dropout2d dropout3d feature_dropout alpha_dropout max_pool1d max_pool2d max_pool3d avg_pool1d
    avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d interpolate upsample contiguous
    clone detach float half double to type_as instance_norm round""".split()
)
_ARITHMETIC = frozenset("add sub mul div truediv maximum minimum pow".split())
_REDUCTIONS = frozenset("mean sum amax amin".split())
_RESHAPES = frozenset("flatten view reshape".split())
_CONVOLUTIONS = frozenset("conv1d conv2d conv3d conv_transpose1d conv_transpose2d".split())
_QUESTIONS = frozenset(
    "size dim numel __get__ stride is_floating_point is_contiguous data_ptr __len__".split()
)


@dataclass
class ChannelMap:
    """The cluster of every channel of every layer that can be narrowed."""

    outputs: dict[str, Labels] = field(default_factory=dict)
    """Convolution or linear layer -> cluster of each output channel."""
    inputs: dict[str, Labels] = field(default_factory=dict)
    """Convolution or linear layer -> cluster of each input channel."""
    followers: dict[str, Labels] = field(default_factory=dict)
    """Normalization or PReLU -> cluster of each channel."""
    frozen: frozenset[int] = frozenset()
    """Clusters that must stay."""

    @property
    def size(self) -> int:
        """Labels run from 0 to below this."""
        sides = (*self.outputs.values(), *self.inputs.values(), *self.followers.values())
        return 1 + max((int(labels.max()) for labels in sides), default=-1)

    def families(self) -> list[tuple[tuple[str, ...], Labels]]:
        """Clusters that compete with each other: (their producing layers, their labels).

        Layers tied by residual additions form one family. Frozen clusters are left out.
        """
        producers: dict[int, list[str]] = {}
        for layer, labels in self.outputs.items():
            for label in np.unique(labels).tolist():
                producers.setdefault(label, []).append(layer)
        families: dict[tuple[str, ...], list[int]] = {}
        for label, layers in producers.items():
            if label not in self.frozen:
                families.setdefault(tuple(layers), []).append(label)
        return [(layers, np.array(sorted(labels))) for layers, labels in families.items()]


def trace_channels(
    module: nn.Module, example: torch.Tensor, *, on_values: bool = False
) -> ChannelMap:
    """Run `module` on `example` (batch, channels, height, width) and find its clusters.

    Leaves the module as it was. With `on_values` it runs as it is, which is faster for a small
    network: shapes without values are computed in Python.
    """
    if on_values:
        return _trace(module, example)
    bones, shapes = skeleton(module), example.to("meta")
    try:
        return _trace(bones, shapes)
    except LOOKS_AT_VALUES:
        return _trace(module, example)


def _trace(module: nn.Module, example: torch.Tensor) -> ChannelMap:
    training = {m: m.training for m in module.modules()}
    module.eval()
    try:
        tracer = _Tracer(module, example)
        with torch.no_grad(), tracer, tracer.watching(module):
            output = module(example)
        return tracer.finish(output)
    finally:
        for part, mode in training.items():
            part.training = mode


class _Tracer(TorchFunctionMode):
    """Sees every torch function that the network calls and carries labels across it."""

    def __init__(self, module: nn.Module, example: torch.Tensor) -> None:
        super().__init__()
        self._layers = dict(module.named_modules())
        self._owner = {
            id(tensor): name
            for name, layer in self._layers.items()
            if widths(layer) is not None
            for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
        }
        self._tied: list[int] = []
        self._frozen: list[int] = []
        self._map = ChannelMap()
        self._inside: nn.Module | None = None
        self._labels: dict[int, tuple[torch.Tensor, Labels]] = {}  # keeps tensors, so ids stay
        self._set(example, self._fresh(example.shape[1], frozen=True))

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Look at every `Reorg` of `module` from outside; its own reshapes say nothing."""
        handles = []
        for layer in module.modules():
            if isinstance(layer, Reorg):
                handles.append(layer.register_forward_pre_hook(self._enter))
                handles.append(layer.register_forward_hook(self._leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._inside = layer

    def _leave(
        self, layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> None:
        self._inside = None
        labels = self._get(inputs[0])
        if labels is not None:  # four channels go together, and each comes back four times
            self._tie(labels, np.repeat(labels[::GROUP], GROUP))
            self._set(output, np.tile(labels, GROUP))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._inside is not None:
            return func(*args, **kwargs)
        name = func.__name__.strip("_") if func.__name__ not in _QUESTIONS else func.__name__
        before = [self._get(tensor) for tensor in _tensors((args, kwargs))]
        result = func(*args, **kwargs)
        if name in _QUESTIONS or all(labels is None for labels in before):
            return result
        labels = self._carry(name, args, kwargs, result)
        if labels is None or not torch.is_tensor(result):
            for seen in before:
                self._freeze(seen)
            for tensor in _tensors(result):
                if tensor.dim() > 1:
                    self._set(tensor, self._fresh(tensor.shape[1], frozen=True))
        else:
            self._set(result, labels)
        return result

    def _carry(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Labels | None:
        """Labels of `result`, or None where the function is not known to keep channels apart."""
        if name in ("cat", "concat", "concatenate"):
            return self._concatenate(args, kwargs)
        source = args[0] if args else kwargs.get("input")
        labels = self._get(source)
        if {name, name.removeprefix("i"), name.removeprefix("r")} & _ARITHMETIC:
            return self._combine(args[0], args[1] if len(args) > 1 else kwargs.get("other"), result)
        if labels is None or source is None or not torch.is_tensor(result):
            return None
        if name in _CONVOLUTIONS or name == "linear":
            return self._layer(source, labels, args, kwargs)
        if name in ("batch_norm", "prelu"):
            return self._follow(labels, args, kwargs)
        if name in _RESHAPES:
            return self._reshape(name, source, labels, args, result)
        keeps = name in _PER_CHANNEL and not self._owned(args, kwargs)
        if name == "pad":
            keeps = source.dim() - (len(args[1] if len(args) > 1 else kwargs["pad"]) // 2) > 1
        elif name in _REDUCTIONS:
            keeps = _reduces_space_only(source, args, kwargs)
        elif name in ("squeeze", "unsqueeze"):
            keeps = result.shape[:2] == source.shape[:2]
        return labels if keeps and result.dim() > 1 and result.shape[1] == len(labels) else None

    def _layer(
        self, source: torch.Tensor, labels: Labels, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Labels | None:
        owned = self._owned(args, kwargs)
        if len(owned) != 1 or (isinstance(self._layers[owned[0]], nn.Linear) and source.dim() != 2):
            return None
        name, layer = owned[0], self._layers[owned[0]]
        wide_in, wide_out = widths(layer) or (0, 0)
        if wide_in != len(labels):
            return None
        seen = self._map.inputs.setdefault(name, labels)
        self._tie(seen, labels)
        outputs = self._map.outputs.get(name)
        if outputs is None:
            outputs = self._map.outputs[name] = self._fresh(wide_out)
        groups = int(getattr(layer, "groups", 1))
        if is_depthwise(layer):
            self._tie(np.repeat(labels, wide_out // wide_in), outputs)
        elif groups > 1:  # every group must keep the same positions
            self._tie(labels, np.tile(labels[: wide_in // groups], groups))
            self._tie(outputs, np.tile(outputs[: wide_out // groups], groups))
        return outputs

    def _follow(
        self, labels: Labels, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Labels | None:
        owned = self._owned(args, kwargs)
        if len(owned) != 1:
            return None
        self._tie(self._map.followers.setdefault(owned[0], labels), labels)
        return labels

    def _combine(self, left: Any, right: Any, result: torch.Tensor) -> Labels | None:
        sides = [s for s in (left, right) if torch.is_tensor(s) and s.numel() > 1]
        found = [self._get(side) for side in sides]
        if len(sides) == 1:
            return found[0]
        first, second = found
        if first is None or second is None or sides[0].dim() != sides[1].dim():
            return None
        if len(first) != len(second) or result.shape[1] != len(first):
            return None
        self._tie(first, second)
        return first

    def _concatenate(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Labels | None:
        parts = args[0] if args else kwargs["tensors"]
        dim = int(args[1] if len(args) > 1 else kwargs.get("dim", 0)) % parts[0].dim()
        found = [self._get(part) for part in parts]
        known = [labels for labels in found if labels is not None]
        if len(known) < len(found):
            return None
        if dim == 1:
            return np.concatenate(known)
        for labels in known[1:]:
            self._tie(known[0], labels)
        return known[0] if dim > 1 else None

    def _reshape(
        self, name: str, source: torch.Tensor, labels: Labels, args: Any, result: torch.Tensor
    ) -> Labels | None:
        if result.shape[0] != source.shape[0] or result.dim() < 2:
            return None
        if result.shape[:2] == source.shape[:2]:
            return labels
        sizes = args[1] if len(args) == 2 and isinstance(args[1], (tuple, list)) else args[1:]
        written_out = name != "flatten" and (len(sizes) != 2 or sizes[1] != -1)
        if result.dim() != 2 or written_out:  # a written-out width would not survive narrowing
            return None
        return np.repeat(labels, math.prod(source.shape[2:]))

    def _owned(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """Names of the layers whose parameters or statistics are among the arguments."""
        owners = (self._owner.get(id(tensor)) for tensor in _tensors((args, kwargs)))
        return list(dict.fromkeys(owner for owner in owners if owner))

    def _get(self, tensor: Any) -> Labels | None:
        entry = self._labels.get(id(tensor))
        return entry[1] if entry else None

    def _set(self, tensor: torch.Tensor, labels: Labels) -> None:
        self._labels[id(tensor)] = (tensor, labels)

    def _fresh(self, count: int, *, frozen: bool = False) -> Labels:
        labels = np.arange(len(self._tied), len(self._tied) + count)
        self._tied.extend(labels.tolist())
        if frozen:
            self._freeze(labels)
        return labels

    def _freeze(self, labels: Labels | None) -> None:
        if labels is not None:
            self._frozen.extend(labels.tolist())

    def _root(self, label: int) -> int:
        while self._tied[label] != label:
            self._tied[label] = self._tied[self._tied[label]]
            label = self._tied[label]
        return label

    def _tie(self, left: Labels, right: Labels) -> None:
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._tied[high] = low

    def finish(self, output: Any) -> ChannelMap:
        """The map with every tie resolved; what reaches `output` is frozen."""
        for tensor in _tensors(output):
            self._freeze(self._get(tensor))
        for sides in (self._map.outputs, self._map.inputs, self._map.followers):
            for name, labels in sides.items():
                sides[name] = np.array([self._root(label) for label in labels.tolist()])
        self._map.frozen = frozenset(self._root(label) for label in self._frozen)
        return self._map


def _tensors(value: Any) -> list[torch.Tensor]:
    """Every tensor inside nested tuples, lists and dicts."""
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _reduces_space_only(
    source: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    dims = args[1] if len(args) > 1 else kwargs.get("dim")
    if dims is None:
        return False
    dims = (dims,) if isinstance(dims, int) else dims
    return all(dim % source.dim() > 1 for dim in dims)
