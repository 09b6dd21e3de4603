"""From what a user writes (zoo name, `.edgenet` folder, ...) to a network."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.factory import import_factory, is_factory
from edgesynth.core.network import Architecture, NetworkDescription, Preprocessing
from edgesynth.networks import edgenet, zoo
from edgesynth.networks.darknet_config import read_config
from edgesynth.networks.darknet_network import DarknetNetwork
from edgesynth.networks.darknet_weights import is_darknet_weights, load_darknet_weights
from edgesynth.networks.edgenet import DARKNET
from edgesynth.networks.network import Network
from edgesynth.networks.zoo_spec import is_zoo_spec, parse_zoo_spec

Shape = tuple[int, int, int]
"""(channels, height, width)."""


def resolve(
    spec: str,
    *,
    weights: Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: tuple[str, ...] | None = None,
    preprocessing: Preprocessing | None = None,
    arguments: Mapping[str, zoo.Argument] | None = None,
    trust: Collection[str] = (),
) -> Network:
    """The network that `spec` names: a zoo name, with arguments or without (`yolov2:width=0.25`), a
    `.edgenet` folder, a darknet `.cfg` file, or `package.module:factory`.

    `input_shape` (channels, height, width) and `classes` fit a zoo network to the data and are
    needed for a factory; `arguments` are more of a zoo network's, where `spec` does not give them.
    `weights` is a state dict as `.safetensors` or by `torch.save`, or darknet's `.weights`. Naming
    a factory on the command line is trust in it.

    Raises UserError when the name is unknown or the weights do not fit.
    """
    if spec.endswith(".edgenet") or Path(spec).is_dir():
        network = edgenet.load(Path(spec), trust=trust)
    else:
        network = _build(spec, input_shape, classes, preprocessing, arguments or {})
    if weights is not None and is_darknet_weights(weights):
        load_darknet_weights(network.module, weights)
    elif weights is not None:
        edgenet.load_weights(network.module, read_state_dict(weights), f"weights {weights}")
    return network


def _build(
    spec: str,
    input_shape: Shape | None,
    classes: tuple[str, ...] | None,
    preprocessing: Preprocessing | None,
    arguments: Mapping[str, zoo.Argument],
) -> Network:
    if is_zoo_spec(spec):
        built = _from_zoo(spec, input_shape, classes, arguments)
    elif spec.endswith(".cfg"):
        built = _from_darknet(spec, input_shape, classes)
    elif is_factory(spec):
        built = _from_factory(spec, input_shape, classes)
    else:
        raise UserError(
            f'no network "{spec}"; {nearest(spec, zoo.names())}, '
            "or give a .edgenet folder, a darknet .cfg file or package.module:factory"
        )
    channels = built.input_shape[0]
    plain = Preprocessing(mean=(0.0,) * channels, std=(1.0,) * channels)
    description = NetworkDescription(
        name=built.name,
        architecture=built.architecture,
        input_shape=built.input_shape,
        classes=built.classes,
        preprocessing=preprocessing or plain,
        task=_task(built.module),
    )
    return Network(built.module, description)


@dataclass(frozen=True)
class _Built:
    """A module and what a description says of it."""

    module: nn.Module
    name: str
    architecture: Architecture
    input_shape: Shape
    classes: tuple[str, ...]


def _task(module: nn.Module) -> str:
    """What a module is made for, by its head or by its own word."""
    stated = getattr(module, "task", None)
    if stated in ("segmentation",):
        return str(stated)
    return "detection" if _detects(module) else "classification"


def _detects(module: nn.Module) -> bool:
    """True for a module with a detection head; a classifier may call its last layer `head` too."""
    return callable(getattr(getattr(module, "head", None), "postprocessing", None))


def _from_zoo(
    spec: str,
    input_shape: Shape | None,
    classes: tuple[str, ...] | None,
    arguments: Mapping[str, zoo.Argument],
) -> _Built:
    name, given = parse_zoo_spec(spec)
    entry = zoo.entry(name)
    input_shape = input_shape or entry.input_shape
    classes = classes or tuple(str(index) for index in range(entry.classes))
    fitted: dict[str, zoo.Argument] = {
        "classes": len(classes),
        "in_channels": input_shape[0],
        "image": min(input_shape[1:]),
    }
    fitted |= {**arguments, **given}
    module = zoo.build(name, **fitted)
    return _Built(module, name, Architecture(f"zoo:{name}", fitted), input_shape, classes)


def _from_darknet(spec: str, input_shape: Shape | None, classes: tuple[str, ...] | None) -> _Built:
    text = read_config(Path(spec))
    module = DarknetNetwork(text, spec)
    classes = classes or tuple(str(index) for index in range(module.head.classes))
    shape = input_shape or module.input_shape
    return _Built(module, Path(spec).stem, Architecture(DARKNET, {"cfg": text}), shape, classes)


def _from_factory(spec: str, input_shape: Shape | None, classes: tuple[str, ...] | None) -> _Built:
    factory = import_factory(spec)
    if input_shape is None:
        raise UserError(f"{spec}: give the input's size, for example --input-shape 3x224x224")
    module = factory()
    if not isinstance(module, nn.Module):
        raise UserError(f'"{spec}" returned {type(module).__name__}, not a torch.nn.Module')
    name = spec.partition(":")[2]
    return _Built(module, name, Architecture(f"factory:{spec}"), input_shape, classes or ())


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """A state dict from a `.safetensors` file or a file of `torch.save`, never unpickled.

    A `state_dict` entry and the `module.` prefix of DataParallel are looked through.

    Raises UserError when the file holds anything else than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols, said better below
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise UserError(f"weights {path} are not a safetensors file: {error}") from None
    except pickle.UnpicklingError:
        raise UserError(
            f"weights {path} hold pickled code, which is never run; "
            "save them with torch.save(model.state_dict(), FILE) or as safetensors"
        ) from None
    except Exception as error:  # a damaged file can make the reader fail in any way
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise UserError(f"weights {path} cannot be read: {reason}") from None
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(torch.is_tensor(t) for t in loaded.values()):
        raise UserError(f"weights {path} are not a state dict of tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in loaded.items()}
