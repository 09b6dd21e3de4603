"""Synaptic precision restriction: training and synthesis with weights that live on a grid.

Restricted precision as a part of the environment (arXiv:1707.00095). The network computes with
weights on the grid, the optimizer moves full-precision shadows of them (straight-through), and at
the end of training the shadows are given up. Biases and normalization stay float32.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec
import torch
from torch import nn

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.network import Precision
from edgesynth.core.precision import (
    FULL,
    Format,
    PrecisionPolicy,
    PrecisionSchedule,
    format_named,
)
from edgesynth.networks.activations import calibrate, quantize_inputs
from edgesynth.networks.grid import format_of, from_rows, to_rows, weighted_layers
from edgesynth.networks.network import Network
from edgesynth.tasks.hooks import Hook, Moment

TERNARY_THRESHOLD = 0.7
"""Share of the mean |w| above which a weight is not zero (TWN, arXiv:1605.04711)."""
_LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class Quantized:
    """Weights on a grid."""

    rows: torch.Tensor
    """float32, shape (output channels, weights of each)."""
    scales: torch.Tensor | None
    """float32, shape (output channels,); a channel of zeros has 1. None for float formats."""


def quantize(rows: torch.Tensor, form: Format, live: torch.Tensor | None = None) -> Quantized:
    """The nearest weights of `form` to `rows`, float32 of shape (output channels, weights of each).

    Integer formats of b bits are symmetric with one scale per channel, max |w| / (2^(b-1) - 1);
    ternary takes the threshold 0.7 mean |w| and as scale the mean |w| above it, over the weights
    that are True in `live` (all by default). fp16 rounds to nearest and stops at 65504.
    """
    if form.name == FULL:
        return Quantized(rows, None)
    if form.top is None:
        return Quantized(rows.clamp(-_LARGEST_HALF, _LARGEST_HALF).half().float(), None)
    if form.name == "ternary":
        return _ternary(rows, live)
    scales = _positive(rows.abs().amax(dim=1) / form.top)
    codes = torch.round(rows / scales[:, None]).clamp_(-form.top, form.top)
    return Quantized(codes * scales[:, None], scales)


def _ternary(rows: torch.Tensor, live: torch.Tensor | None) -> Quantized:
    strength = rows.abs()
    alive = torch.ones_like(strength) if live is None else live.to(strength.dtype)
    mean = (strength * alive).sum(dim=1) / alive.sum(dim=1).clamp_(min=1)
    strong = (strength > TERNARY_THRESHOLD * mean[:, None]) * alive
    mean = (strength * strong).sum(dim=1) / strong.sum(dim=1).clamp_(min=1)
    scales = _positive(mean)
    codes = torch.where((scales == mean)[:, None], rows.sign() * strong, 0.0)
    return Quantized(codes * scales[:, None], scales)


def _positive(scales: torch.Tensor) -> torch.Tensor:
    """TensorRT wants scales above zero; below the normal numbers codes could not be recovered."""
    return torch.where(scales < torch.finfo(torch.float32).tiny, torch.ones_like(scales), scales)


def formats_of(module: nn.Module, policy: PrecisionPolicy) -> dict[str, Format]:
    """The format of every layer of `module` that `policy` restricts.

    Raises UserError when `policy` keeps a layer that there is not.
    """
    layers = weighted_layers(module)
    for name in policy.keep:
        if name not in layers:
            raise UserError(f'no layer "{name}" to keep in {FULL}; {nearest(name, list(layers))}')
    own = {name: format_named(form) for name, form in policy.by_layer}
    formats = {name: own.get(name, policy.weights) for name in layers if name not in policy.keep}
    return {name: form for name, form in formats.items() if form.name != FULL}


class PrecisionHook(Hook):
    """Lets a network train with weights on the grid of `policy` while full-precision shadows learn.

    Gradients of the weights on the grid move the shadows (the straight-through estimator). The
    shadows are back, bit for bit, when the optimizer steps, so checkpoints hold them. Restricted
    activations are rounded by the range of every batch; `restrict` then gives them fixed ranges.
    """

    def __init__(self, network: Network, policy: PrecisionPolicy) -> None:
        self._network = network
        self._formats = formats_of(network.module, policy)
        self._shadows: dict[str, torch.Tensor] = {}
        quantize_inputs(
            network.module, dict.fromkeys(self._formats) if policy.activation_bits else {}
        )

    def before_forward(self, moment: Moment) -> None:
        """Put the weights on the grid and keep their shadows."""
        with torch.no_grad():
            for name, form in self._formats.items():
                weight = self._network.module.get_submodule(name).get_parameter("weight")
                self._shadows[name] = weight.detach().clone()
                weight.copy_(_on_grid(self._network, name, form)[0])

    def after_backward(self, moment: Moment) -> None:
        """Put the shadows back."""
        with torch.no_grad():
            for name, shadow in self._shadows.items():
                self._network.module.get_submodule(name).get_parameter("weight").copy_(shadow)
        self._shadows.clear()


def restrict(
    network: Network, policy: PrecisionPolicy, calibration: Iterable[torch.Tensor] = ()
) -> None:
    """Put the weights of `network` on the grid of `policy`, in place, and describe it so.

    Its scales are kept beside the weights. A network that was on another grid is so no more.
    `calibration`: batches of inputs, from which restricted activations get their ranges.

    Raises UserError when a weight is not finite or `policy` keeps a layer that there is not.
    """
    formats = formats_of(network.module, policy)
    network.scales = {}
    with torch.no_grad():
        for name, form in formats.items():
            weight = network.module.get_submodule(name).get_parameter("weight")
            if not bool(torch.isfinite(weight).all()):
                raise UserError(f"layer {name} has weights that are not finite; train more gently")
            values, scales = _on_grid(network, name, form)
            weight.copy_(values)
            if scales is not None:
                network.scales[f"{name}.weight"] = scales.clone()
    ranges = calibrate(network.module, formats, calibration) if policy.activation_bits else {}
    quantize_inputs(network.module, ranges)
    described = Precision({name: form.name for name, form in formats.items()}, ranges)
    network.description = msgspec.structs.replace(network.description, precision=described)


def as_parent(network: Network, policy: PrecisionPolicy) -> Network:
    """A copy of `network` to synthesize an offspring from that lives under `policy`.

    Its weights are on the offspring's grid, so that survival is computed on what the offspring can
    be, and weights that the grid has made zero are dead: their probability of survival is zero.
    The copy itself counts as float32, as an offspring does until its training ends.
    """
    parent = Network(copy.deepcopy(network.module), network.description, dict(network.masks))
    restrict(parent, replace(policy, activation_bits=None))
    for name in parent.description.precision.weights:
        weight = parent.module.get_submodule(name).get_parameter("weight").detach()
        if bool((weight == 0).any()):
            parent.masks[f"{name}.weight"] = weight != 0
    full = msgspec.structs.replace(parent.description, precision=Precision())
    return Network(parent.module, full, parent.masks)


def check_schedule(network: Network, schedule: PrecisionSchedule) -> None:
    """Refuse a `schedule` that does not fit `network` as the ancestor.

    Raises UserError when it keeps a layer that there is not, or names another format for
    generation 1, which is the ancestor as it is.
    """
    for form in schedule.formats:
        formats_of(network.module, PrecisionPolicy(form, schedule.keep))
    layers = [name for name in weighted_layers(network.module) if name not in schedule.keep]
    own = {format_of(network, name).name for name in layers}
    first = schedule.formats[0].name
    if len(schedule.formats) > 1 and own != {first}:
        before = own.pop() if len(own) == 1 else FULL
        raise UserError(
            f"--precision {schedule.text} begins with generation 1, the ancestor, whose weights "
            f"are {before}; write {before},{schedule.text}"
        )


def _on_grid(network: Network, name: str, form: Format) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The weight of layer `name` on the grid, in its own shape, and its scales."""
    layer = network.module.get_submodule(name)
    mask = network.masks.get(f"{name}.weight")
    live = None if mask is None else to_rows(mask, layer)
    found = quantize(to_rows(layer.get_parameter("weight").detach(), layer), form, live)
    return from_rows(found.rows, layer), found.scales
