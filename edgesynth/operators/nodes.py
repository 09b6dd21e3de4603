"""Writes operators into ONNX models: the node, its attributes, and the functions of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesynth.operators.function_body import OPSET
from edgesynth.operators.functions import function_of
from edgesynth.operators.spec import (
    DOMAIN,
    PLUGIN_NAMESPACE,
    PLUGIN_VERSION,
    VERSION,
    Attributes,
)
from edgesynth.operators.specs import operator_named

FUNCTION_IR = 8
"""The lowest IR version with functions."""
_LAST_ALIKE = 17
"""The last opset in which the bodies, written for `OPSET`, mean the same: from 18 on reductions
take their axes as an input."""


def make_node(
    variant: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Attributes,
    name: str,
) -> onnx.NodeProto:
    """A node of the operator type `variant` with all attributes written out.

    Raises UserError when the attributes are incomplete or contradict each other.
    """
    operator = operator_named(variant)
    written: dict[str, Any] = {
        key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for key, value in operator.complete(attributes).items()
    }
    node: onnx.NodeProto = helper.make_node(
        variant,
        list(inputs),
        list(outputs),
        name,
        domain=DOMAIN,
        **written,
        plugin_version=PLUGIN_VERSION,
        plugin_namespace=PLUGIN_NAMESPACE,
    )
    return node


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node as `Operator.complete` gives them.

    Raises UserError when one is missing, unknown, or wrong.
    """
    given: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.name in ("plugin_version", "plugin_namespace"):
            continue
        value = helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        given[attribute.name] = value
    return operator_named(node.op_type).complete(given)


def is_operator(node: onnx.NodeProto) -> bool:
    """True for a node of our domain."""
    return bool(node.domain == DOMAIN)


def add_functions(model: onnx.ModelProto) -> None:
    """Give `model` the functions and the opset entry that its operators need, and IR version 8."""
    used: dict[str, list[Attributes]] = {}
    for node in model.graph.node:
        if is_operator(node):
            used.setdefault(node.op_type, []).append(attributes_of(node))
    kept = [each for each in model.functions if each.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend(kept)
    if not used:
        return
    model.functions.extend(function_of(variant, nodes) for variant, nodes in sorted(used.items()))
    opset = next((each.version for each in model.opset_import if not each.domain), OPSET)
    if OPSET <= opset <= _LAST_ALIKE:  # ONNX's checker wants the versions of file and body alike
        for function in model.functions[len(kept) :]:
            function.opset_import[0].version = opset
    if all(entry.domain != DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))
    model.ir_version = max(model.ir_version, FUNCTION_IR)
