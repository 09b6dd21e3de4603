"""Two parents of one ancestor, brought to one structure (arXiv:1709.02043, as an option).

Clusters have the same place in both parents when they were the same channel of the architecture
that both descend from; `description.kept` remembers which. The offspring is drawn among the
clusters and synapses that at least one parent still has.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Kept, format_ranges, parse_ranges
from edgesynth.networks.narrow import is_depthwise, widths
from edgesynth.networks.network import Network

Places = npt.NDArray[np.int64]
"""Ascending channel numbers of the architecture's own."""


def unite(parents: Sequence[Network]) -> tuple[Network, list[Network]]:
    """(body, carriers): the network to draw from, and each parent in the body's structure.

    The body of one parent is that parent. The body of two has every cluster and synapse that one
    of them has; a synapse that both have comes from the parent where it is stronger relative to
    its layer, other values are the mean. The parents are left as they are.

    Raises UserError for another number of parents, or parents of different architectures.
    """
    if len(parents) == 1:
        return parents[0], [parents[0]]
    if len(parents) != 2:
        raise UserError(f"an offspring has one or two parents, not {len(parents)}")
    mother, father = parents
    _refuse_strangers(mother, father)
    kept, places = _union(mother, father)
    carriers = [_moved(parent, places, kept) for parent in parents]
    return _crossed(carriers, _presence(parents, places)), carriers


def _refuse_strangers(mother: Network, father: Network) -> None:
    first, second = mother.description, father.description
    for what in ("architecture", "input_shape", "classes"):
        if getattr(first, what) != getattr(second, what):
            raise UserError(
                f"{first.name} and {second.name} cannot have offspring: their {what} differs; "
                "take two descendants of one ancestor"
            )


def _narrowable(network: Network) -> set[str]:
    wide = {name for name, layer in network.module.named_modules() if widths(layer)}
    return wide | set(network.description.kept)


def _places(network: Network, name: str) -> tuple[Places, Places]:
    """(inputs, outputs) of a layer in the architecture's own numbers."""
    kept = network.description.kept.get(name, Kept())
    width_in, width_out = widths(network.module.get_submodule(name)) or (1, 1)
    return _side(kept.inputs, width_in), _side(kept.outputs, width_out)


def _side(ranges: str | None, width: int) -> Places:
    return np.arange(width) if ranges is None else np.array(parse_ranges(ranges, 1 << 31))


def _union(
    mother: Network, father: Network
) -> tuple[dict[str, Kept], dict[str, tuple[Places, Places]]]:
    """What the body keeps, and its (inputs, outputs) by layer."""
    kept: dict[str, Kept] = {}
    places: dict[str, tuple[Places, Places]] = {}
    for name in sorted(_narrowable(mother) | _narrowable(father)):
        sides = zip(_places(mother, name), _places(father, name), strict=True)
        inputs, outputs = (np.union1d(one, other) for one, other in sides)
        places[name] = inputs, outputs
        both = [each.description.kept.get(name, Kept()) for each in (mother, father)]
        whole_in = any(each.inputs is None for each in both)
        whole_out = any(each.outputs is None for each in both)
        if not (whole_in and whole_out):
            kept[name] = Kept(
                inputs=None if whole_in else format_ranges(inputs.tolist()),
                outputs=None if whole_out else format_ranges(outputs.tolist()),
            )
    return kept, places


