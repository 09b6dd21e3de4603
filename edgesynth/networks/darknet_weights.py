"""darknet's `.weights` files (src/parser.c, `load_weights_upto` and `load_convolutional_weights`).

A header (version, images seen), then float32 numbers without any structure: of each convolution in
the order of the configuration its biases, with batch normalization also scales, means and
variances, and then its filters. Nothing but the count says whether they belong to a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgesynth.core.errors import UserError

_PARTIAL = re.compile(r"\.conv\.(\d{1,4})$")


@dataclass(frozen=True)
class Header:
    """What stands before the numbers."""

    version: tuple[int, int, int]
    seen: int
    """Images that the network was trained on."""
    size_bytes: int


def is_darknet_weights(path: Path) -> bool:
    """True for NAME.weights, and for NAME.conv.N, the first N convolutions of a network."""
    return path.suffix == ".weights" or _PARTIAL.search(path.name) is not None


def load_darknet_weights(module: nn.Module, path: Path) -> Header:
    """Fill `module` from the file at `path`: all of it, or its first N layers from NAME.conv.N.

    The module's convolutions must be defined in the order of darknet's configuration, each with
    its batch normalization right behind it; yolov2 and configurations that edgesynth reads are.

    Raises UserError when the file cannot be read, has too few or too many numbers, or the module
    has other layers with weights.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror}") from None
    header = read_header(data, path)
    pairs = _convolutions(module, path)
    partial = _PARTIAL.search(path.name)
    if partial is not None:
        pairs = pairs[: int(partial[1])]
    targets = [(name, tensor) for name, one, two in pairs for tensor in _order(one, two)]
    stream = data[header.size_bytes :]
    _check_length(stream, targets, path)
    numbers = np.frombuffer(stream, "<f4")
    with torch.no_grad():
        for _, tensor in targets:
            part, numbers = numbers[: tensor.numel()], numbers[tensor.numel() :]
            tensor.copy_(torch.from_numpy(part.astype(np.float32)).view_as(tensor))
    return header


def read_header(data: bytes, path: Path) -> Header:
    """The first 16 or 20 bytes of a weights file; `path` names it in messages.

    Raises UserError when they are not there or no version of darknet.
    """
    if len(data) < 16:
        raise UserError(f"weights {path} have {len(data)} bytes, less than darknet's header")
    major, minor, revision = np.frombuffer(data[:12], "<i4").tolist()
    if not all(0 <= each < 1000 for each in (major, minor, revision)):
        raise UserError(
            f"weights {path} start with version {major}.{minor}.{revision}; "
            "they are not darknet's, or were written on another kind of machine"
        )
    wide = major * 10 + minor >= 2  # 64 bits since version 0.2
    if wide and len(data) < 20:
        raise UserError(f"weights {path} have {len(data)} bytes, less than darknet's header")
    seen = np.frombuffer(data[12:20], "<i8") if wide else np.frombuffer(data[12:16], "<i4")
    return Header((major, minor, revision), int(seen[0]), 20 if wide else 16)


def _convolutions(module: nn.Module, path: Path) -> list[tuple[str, nn.Conv2d, _BatchNorm | None]]:
    """Every convolution with its batch normalization, in the order of definition."""
    pairs: list[tuple[str, nn.Conv2d, _BatchNorm | None]] = []
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            pairs.append((name, layer, None))
        elif isinstance(layer, _BatchNorm) and pairs and pairs[-1][2] is None:
            pairs[-1] = (*pairs[-1][:2], layer)
        elif any(True for _ in layer.parameters(recurse=False)):
            raise UserError(
                f"weights {path}: {name} is a {type(layer).__name__}, and darknet's files are read "
                "for convolutions only; give yolov2, or the .cfg file that belongs to them"
            )
    return pairs


def _order(convolution: nn.Conv2d, normalization: _BatchNorm | None) -> Iterator[torch.Tensor]:
    """The tensors of one layer in the order of the file."""
    if normalization is None:
        if convolution.bias is not None:
            yield convolution.bias
    else:
        known = (
            normalization.bias,
            normalization.weight,
            normalization.running_mean,
            normalization.running_var,
        )
        yield from (tensor for tensor in known if tensor is not None)
    yield convolution.weight


def _check_length(stream: bytes, targets: list[tuple[str, torch.Tensor]], path: Path) -> None:
    wanted = sum(tensor.numel() for _, tensor in targets)
    there, rest = divmod(len(stream), 4)
    if there == wanted and not rest:
        return
    if there < wanted:
        ends = np.cumsum([tensor.numel() for _, tensor in targets])
        name = targets[int(np.searchsorted(ends, there, side="right"))][0]
        raise UserError(
            f"weights {path}: {wanted - there:,} of {wanted:,} floats are missing, it ends in "
            f"layer {name}; the file was cut off, or belongs to another configuration"
        )
    surplus = f"{there - wanted:,} floats" + (f" and {rest} bytes" if rest else "")
    raise UserError(
        f"weights {path}: {surplus} are left over after the network's {wanted:,}; "
        "the file belongs to another configuration"
    )
