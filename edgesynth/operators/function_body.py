"""Writes the body of an ONNX function, one node at a time.

Three rules that NVIDIA's parsers set, each seen to fail otherwise: attributes of the function reach
the body through `Constant` only, because `strides`, `dilations` and `kernel_shape` of a Conv are
read past the reference and silently become 1 (TensorRT-RTX 1.7); every name inside, formal inputs
and outputs too, bears the operator's name, because parsers 9.0 to 10.7 confuse an inner name with
an equal outer one; and only operators of opset 13 appear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, helper, numpy_helper

from edgesynth.operators.spec import DOMAIN, Attribute, Attributes, Operator

OPSET = 13
_CARRIERS = {
    "INT": ("value_int", AttributeProto.INT),
    "INTS": ("value_ints", AttributeProto.INTS),
    "FLOAT": ("value_float", AttributeProto.FLOAT),
    "INT32 TENSOR": ("value", AttributeProto.TENSOR),
    "FLOAT TENSOR": ("value", AttributeProto.TENSOR),
}
"""Attribute of Constant, and its type, by kind."""


class Body:
    """The nodes of a function under construction; tensors are named by strings."""

    def __init__(self, operator: Operator, variant: str, common: Attributes) -> None:
        self.operator, self.variant = operator, variant
        self.common = common
        """Attributes that all nodes of the file share; the body may be written for these values."""
        self.nodes: list[NodeProto] = []
        self._references: dict[str, str] = {}
        self._count = 0

    def inner(self, name: str) -> str:
        """`name` as it stands inside of the function."""
        return f"{self.variant}.{name}"

    def op(self, kind: str, inputs: Sequence[str], *, results: int = 1, **attributes: Any) -> str:
        """Append a node with `results` outputs and return the name of the first."""
        self._count += 1
        name = self.inner(f"{self._count}.{kind}")
        outputs = [name, *(f"{name}.{index}" for index in range(1, results))]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name, **attributes))
        return name

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """A constant of the body itself."""
        return self.op("Constant", [], value=numpy_helper.from_array(np.asarray(value, dtype)))

    def given(self, name: str) -> str:
        """The attribute `name` of the calling node: INT as a scalar, tensors and INTS flat."""
        if name not in self._references:
            carrier, kind = _CARRIERS[self.operator.attribute(name).kind]
            output = self.op("Constant", [])
            reference = AttributeProto(name=carrier, type=kind, ref_attr_name=name)
            self.nodes[-1].attribute.append(reference)
            self._references[name] = output
        return self._references[name]

    def given_as(self, name: str, dtype: int) -> str:
        """The attribute `name`, cast to the ONNX type `dtype`."""
        return self.op("Cast", [self.given(name)], to=dtype)

    def pass_on(self, attribute: str) -> None:
        """Give the last node the attribute `attribute` of the calling node under the same name.

        For those that NVIDIA's parser resolves: `pads` and `group`.
        """
        _, kind = _CARRIERS[self.operator.attribute(attribute).kind]
        reference = AttributeProto(name=attribute, type=kind, ref_attr_name=attribute)
        self.nodes[-1].attribute.append(reference)

    def returns(self, output: str, source: str) -> None:
        """The output called `output` in the spec is the tensor `source`."""
        formal = self.inner(output)
        self.nodes.append(helper.make_node("Identity", [source], [formal], formal))

    def function(self) -> onnx.FunctionProto:
        """The function, with every attribute of the spec declared."""
        proto: onnx.FunctionProto = helper.make_function(
            DOMAIN,
            self.variant,
            [self.inner(each.name) for each in self.operator.inputs_of(self.variant)],
            [self.inner(each.name) for each in self.operator.outputs],
            self.nodes,
            [helper.make_opsetid("", OPSET)],
            [each.name for each in self.operator.attributes],
        )
        return proto


def common_attributes(sets: Sequence[Attributes], attributes: Sequence[Attribute]) -> Attributes:
    """The INT, INTS and FLOAT that have one value in all of `sets`."""
    return {
        each.name: sets[0][each.name]
        for each in attributes
        if each.kind in ("INT", "INTS", "FLOAT") and len({given[each.name] for given in sets}) == 1
    }
