"""The convolutions of a network that knobs can be set on, and the network with them in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesynth.core.errors import UserError
from edgesynth.dynamic.effort.execution import EffortModule

Floats = npt.NDArray[np.float32]
_KEEPS_SIGN = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Identity)


@dataclass(frozen=True)
class ConvLayer:
    """One convolution, normalization folded in."""

    name: str
    """Of the module."""
    weights: Floats
    """(M, C / group, height, width)."""
    bias: Floats
    geometry: dict[str, Any]
    """strides, pads, dilations and group of EsEffortConv."""
    rectified: bool
    """Whether nothing but a ReLU reads its output."""
    positive: bool
    """Whether its input cannot be negative, which exact saturation needs."""

    @property
    def channels(self) -> int:
        """Of a group."""
        return int(self.weights.shape[1])


@dataclass(frozen=True)
class EffortNetwork:
    """A network whose convolutions have knobs."""

    module: fx.GraphModule
    modules: dict[str, EffortModule]
    """By the name of the layer, in the order in which they run."""

    @property
    def layers(self) -> Iterator[ConvLayer]:
        """All that knobs can be set on."""
        return (each.layer for each in self.modules.values())


def with_knobs(module: nn.Module) -> EffortNetwork:
    """`module` with an `EffortModule` in place of every convolution; all knobs are off.

    The weights are copies. Raises UserError where the forward pass cannot be recorded.
    """
    module = module.eval()
    try:
        traced = fx.symbolic_trace(module)
    except Exception as error:  # any code of the user's may stumble over stand-ins for tensors
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the network's forward pass cannot be recorded: {reason}") from None
    modules = dict(traced.named_modules())
    made: dict[str, EffortModule] = {}
    for node in list(traced.graph.nodes):
        convolution = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(convolution, nn.Conv2d) or convolution.padding_mode != "zeros":
            continue
        made[str(node.target)] = _replace(traced, node, convolution, modules)
    if not made:
        raise UserError("the network has no convolution that knobs can be set on")
    traced.graph.lint()
    traced.recompile()
    return EffortNetwork(traced, made)


def _replace(
    traced: fx.GraphModule, node: fx.Node, convolution: nn.Conv2d, modules: dict[str, nn.Module]
) -> EffortModule:
    last, fused = node, convolution
    follower = _sole_reader(node)
    normalization = None if follower is None else modules.get(str(follower.target))
    if follower is not None and isinstance(normalization, nn.BatchNorm2d):
        fused = fuse_conv_bn_eval(convolution, normalization)
        last = follower
    reader = _sole_reader(last)
    layer = ConvLayer(
        str(node.target),
        fused.weight.detach().numpy().astype(np.float32),
        _bias(fused),
        _geometry(fused),
        reader is not None and _is_relu(reader, modules),
        _is_positive(node.args[0], modules),
    )
    new = EffortModule(layer)
    name = f"effort_{layer.name.replace('.', '_')}"
    traced.add_submodule(name, new)
    with traced.graph.inserting_after(last):
        placed = traced.graph.call_module(name, node.args)
    last.replace_all_uses_with(placed)
    for gone in dict.fromkeys((last, node)):
        traced.graph.erase_node(gone)
    return new


def _bias(convolution: nn.Conv2d) -> Floats:
    if convolution.bias is None:
        return np.zeros(convolution.out_channels, np.float32)
    return convolution.bias.detach().numpy().astype(np.float32)


def _geometry(convolution: nn.Conv2d) -> dict[str, Any]:
    padding = convolution.padding
    if isinstance(padding, str):
        spans = [
            d * (k - 1) for d, k in zip(convolution.dilation, convolution.kernel_size, strict=True)
        ]
        before = [span // 2 if padding == "same" else 0 for span in spans]
        after = [
            span - first if padding == "same" else 0
            for span, first in zip(spans, before, strict=True)
        ]
    else:
        before = after = list(padding)
    return {
        "strides": tuple(convolution.stride),
        "pads": (*before, *after),
        "dilations": tuple(convolution.dilation),
        "group": convolution.groups,
    }


def _sole_reader(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), nn.ReLU)
    return node.target in (torch.relu, nn.functional.relu, "relu", "relu_")


def _is_positive(node: Any, modules: dict[str, nn.Module]) -> bool:
    while isinstance(node, fx.Node):
        if _is_relu(node, modules):
            return True
        if node.op != "call_module" or not isinstance(modules.get(str(node.target)), _KEEPS_SIGN):
            return False
        node = node.args[0]
    return False
