"""The description of a network: `network.json` inside a `.edgenet` folder, without torch.

It says how to make the network again without running code from the file: which architecture
(a zoo name, or a factory that the user must name as trusted), and which channels of every layer
are kept. Weights lie beside it in `weights.safetensors`.
"""

from __future__ import annotations

import msgspec

SCHEMA = "edgesynth.network/1"


class Architecture(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where the module comes from: `zoo:NAME`, `factory:PACKAGE.MODULE:FUNCTION`, or `darknet:cfg`
    with a configuration's text as the argument `cfg`."""

    source: str
    arguments: dict[str, int | float | str | bool] = {}


class Kept(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Channels of one layer that are kept, as ranges `0-19,25` of the architecture's own."""

    inputs: str | None = None
    outputs: str | None = None


class Edit(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """How one module differs from the architecture's own, see `networks.edits`."""

    layer: str
    """Dotted name of the module."""
    skip: bool = False
    """It does nothing: its input is its output."""
    mute: bool = False
    """It gives zero: a branch of an addition that is left out."""
    separable: bool = False
    """A convolution that has become a depthwise one (`LAYER.0`) and a 1 x 1 one (`LAYER.1`)."""
    inputs: int | None = None
    """Channels; None leaves them as they are."""
    outputs: int | None = None
    kernel: int | None = None
    """Side of a square window; the padding grows and shrinks with it, but not below 0."""
    groups: int | None = None


class Preprocessing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """From raw uint8 NCHW pixels to the network's input: (pixel * scale - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255


class Precision(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What is restricted to a grid; see `edgesynth.core.precision`. Absent layers are float32."""

    weights: dict[str, str] = {}
    """Layer -> format of its weights."""
    activations: dict[str, float] = {}
    """Layer -> largest magnitude that its 8-bit input stands for."""


class Exit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A classifier on the output of one layer; see `edgesynth.networks.exits`."""

    layer: str
    """Name in the architecture."""
    convolutions: int = 2
    """3 x 3, each with stride 2, before the linear layer; 0 takes the mean of every channel."""
    channels: int = 32
    """Of these convolutions."""


class Lineage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where this network comes from. Generation 1 is the ancestor."""

    generation: int = 1
    parent: str | None = None
    """SHA-256 of the parent's weights file."""
    seed: int | None = None
    command: str = ""
    versions: dict[str, str] = {}


class NetworkDescription(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Everything about a network except its weights."""

    schema: str = SCHEMA
    name: str
    architecture: Architecture
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    task: str = "classification"
    edits: tuple[Edit, ...] = ()
    """What a generator changed of the architecture, in this order; `kept` is on top of it."""
    kept: dict[str, Kept] = {}
    """Layers that differ from the architecture's own widths; absent layers are whole."""
    precision: Precision = Precision()
    """Integer weights have their scales beside them in the weights' file."""
    exits: tuple[Exit, ...] = ()
    """Early exits, in the order in which they are reached. With any, names of layers and weights
    begin with `backbone.` or `heads.NUMBER.`, but for those in `kept`."""
    lineage: Lineage = Lineage()
    accuracy: dict[str, float] = {}
    """Per split, a fraction: {"validation": 0.91, "test": 0.905}."""
    data: str = ""
    weights_sha256: str = ""


def format_ranges(indices: list[int]) -> str:
    """Ascending indices as ranges: [0, 1, 2, 5] -> `0-2,5`."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def parse_ranges(text: str, limit: int) -> list[int]:
    """The indices in `text`, strictly ascending and below `limit`.

    Raises ValueError when the text is malformed, empty, out of range or not ascending.
    """
    indices: list[int] = []
    for span in text.split(","):
        first, _, last = span.partition("-")
        if not (span.isascii() and first.isdigit() and (last.isdigit() or "-" not in span)):
            raise ValueError(f'"{span[:20]}" is not a channel range')
        start, stop = int(first), int(last or first)
        if not (indices[-1] if indices else -1) < start <= stop < limit:
            raise ValueError(f'channel range "{span[:20]}" is not ascending below {limit}')
        indices.extend(range(start, stop + 1))
    return indices
