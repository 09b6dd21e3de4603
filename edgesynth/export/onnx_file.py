"""From a torch module to one ONNX model at exactly the opset that was asked for.

torch has two exporters. The one by TorchScript (`dynamo=False`) truly writes opsets 7 to 20; the
newer one writes 18 whatever is asked for and converts down only where it can, which the user
learns on the board. So the first is used, and what it wrote is verified.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from edgesynth.core.errors import CheckError, UserError
from edgesynth.export.tidy import tidy

BATCH_SYMBOL = "N"
#: Warnings of the exporter that say nothing about the network.
_NOISE = (
    "Constant folding - Only steps=1 can be constant folded",
    "The shape inference of prim::Constant type is missing",
)


@dataclass(frozen=True)
class Exported:
    """An ONNX model, and what the exporter had to say about the network."""

    model: onnx.ModelProto
    warnings: tuple[str, ...]


def export_module(
    module: nn.Module,
    *examples: torch.Tensor,
    opset: int,
    ir_version: int,
    dynamic_batch: bool = False,
    input_names: Sequence[str] = ("input",),
    output_names: Sequence[str] = (),
) -> Exported:
    """The ONNX model of `module`, BatchNorm folded, with the inputs `input_names`.

    `examples`: one for each input, such as an image batch, float32 (batch, channels, height,
    width); their batch is the model's unless `dynamic_batch`, which names the first dimension of
    every input and output `N`. A single output
    is called `logits` when it has two axes, else `output`; several take the keys of a dictionary
    or `output_0`, `output_1`; `output_names` overrides all. The module keeps its modes.

    Raises UserError when the module cannot run or be exported at `opset`, CheckError when the
    exporter wrote another opset than it was asked for.
    """
    with evaluating(module), _tensors_only(module, examples) as (plain, found):
        names = list(output_names) or found
        if len(names) != len(found):
            raise UserError(f"{len(names)} output names for a network with {len(found)} outputs")
        ends = (*input_names, *names)
        axes = {name: {0: BATCH_SYMBOL} for name in ends} if dynamic_batch else None
        model, said = _run_exporter(plain, examples, opset, (list(input_names), names), axes)
    assert_opset(model, opset)
    tidy(model)
    model.ir_version = ir_version
    return Exported(model, said)


def serialize(model: onnx.ModelProto) -> bytes:
    """The bytes of `model`; equal models give equal bytes.

    Raises UserError when they pass 2 GB, the limit of the file format.
    """
    try:
        data: bytes = model.SerializeToString(deterministic=True)
    except ValueError:
        raise UserError("the ONNX file would pass 2 GB, the limit of its format") from None
    return data


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set; 1 where a file names none, as ONNX has it."""
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    return 1


def assert_opset(model: onnx.ModelProto, opset: int) -> None:
    """Raise CheckError unless `model` has the default opset `opset`, whatever the exporter said."""
    written = opset_of(model)
    if written != opset:
        raise CheckError(
            f"the exporter wrote opset {written} instead of {opset}; "
            "nothing was saved (torch.onnx.export(..., dynamo=False) writes the one asked for)"
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients; every submodule gets its own mode back."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for each, training in modes:
            each.training = training


def run_module(module: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """The outputs of `module` for `batch` by the names that `export_module` gives them.

    Raises UserError, naming the input's shape, when the module cannot take it.
    """
    return _named(_forward(module, (batch,)))


def _forward(module: nn.Module, examples: tuple[torch.Tensor, ...]) -> Any:
    try:
        return module(*examples)
    except Exception as error:
        shape = "x".join(map(str, examples[0].shape[1:]))
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise UserError(
            f"{type(module).__name__} cannot run an input of {shape}: {reason}; "
            "give the size it was trained for with --input-shape"
        ) from error


def _named(made: Any) -> dict[str, torch.Tensor]:
    if isinstance(made, torch.Tensor):
        return {"logits" if made.dim() == 2 else "output": made}
    if isinstance(made, Mapping):
        named = {str(key): value for key, value in made.items()}
    elif isinstance(made, Sequence) and not isinstance(made, str):
        named = {f"output_{index}": value for index, value in enumerate(made)}
    else:
        named = {"": made}
    wrong = [value for value in named.values() if not isinstance(value, torch.Tensor)]
    if wrong or not named:
        kind = type(wrong[0] if wrong else made).__name__
        raise UserError(
            f"the network returns a {kind} where a tensor is needed; "
            "return a tensor, a tuple of tensors or a dictionary of tensors"
        )
    return named


@contextmanager
def _tensors_only(
    module: nn.Module, examples: tuple[torch.Tensor, ...]
) -> Iterator[tuple[nn.Module, list[str]]]:
    """`module` itself, or a shell around it where it returns anything but tensors in a tuple."""
    made = _forward(module, examples)
    names = list(_named(made))
    if isinstance(made, torch.Tensor | tuple):
        yield module, names
        return

    class Tuple(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = module

        def forward(self, *batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(_named(self.network(*batch)).values())

    yield Tuple().eval(), names


def _run_exporter(
    module: nn.Module,
    examples: tuple[torch.Tensor, ...],
    opset: int,
    names: tuple[list[str], list[str]],
    dynamic_axes: dict[str, dict[int, str]] | None,
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    stream: Any = io.BytesIO()  # taken by this exporter, though its annotation says paths only
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            torch.onnx.export(
                module,
                examples,
                stream,
                input_names=names[0],
                output_names=names[1],
                dynamic_axes=dynamic_axes,
                opset_version=opset,
                dynamo=False,
            )
        except Exception as error:
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise UserError(
                f"torch cannot write {type(module).__name__} at opset {opset}: {reason}"
            ) from error
    said = [_told(each) for each in caught if not _is_noise(each)]
    return onnx.load_from_string(stream.getvalue()), tuple(dict.fromkeys(said))


def _is_noise(warning: warnings.WarningMessage) -> bool:
    """The exporter's own deprecations are not the user's business; everything else is."""
    if issubclass(warning.category, DeprecationWarning | FutureWarning):
        return "torch" in Path(warning.filename).parts or warning.filename == __file__
    return any(known in str(warning.message) for known in _NOISE)


def _told(warning: warnings.WarningMessage) -> str:
    text = " ".join(str(warning.message).split())
    place = Path(warning.filename)
    return text if "torch" in place.parts else f"{place.name}, line {warning.lineno}: {text}"
