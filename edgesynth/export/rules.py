"""Checks an ONNX model against what a target accepts, before a board has to.

The rules are data (`edgesynth.hardware.target`); this module knows how to apply them. It restates
what NVIDIA's parsers do for versions that cannot run here, TensorRT 8.2 above all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgesynth.export.findings import Finding
from edgesynth.export.graph_view import View, numpy_name, views
from edgesynth.export.node_rules import check_node
from edgesynth.export.onnx_file import opset_of
from edgesynth.hardware.target import Target

_INT32 = np.iinfo(np.int32)


def check_model(model: onnx.ModelProto, target: Target) -> list[Finding]:
    """Everything in `model` that `target` does not accept, in the order of the file."""
    found = [*_versions(model, target), *_interface(model, target)]
    functions = frozenset((function.domain, function.name) for function in model.functions)
    # a parser that ignores functions never sees what is in them
    nodes = list(views(model, functions=target.functions.handling != "ignored"))
    for view in nodes:
        found += check_node(view, target, functions)
    found += _constants(model, nodes, target)
    return found


def fatal(findings: list[Finding]) -> list[Finding]:
    """Only those that the target does not cope with."""
    return [finding for finding in findings if finding.fatal]


def _versions(model: onnx.ModelProto, target: Target) -> Iterator[Finding]:
    opset, limits = opset_of(model), target.opset
    if not limits.minimum <= opset <= limits.maximum:
        yield Finding(
            "opset",
            "the file",
            f"it has opset {opset}, {target.reader} reads {limits.minimum} to {limits.maximum}",
            reexport(limits.export),
        )
    if target.is_tensorrt and not any(entry.domain == "" for entry in model.opset_import):
        yield Finding(
            "opset", "the file", 'the default domain is not written as ""', reexport(limits.export)
        )
    highest = target.ir.with_functions if model.functions else target.ir.maximum
    highest = max(highest, target.ir.maximum)
    if model.ir_version > highest:
        yield Finding(
            "ir",
            "the file",
            f"it has IR version {model.ir_version}, {target.reader} reads up to {highest}",
            f"set model.ir_version = {target.ir.export}",
        )
    yield from _functions(model, target)


def _functions(model: onnx.ModelProto, target: Target) -> Iterator[Finding]:
    if model.functions and model.ir_version < target.ir.with_functions:
        yield Finding(
            "ir",
            "the file",
            f"it carries functions, which IR version {model.ir_version} does not know",
            f"set model.ir_version = {target.ir.with_functions}",
        )
    for function in model.functions:
        if not function.domain:
            yield Finding(
                "function",
                f"function {function.name}",
                "a function of the default domain is refused by ONNX Runtime",
                "give it a domain",
            )
    if model.functions and target.functions.handling == "inlined":
        yield Finding(
            "function",
            "the file",
            f"{target.reader} puts a function's body in place of its plugin",
            "the device's build step strips functions; without it the result is right but slower",
            fatal=False,
        )


def _interface(model: onnx.ModelProto, target: Target) -> Iterator[Finding]:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    for role, values in (("input", inputs), ("output", model.graph.output)):
        for value in values:
            if not value.type.HasField("tensor_type"):
                what, remedy = "it is no tensor", "take and return tensors only"
                yield Finding(f"{role} type", f'{role} "{value.name}"', what, remedy)
                continue
            kind = numpy_name(value.type.tensor_type.elem_type)
            if kind in target.types.inputs_outputs:
                continue
            known = target.types.refused.get(kind)
            reason = known.reason if known else f"{target.reader} has no such type"
            remedy = known.remedy if known else f"use {target.types.inputs_outputs[0]}"
            place = f'{role} "{value.name}" ({kind})'
            yield Finding(f"{role} type", place, reason, remedy)


def _constants(model: onnx.ModelProto, nodes: list[View], target: Target) -> Iterator[Finding]:
    """Weights of types that the target narrows or lacks, and INT64 values it would clamp."""
    if not target.is_tensorrt:
        return
    ends = {name for view in nodes if view.node.op_type == "Slice" for name in view.node.input[1:3]}
    for tensor in {id(t): t for t in _tensors(model, nodes)}.values():
        place = f'constant "{tensor.name}"'
        if tensor.data_type == TensorProto.DOUBLE:
            yield Finding(
                "constant type",
                place,
                "TensorRT narrows DOUBLE to FLOAT",
                "convert it with .float() before exporting",
                fatal=False,
            )
        narrowed = target.types.int64_constants_fit_int32 and tensor.data_type == TensorProto.INT64
        if narrowed and tensor.name not in ends and _leaves_int32(tensor):
            yield Finding(
                "constant type",
                place,
                "it holds INT64 values beyond INT32, which TensorRT 8 clamps",
                "keep integers below 2147483648",
            )


def _tensors(model: onnx.ModelProto, nodes: list[View]) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for view in nodes:
        value = view.attribute("value") if view.node.op_type == "Constant" else None
        if isinstance(value, TensorProto):
            named = TensorProto()
            named.CopyFrom(value)
            named.name = view.node.output[0]
            yield named


def _leaves_int32(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    return bool(values.size and (values.max() > _INT32.max or values.min() < _INT32.min))


def reexport(opset: int) -> str:
    """The command that writes a file at `opset`, for the end of a message."""
    return (
        f'export again with torch.onnx.export(model, example, "model.onnx", '
        f"opset_version={opset}, dynamo=False), or give edgesynth the package.module:factory"
    )
