"""Rules for single nodes: is the operator there, and is it used in the way that is supported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import numpy_helper

from edgesynth.export.findings import Finding
from edgesynth.export.graph_view import View
from edgesynth.hardware.target import Restriction, Target

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def check_node(view: View, target: Target, functions: frozenset[tuple[str, str]]) -> list[Finding]:
    """What is wrong with one node for `target`; `functions` are the model's own (domain, name)."""
    if not view.is_standard:
        return list(_custom(view, target, functions))
    operator = view.node.op_type
    if operator in _QUANTIZERS and not target.quantization.allowed:
        rule = target.quantization
        return [Finding("quantization", view.place, rule.reason, rule.remedy)]
    if not target.supports(operator):
        remedy = target.operators.remedies.get(operator, "replace it by other operators")
        return [Finding("operator", view.place, f"{target.reader} has no {operator}", remedy)]
    found = [
        Finding("operator use", view.place, f"{restriction.reason} ({broken})", restriction.remedy)
        for restriction in target.restriction
        if operator in restriction.operators
        for broken in _broken(view, restriction)
    ]
    if operator == "If":
        found += _branches(view, target)
    return found


def _broken(view: View, rule: Restriction) -> Iterator[str]:
    """Each way in which `view` breaks `rule`, in a few words."""
    yield from _broken_attributes(view, rule)
    for position in (*rule.constant, *rule.zero):
        name = view.given(position)
        if name is not None and name not in view.scope.constants:
            yield f"input {position} is computed"
        elif name is not None and position in rule.zero and not _all_zero(view, name):
            yield f"input {position} is not zero"
    if rule.inputs is not None and len(view.node.input) != rule.inputs:
        yield f"it has {len(view.node.input)} inputs instead of {rule.inputs}"
    used = sum(bool(name) for name in view.node.output)
    if rule.outputs is not None and used > rule.outputs:
        yield f"{used} outputs are used"
    first = view.given(0) or ""
    rank = view.scope.rank(first)
    if rule.ranks and rank is not None and rank not in rule.ranks:
        yield f"the input has rank {rank}"
    if view.scope.types.get(first) in rule.not_types:
        yield f"the input is {view.scope.types[first]}"


def _broken_attributes(view: View, rule: Restriction) -> Iterator[str]:
    for name, allowed in rule.attributes.items():
        value = view.attribute(name)
        if value is not None and value not in allowed:
            yield f"{name} is {value}"
    for name in rule.ones:
        values: Any = view.attribute(name) or ()
        if any(value != 1 for value in values):
            yield f"{name} are {list(values)}"
    for name, text in rule.without.items():
        if text in str(view.attribute(name) or ""):
            yield f'{name} is "{view.attribute(name)}"'


def _all_zero(view: View, name: str) -> bool:
    tensor = view.scope.constants[name]
    return tensor is not None and not numpy_helper.to_array(tensor).any()


def _branches(view: View, target: Target) -> Iterator[Finding]:
    then, other = view.attribute("then_branch"), view.attribute("else_branch")
    if not isinstance(then, onnx.GraphProto) or not isinstance(other, onnx.GraphProto):
        yield Finding("if", view.place, "it lacks a branch", "export the model again")
        return
    if len(then.output) != len(other.output):
        yield Finding(
            "if",
            view.place,
            f"its branches have {len(then.output)} and {len(other.output)} outputs",
            "return the same number of tensors from both branches",
        )
    for one, two in zip(then.output, other.output, strict=False):
        yield from _branch_outputs(view, target, one, two)
    for branch in (then, other) if target.branches.no_pass_through else ():
        made = {name for node in branch.node for name in node.output}
        for output in branch.output:
            if output.name not in made:
                yield Finding(
                    "if",
                    view.place,
                    f'a branch only passes "{output.name}" on, which the parser miscounts',
                    "put an Identity into the branch",
                )


def _branch_outputs(
    view: View, target: Target, one: onnx.ValueInfoProto, two: onnx.ValueInfoProto
) -> Iterator[Finding]:
    remedy = "give both branches' outputs the same shape and names of their own"
    if target.is_tensorrt and one.name == two.name:
        yield Finding("if", view.place, f'both branches call their output "{one.name}"', remedy)
    shapes = [
        [each.dim_value if each.HasField("dim_value") else None for each in shape.dim]
        for shape in (one.type.tensor_type.shape, two.type.tensor_type.shape)
        if one.type.tensor_type.HasField("shape") and two.type.tensor_type.HasField("shape")
    ]
    if not shapes or target.branches.agree_in == "nothing":
        return
    differ = len(shapes[0]) != len(shapes[1])
    if target.branches.agree_in == "shape":
        differ = differ or any(
            a is not None and b is not None and a != b
            for a, b in zip(shapes[0], shapes[1], strict=True)
        )
    if differ:
        what = f"its branches return {shapes[0]} and {shapes[1]}"
        yield Finding("if", view.place, what, remedy)


def _custom(view: View, target: Target, functions: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    """A custom operator: its function says what it means, two attributes find its plugin."""
    node = view.node
    if node.domain in target.operators.domains:
        return
    if node.domain.startswith("com.microsoft"):
        yield Finding(
            "custom operator",
            view.place,
            f"{node.op_type} is ONNX Runtime's own operator, which {target.reader} does not have",
            "give the file as it was before ONNX Runtime optimized or quantized it",
        )
        return
    if (node.domain, node.op_type) not in functions:
        yield Finding(
            "custom operator",
            view.place,
            f'the file does not say what "{node.domain}.{node.op_type}" means, '
            "so nothing but a plugin can run or check it",
            "add a model-local function in standard operators",
        )
    if not target.is_tensorrt:
        return
    for name, expected in (("plugin_version", "1"), ("plugin_namespace", "")):
        if view.attribute(name) != expected:
            yield Finding(
                "custom operator",
                view.place,
                f'the attribute {name}="{expected}" is missing, by which TensorRT finds the plugin',
                "write it on the node",
            )
    if target.supports(node.op_type):
        yield Finding(
            "custom operator",
            view.place,
            "it bears the name of a built-in operator, which TensorRT takes instead",
            "choose a name that ONNX does not have",
        )
