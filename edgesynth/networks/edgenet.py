"""The `.edgenet` folder: `network.json` and `weights.safetensors`, without pickle.

The architecture is rebuilt from the zoo, or from a factory that the user trusts by name, then
narrowed to the kept channels and filled with the weights. A hostile file can at worst be refused.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.factory import import_factory
from edgesynth.core.network import SCHEMA, Architecture, Kept, NetworkDescription, parse_ranges
from edgesynth.networks import zoo
from edgesynth.networks.activations import quantize_inputs
from edgesynth.networks.darknet_network import DarknetNetwork
from edgesynth.networks.edits import apply_edits
from edgesynth.networks.exits import ExitNetwork
from edgesynth.networks.grid import check_grid
from edgesynth.networks.narrow import narrow, widths
from edgesynth.networks.network import Network
from edgesynth_rt.files import new_folder, sha256_of, write_bytes

DARKNET = "darknet:cfg"
"""Architecture of a darknet configuration, whose text is the argument `cfg`."""
_MASK = "mask/"
_SCALE = "scale/"


def save(network: Network, folder: Path) -> NetworkDescription:
    """Write `network` to `folder` in one step and return its description with the weights' hash.

    Raises UserError when the folder cannot be written.
    """
    tensors = {
        name: t.detach().cpu().contiguous() for name, t in network.module.state_dict().items()
    }
    for name, mask in network.masks.items():
        tensors[_MASK + name] = torch.from_numpy(np.packbits(mask.cpu().numpy()))
    for name, scale in network.scales.items():
        tensors[_SCALE + name] = scale.cpu().contiguous()
    with new_folder(folder) as temporary:
        weights = Path(temporary) / "weights.safetensors"
        write_bytes(weights, serialize(tensors))
        description = msgspec.structs.replace(
            network.description, weights_sha256=sha256_of(weights)
        )
        text = msgspec.json.format(msgspec.json.encode(description), indent=2)
        write_bytes(Path(temporary) / "network.json", text + b"\n")
    return description


def read_description(folder: Path) -> NetworkDescription:
    """Only the description in `folder`, without weights.

    Raises UserError naming the file and the field that is wrong.
    """
    path = folder / "network.json"
    try:
        description = msgspec.json.decode(path.read_bytes(), type=NetworkDescription)
    except OSError as error:
        raise UserError(f"network {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UserError(f"network {path}: {error}; save the network again") from None
    if description.schema != SCHEMA:
        raise UserError(f'network {path}: schema "{description.schema}" is not "{SCHEMA}"')
    if not all(0 < side <= 1 << 14 for side in description.input_shape):
        raise UserError(
            f"network {path}: input_shape {list(description.input_shape)} is out of range"
        )
    return description


def load(folder: Path, *, trust: Collection[str] = ()) -> Network:
    """Read the network in `folder`, in evaluation mode.

    `trust` lists the factories (`package.module:function`) that may be imported and called.

    Raises UserError naming the file and the place when anything is not as the description says.
    """
    description = read_description(folder)
    path = folder / "weights.safetensors"
    tensors = _read_tensors(path, description.weights_sha256)
    module = build(description.architecture, folder, trust)
    try:
        apply_edits(module, description.edits)
        apply_kept(module, description.kept)
    except ValueError as error:
        raise UserError(f"network {folder / 'network.json'}: {error}") from None
    module = with_exits(module, description)
    packed = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_MASK)}
    scales = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_SCALE)}
    load_weights(module, tensors, str(path))
    network = Network(module.eval(), description)
    network.scales = {name.removeprefix(_SCALE): scale for name, scale in scales.items()}
    check_grid(network, str(path))
    quantize_inputs(network.module, dict(description.precision.activations))
    parameters = dict(module.named_parameters())
    for key, bits in packed.items():
        name = key.removeprefix(_MASK)
        network.masks[name] = _unpack(bits, parameters.get(name), f"{path}: {key}")
    return network


def with_exits(module: nn.Module, description: NetworkDescription) -> nn.Module:
    """`module`, the architecture of `description`, with fresh heads where it has exits."""
    if not description.exits:
        return module
    classes = len(description.classes)
    return ExitNetwork(module, description.exits, description.input_shape, classes)


def apply_kept(module: nn.Module, kept: dict[str, Kept]) -> None:
    """Narrow a freshly built architecture to the channels in `kept`.

    Raises ValueError naming the layer that is unknown or whose channels are out of range.
    """
    layers = dict(module.named_modules())
    for name, channels in kept.items():
        width = widths(layers[name]) if name in layers else None
        if width is None:
            raise ValueError(f'kept: "{name}" is not a layer that can be narrowed')
        try:
            narrow(
                layers[name],
                _indices(channels.inputs, width[0]),
                _indices(channels.outputs, width[1]),
            )
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"kept: layer {name}: {error}") from None


def load_weights(module: nn.Module, tensors: dict[str, torch.Tensor], origin: str) -> None:
    """Fill `module` with exactly `tensors`; `origin` names their file in messages.

    Raises UserError naming the first tensor that is missing, unknown, or of another shape.
    """
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise UserError(f"{origin}: no tensor {name}; it was made for another architecture")
        if tensors[name].shape != tensor.shape:
            raise UserError(
                f"{origin}: {name} is {tuple(tensors[name].shape)}, the architecture has "
                f"{tuple(tensor.shape)}; it was made for another architecture"
            )
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise UserError(f"{origin}: tensor {unknown[0]} has no place in the architecture")
    module.load_state_dict(tensors)


def build(architecture: Architecture, folder: Path, trust: Collection[str]) -> nn.Module:
    """The whole `architecture` with fresh weights, before any channel is taken away.

    `folder` names the network in messages. Raises UserError when the architecture is unknown, or
    is a factory that is not in `trust`.
    """
    kind, _, name = architecture.source.partition(":")
    if kind == "zoo":
        return zoo.build(name, **architecture.arguments)
    if architecture.source == DARKNET:
        return DarknetNetwork(str(architecture.arguments.get("cfg", "")), f"network {folder}: cfg")
    if kind != "factory":
        raise UserError(f'network {folder}: architecture "{architecture.source}" is unknown')
    if name not in trust:
        raise UserError(
            f"network {folder} is built by {name}, code that is not edgesynth's; "
            f"if you trust it, add --trust {name}"
        )
    module = import_factory(name)(**architecture.arguments)
    if not isinstance(module, nn.Module):
        raise UserError(f'"{name}" returned {type(module).__name__}, not a torch.nn.Module')
    return module


def _read_tensors(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    try:
        if sha256_of(path) != sha256:
            raise UserError(f"weights {path} do not have the hash that network.json states")
        return load_file(str(path))
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror}") from None
    except SafetensorError as error:
        raise UserError(f"weights {path} are not a safetensors file: {error}") from None


def _indices(ranges: str | None, limit: int) -> torch.Tensor | None:
    return None if ranges is None else torch.tensor(parse_ranges(ranges, limit))


def _unpack(bits: torch.Tensor, parameter: nn.Parameter | None, place: str) -> torch.Tensor:
    if parameter is None or bits.dtype != torch.uint8 or bits.dim() != 1:
        raise UserError(f"{place} is not the mask of a parameter")
    if len(bits) != (parameter.numel() + 7) // 8:
        raise UserError(f"{place} has {len(bits)} bytes for {parameter.numel()} synapses")
    live = np.unpackbits(bits.numpy(), count=parameter.numel()).astype(bool)
    return torch.from_numpy(live).reshape(parameter.shape)
