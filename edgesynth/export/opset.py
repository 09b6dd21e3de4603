"""Fits the versions of an ONNX file to a target, where that changes no result."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgesynth.core.errors import UserError
from edgesynth.export.agreement import agree
from edgesynth.export.candidate import Batch
from edgesynth.export.downgrade import lower_opset
from edgesynth.export.golden import tolerances
from edgesynth.export.onnx_file import opset_of, serialize
from edgesynth.export.rules import reexport
from edgesynth.export.session import Arrays, Session
from edgesynth.hardware.target import Target

#: Converted files must agree this much better than two implementations would.
_LOSSLESS = 0.01
_FIRST_IR_WITH_FLOAT8 = 9


def to_target(
    model: onnx.ModelProto,
    target: Target,
    path: Path,
    inputs: Arrays,
    outputs: Arrays,
    batch: Batch,
) -> onnx.ModelProto:
    """`model` at an opset and IR version that `target` reads.

    A converted model must compute `outputs` from `inputs` again, or it is refused.

    Raises UserError naming the file at `path` and the command that exports it anew.
    """
    opset, limits = opset_of(model), target.opset
    if limits.minimum <= opset <= limits.maximum:
        return _settled(model, target)
    wanted = limits.maximum if opset > limits.maximum else limits.minimum
    converted = _convert(model, opset, wanted, target, path)
    found = Session(serialize(converted), f"{path} at opset {wanted}").run(inputs, batch)
    atol = {name: bound * _LOSSLESS for name, bound in tolerances(outputs).items()}
    worse = [each for each in agree(outputs, found, atol, 1e-5) if not each.passed]
    if worse:
        raise _refused(path, opset, wanted, target, f"results change ({worse[0]})")
    return _settled(converted, target)


def _convert(
    model: onnx.ModelProto, opset: int, wanted: int, target: Target, path: Path
) -> onnx.ModelProto:
    if model.functions:
        raise _refused(path, opset, wanted, target, "it has functions of its own")
    try:
        converted: onnx.ModelProto = (
            lower_opset(model, wanted)
            if wanted < opset
            else onnx.version_converter.convert_version(model, wanted)
        )
        onnx.checker.check_model(converted)
    except Exception as error:  # ValueError of lower_opset, and whatever onnx raises
        reason = " ".join(str(error).split())[:200]
        raise _refused(path, opset, wanted, target, reason) from None
    return converted


def _refused(path: Path, opset: int, wanted: int, target: Target, reason: str) -> UserError:
    return UserError(
        f"{path} has opset {opset}, {target.reader} reads {target.opset.minimum} to "
        f"{target.opset.maximum}, and it cannot be converted to {wanted} without loss: {reason}; "
        f"{reexport(target.opset.export)}"
    )


def _settled(model: onnx.ModelProto, target: Target) -> onnx.ModelProto:
    """The default domain spelt "", as TensorRT wants it, and no higher IR version than is needed.

    IR 8 brought functions, 9 and 10 floating-point and integer types of 8 and 4 bits.
    """
    for entry in model.opset_import:
        entry.domain = "" if entry.domain == "ai.onnx" else entry.domain
    needed = target.ir.with_functions if model.functions else target.ir.export
    exotic = any(
        onnx.TensorProto.DataType.Name(tensor.data_type).startswith(("FLOAT8", "INT4", "UINT4"))
        for tensor in model.graph.initializer
    )
    if model.ir_version > needed and not (exotic and needed < _FIRST_IR_WITH_FLOAT8):
        model.ir_version = needed
    return model
