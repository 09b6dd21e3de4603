"""Targets: what the software of a device accepts in an ONNX file, as data.

One TOML file per target in `targets/`; adding a target is adding a file. Every table names its
source and how sure it is: `datasheet` (vendor's documents or source code), `measured` (tried with
the vendor's own program), `assumed`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from edgesynth.core.errors import UserError, nearest

SCHEMA = "edgesynth.target/1"
_FOLDER = Path(__file__).with_name("targets")

Status = Literal["datasheet", "measured", "assumed"]


class Sourced(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of values with where they come from."""

    source: str
    status: Status


class Runtime(Sourced, frozen=True):
    """The program that reads the ONNX file on the device."""

    name: Literal["tensorrt", "onnxruntime"]
    version: str
    """The oldest version that the target stands for."""


class Opset(Sourced, frozen=True):
    """Versions of the default operator set."""

    export: int
    """What edgesynth writes."""
    minimum: int
    maximum: int


class Ir(Sourced, frozen=True):
    """Versions of the file format itself (`ir_version`)."""

    export: int
    """What edgesynth writes into a file without functions."""
    maximum: int
    """The greatest that is accepted without functions."""
    with_functions: int
    """What a file with model-local functions has at least (IR 8 brought them)."""


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why something is not accepted, and what to do instead."""

    reason: str
    remedy: str


class Types(Sourced, frozen=True):
    """Tensor types, by numpy's names."""

    inputs_outputs: tuple[str, ...]
    """Types that the network's own inputs and outputs may have."""
    refused: dict[str, Refusal] = {}
    """Explanations for inputs and outputs of other types."""
    int64_constants_fit_int32: bool = False
    """True where the parser turns INT64 constants into INT32 and clamps what does not fit."""


class Quantization(Sourced, frozen=True):
    """QuantizeLinear and DequantizeLinear nodes."""

    allowed: bool
    int8_constants: bool = False
    """True where weights may be INT8 constants in front of DequantizeLinear; elsewhere they are
    float constants that go through both nodes."""
    strongly_typed: bool = False
    """True where the file's types are the engine's, so that no flag makes a float32 file fp16."""
    reason: str = ""
    remedy: str = ""


class Branches(Sourced, frozen=True):
    """What the two branches of an `If` must agree in, besides the number of outputs."""

    agree_in: Literal["shape", "rank", "nothing"]
    no_pass_through: bool = False
    """True where a branch may not return a tensor from outside without a node of its own."""


class Functions(Sourced, frozen=True):
    """What the parser does with model-local functions whose plugin is registered."""

    handling: Literal["ignored", "inlined", "plugin first", "run"]


class Restriction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a node of one of `operators` must fulfil, although the operator is supported."""

    operators: tuple[str, ...]
    reason: str
    remedy: str
    source: str = ""
    """Empty: that of the operator list."""
    attributes: dict[str, tuple[str | int, ...]] = {}
    """Values that an attribute may have where it is given."""
    ones: tuple[str, ...] = ()
    """Attributes whose values must all be 1 where they are given."""
    without: dict[str, str] = {}
    """Text that a string attribute must not contain."""
    constant: tuple[int, ...] = ()
    """Positions of inputs that must be constants where they are given."""
    zero: tuple[int, ...] = ()
    """Positions of inputs that must be constants of zeros only where they are given."""
    inputs: int | None = None
    """Exact number of inputs."""
    outputs: int | None = None
    """Greatest number of outputs in use."""
    ranks: tuple[int, ...] = ()
    """Ranks that the first input may have where its shape is known."""
    not_types: tuple[str, ...] = ()
    """Types that the first input must not have where its type is known."""


class Operators(Sourced, frozen=True):
    """Empty `supported` means every operator of the opset."""

    supported: tuple[str, ...] = ()
    """Of the default domain."""
    domains: tuple[str, ...] = ()
    """Further domains whose operators the runtime has itself."""
    remedies: dict[str, str] = {}
    """How to do without an operator that is not supported."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One target: everything that a file is checked against."""

    schema: str
    name: str
    title: str
    modules: tuple[str, ...]
    """Boards that it stands for; see `edgesynth/hardware/boards`."""
    runtime: Runtime
    opset: Opset
    ir: Ir
    types: Types
    quantization: Quantization
    branches: Branches
    functions: Functions
    operators: Operators
    restriction: tuple[Restriction, ...] = ()

    @property
    def reader(self) -> str:
        """`TensorRT 8.2.1`: what reads the file, for messages."""
        names = {"tensorrt": "TensorRT", "onnxruntime": "ONNX Runtime"}
        return f"{names[self.runtime.name]} {self.runtime.version}"

    @property
    def is_tensorrt(self) -> bool:
        """True where TensorRT's parser reads the file, so that custom operators are plugins."""
        return self.runtime.name == "tensorrt"

    def supports(self, operator: str) -> bool:
        """True when the list of operators names `operator` of the default domain."""
        return not self.operators.supported or operator in self.operators.supported


def target_names() -> list[str]:
    """Names of all targets, oldest first."""
    return sorted((path.stem for path in _FOLDER.glob("*.toml")), key=_age)


@cache
def load_target(name: str) -> Target:
    """The target called `name`; raises UserError with the nearest name when there is none."""
    known = target_names()
    if name not in known:
        raise UserError(f'no target "{name}"; {nearest(name, known)}')
    return read_target(_FOLDER / f"{name}.toml")


def read_target(path: Path) -> Target:
    """A target from its file.

    Raises UserError naming the file and the field that is wrong.
    """
    try:
        target = msgspec.toml.decode(path.read_bytes(), type=Target)
    except OSError as error:
        raise UserError(f"target {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"target {path}: {error}") from None
    if target.schema != SCHEMA or target.name != path.stem:
        raise UserError(f'target {path}: schema must be "{SCHEMA}", name "{path.stem}"')
    if not target.opset.minimum <= target.opset.export <= target.opset.maximum:
        raise UserError(f"target {path}: opset.export lies outside of minimum to maximum")
    return target


def _age(name: str) -> tuple[int, str]:
    family = name.split("-", maxsplit=1)[0]
    known = ("jetpack", "tensorrt", "onnxruntime")
    return known.index(family) if family in known else len(known), name
