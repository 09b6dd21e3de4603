"""What a user knows about a network and wants of its bundle, and how it is written down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.export.layer_choice import Mode


@dataclass(frozen=True)
class ExportOptions:
    """Everything may be left out."""

    weights: Path | None = None
    """A state dict, for a zoo name or a factory."""
    input_shape: tuple[int, int, int] | None = None
    """(channels, height, width); needed for a factory."""
    batch: int | str | None = None
    """A number or "dynamic"; None is 1, or an ONNX file's own."""
    preprocessing: Preprocessing | None = None
    """None takes the network's own, else that of `data`, else says that it is not known."""
    labels: Path | None = None
    """Text file, one label per line; None takes the network's own."""
    data: str | None = None
    """Data set whose validation images become golden inputs."""
    output_names: tuple[str, ...] = ()
    name: str | None = None
    """Of the bundle; None takes the network's."""
    operators: Mode = "auto"
    """Which layers become custom operators."""
    trust: tuple[str, ...] = ()
    """Factories that a `.edgenet` folder may import and call."""


def parse_input_shape(text: str) -> tuple[int, int, int]:
    """`3x224x224` as (channels, height, width); raises UserError saying how it is written."""
    match = re.fullmatch(r"(\d{1,5})[x,](\d{1,5})[x,](\d{1,5})", text.strip())
    if match is None or not all(map(int, match.groups())):
        raise UserError(
            f'input shape "{text}" is not CHANNELSxHEIGHTxWIDTH such as 3x224x224 '
            "(the batch is given by --batch)"
        )
    return int(match[1]), int(match[2]), int(match[3])


def parse_batch(text: str) -> int | str:
    """`1`, another number, or `dynamic`; raises UserError for anything else."""
    if text == "dynamic" or (text.isascii() and text.isdigit() and 0 < int(text) <= 1024):
        return text if text == "dynamic" else int(text)
    raise UserError(f'batch "{text}" is neither a number from 1 to 1024 nor "dynamic"')


def parse_preprocessing(
    mean: str | None, std: str | None, scale: float | None
) -> Preprocessing | None:
    """Preprocessing from `0.485,0.456,0.406` and the like, None where nothing was given.

    Raises UserError when the two differ in length, a value is no number, or std has one below 0.
    """
    if mean is None and std is None and scale is None:
        return None
    means, deviations = _numbers("--mean", mean or "0"), _numbers("--std", std or "1")
    channels = max(len(means), len(deviations))
    means, deviations = _spread(means, channels), _spread(deviations, channels)
    if len(means) != len(deviations):
        raise UserError(f"--mean has {len(means)} values, --std has {len(deviations)}")
    if min(deviations) <= 0:
        raise UserError(f"--std {std}: every value must be above 0")
    if scale is None and max(map(abs, means)) > 4:
        raise UserError(
            f"--mean {mean} is in units of raw pixels, but pixels are multiplied by 1/255 first; "
            "add --scale 1, or give the mean of pixels in 0..1"
        )
    return Preprocessing(mean=means, std=deviations, scale=1 / 255 if scale is None else scale)


def fit_channels(preprocessing: Preprocessing, channels: int, name: str) -> Preprocessing:
    """`preprocessing` with one value per channel; a single value serves all.

    Raises UserError when there are neither 1 nor `channels` values.
    """
    if len(preprocessing.mean) not in (1, channels):
        raise UserError(
            f"{len(preprocessing.mean)} values of mean and std for {name}, "
            f"whose input has {channels} channels"
        )
    return Preprocessing(
        mean=_spread(preprocessing.mean, channels),
        std=_spread(preprocessing.std, channels),
        scale=preprocessing.scale,
    )


def bundle_paths(sources: Sequence[str], out: Path | None, name: str | None) -> list[Path]:
    """Where each source's bundle goes: `out` itself for one, `out/NAME.bundle` for several.

    Without `out`, NAME.bundle in the working folder. Raises UserError when two have one name.
    """
    if len(sources) == 1:
        return [out or Path(f"{name or name_of(sources[0])}.bundle")]
    if name is not None:
        raise UserError("--name is for one network; leave it out to name each bundle by its own")
    names = [name_of(source) for source in sources]
    twice = [each for each in names if names.count(each) > 1]
    if twice:
        raise UserError(f'{len(twice)} networks are called "{twice[0]}"; export them one by one')
    return [(out or Path()) / f"{each}.bundle" for each in names]


def name_of(source: str) -> str:
    """`nets.resnet:tiny` and `/models/tiny.onnx` and `tiny.edgenet` are all called `tiny`, and
    `yolov2:width=0.5` is called `yolov2`."""
    if ":" in source and not source.endswith((".onnx", ".edgenet", ".cfg")):
        before, _, behind = source.rpartition(":")
        return before if "=" in behind else behind
    return Path(source).stem or source


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(
            f'{option} "{text}" is not a list of numbers such as 0.485,0.456,0.406'
        ) from None


def _spread(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values * channels if len(values) == 1 else values