def _moved(
    parent: Network, places: dict[str, tuple[Places, Places]], kept: dict[str, Kept]
) -> Network:
    """`parent` in the structure of the body, zero and masked where it has nothing."""
    module = copy.deepcopy(parent.module)
    masks = {}
    for name, (inputs, outputs) in places.items():
        layer = module.get_submodule(name)
        mine_in, mine_out = _places(parent, name)
        rows = torch.from_numpy(np.searchsorted(outputs, mine_out))
        columns = _columns(layer, inputs, mine_in)
        width = len(outputs), 0 if columns is None else len(inputs) // _groups(layer)
        for key, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            if tensor is None or tensor.dim() == 0:
                continue
            moved = _spread(tensor.detach(), rows, columns, width, layer)
            if key == "weight" and tensor.dim() > 1:
                mask = parent.masks.get(f"{name}.weight", torch.ones_like(tensor, dtype=torch.bool))
                masks[f"{name}.weight"] = _spread(mask, rows, columns, width, layer)
            if key in layer._parameters:
                layer._parameters[key] = nn.Parameter(moved, requires_grad=tensor.requires_grad)
            else:
                layer._buffers[key] = moved
        _say_widths(layer, len(inputs), len(outputs))
    description = msgspec.structs.replace(parent.description, kept=kept)
    return Network(module.eval(), description, masks)


def _groups(layer: nn.Module) -> int:
    return int(getattr(layer, "groups", 1))


def _columns(layer: nn.Module, inputs: Places, mine: Places) -> torch.Tensor | None:
    """Where a layer's inputs stand in the body; None for layers whose weight has no input side."""
    if not isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)):
        return None
    if is_depthwise(layer):
        return None
    groups = _groups(layer)
    first = inputs[: len(inputs) // groups]  # every group keeps the same places
    return torch.from_numpy(np.searchsorted(first, mine[: len(mine) // groups]))


def _spread(
    tensor: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor | None,
    width: tuple[int, int],
    layer: nn.Module,
) -> torch.Tensor:
    """`tensor` with its channels at their places among zeros."""
    if tensor.dim() == 1 or columns is None:
        spread = tensor.new_zeros((width[0], *tensor.shape[1:]))
        spread[rows] = tensor
        return spread
    if isinstance(layer, nn.ConvTranspose2d):
        return (
            _spread(tensor.transpose(0, 1), rows, columns, width, nn.Identity())
            .transpose(0, 1)
            .contiguous()
        )
    spread = tensor.new_zeros((*width, *tensor.shape[2:]))
    spread[rows[:, None], columns] = tensor
    return spread


def _say_widths(layer: nn.Module, inputs: int, outputs: int) -> None:
    """Tell `layer` how wide its new tensors are."""
    names = {
        "groups": inputs if is_depthwise(layer) else _groups(layer),
        "in_channels": inputs,
        "in_features": inputs,
        "out_channels": outputs,
        "out_features": outputs,
        "num_features": outputs,
        "num_parameters": outputs,
    }
    for name, width in names.items():
        if hasattr(layer, name):
            setattr(layer, name, width)


def _presence(
    parents: Sequence[Network], places: dict[str, tuple[Places, Places]]
) -> dict[str, torch.Tensor]:
    """Layer -> which of the body's output channels each parent has, shape (2, outputs)."""
    return {
        name: torch.stack(
            [torch.from_numpy(np.isin(outputs, _places(each, name)[1])) for each in parents]
        )
        for name, (_, outputs) in places.items()
    }


def _crossed(carriers: list[Network], presence: dict[str, torch.Tensor]) -> Network:
    """One body out of two parents of one structure."""
    mother, father = carriers
    module = copy.deepcopy(mother.module)
    first, second = mother.module.state_dict(), father.module.state_dict()
    with torch.no_grad():
        for key, target in module.state_dict().items():
            if key in mother.masks:
                one, other = (_relative(state[key]) for state in (first, second))
                target.copy_(torch.where(one >= other, first[key], second[key]))
            elif target.is_floating_point():
                has = presence.get(key.rpartition(".")[0])
                number = 2 if has is None or target.dim() != 1 else has.sum(dim=0)
                target.copy_((first[key] + second[key]) / number)
    masks = {key: mask | father.masks[key] for key, mask in mother.masks.items()}
    return Network(module, mother.description, masks)


def _relative(weight: torch.Tensor) -> torch.Tensor:
    strength = weight.abs()
    return strength / strength.max().clamp_min(torch.finfo(strength.dtype).tiny)
