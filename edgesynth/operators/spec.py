"""What an operator is: its inputs, outputs, attributes and the shapes that follow from them.

One `Operator` per custom ONNX operator is the single source of every other face: the node that the
exporter writes, the plugin's fields (`fields.py` writes them as a C++ header), the entry point of
the host library, and the tests. Neither torch nor onnx is needed to read one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from edgesynth.core.errors import UserError

DOMAIN = "edgesynth"
VERSION = 1
PLUGIN_VERSION, PLUGIN_NAMESPACE = "1", ""
"""String attributes of every node, by which TensorRT finds the plugin; a parser from 10.15 on takes
the plugin instead of the function only where `plugin_namespace` is present."""

Kind = Literal["INT", "INTS", "FLOAT", "INT32 TENSOR", "FLOAT TENSOR"]
Dtype = Literal["float32", "float16", "int32"]
Shape = tuple[int, ...]
Attributes = Mapping[str, Any]
"""By name: an int, a tuple of ints, a float, or a flat array of int32 or float32."""

_LARGEST = float(np.finfo(np.float32).max)

ARRAYS: dict[Kind, type[np.generic]] = {"INT32 TENSOR": np.int32, "FLOAT TENSOR": np.float32}


@dataclass(frozen=True)
class Tensor:
    """One input or output."""

    name: str
    axes: tuple[str, ...]
    """The letters of its shape; operators of one input read a batch N of any size."""
    dtypes: tuple[Dtype, ...]
    """Of the kernels. In an ONNX graph the first one is used; an engine chooses any."""
    meaning: str


@dataclass(frozen=True)
class Attribute:
    """One attribute of the node, which is one field of the plugin."""

    name: str
    kind: Kind
    meaning: str
    default: Any = None
    """What a plugin takes where the field is absent; None where it must be there."""
    length: int | None = None
    """Of INTS; None where any number of elements is read, as it is in tensors."""
    lowest: float | None = None
    """Of every element; None where any finite number will do."""
    highest: float | None = None
    among: tuple[int, ...] = ()
    """The only values of an INT; empty where all between lowest and highest are."""

    @property
    def is_tensor(self) -> bool:
        """True for a flat array of numbers."""
        return self.kind in ARRAYS

    @property
    def required(self) -> bool:
        """True where a node without it is refused."""
        return self.default is None


@dataclass(frozen=True)
class Operator:
    """One operator; `variants` are the names under which it stands in a graph."""

    name: str
    folder: str
    """Below `kernels/`."""
    meaning: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attributes: tuple[Attribute, ...]
    shapes: Callable[[Attributes, tuple[Shape, ...]], tuple[Shape, ...]]
    """Shapes of the outputs from attributes and shapes of the inputs; raises UserError where they
    do not fit. The attributes are complete and valid by themselves."""
    check: Callable[[Attributes], None] = field(default=lambda attributes: None)
    """Holds attributes against each other; raises UserError."""
    residual: Tensor | None = None
    """The second input of the variant `NAMEAdd`, added before the activation. It has a name of its
    own because the body of an ONNX function cannot depend on which inputs there are."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Operator types in a graph, which are the names of plugin creators."""
        return (self.name, f"{self.name}Add") if self.residual else (self.name,)

    def inputs_of(self, variant: str) -> tuple[Tensor, ...]:
        """Inputs of the variant; raises UserError for the name of another operator."""
        if variant not in self.variants:
            raise UserError(f'"{variant}" is no form of {self.name}: {", ".join(self.variants)}')
        residual = (self.residual,) if self.residual and variant != self.name else ()
        return (*self.inputs, *residual)

    def attribute(self, name: str) -> Attribute:
        """The attribute called `name`."""
        return next(each for each in self.attributes if each.name == name)

    def complete(self, given: Attributes) -> dict[str, Any]:
        """`given` with defaults, every value in its Python or NumPy form, in the spec's order.

        Raises UserError naming the attribute that is missing, unknown, or has a wrong value.
        """
        unknown = set(given) - {each.name for each in self.attributes}
        if unknown:
            raise UserError(f"{self.name} has no attribute {sorted(unknown)[0]}")
        whole = {
            each.name: _value(self.name, each, given.get(each.name)) for each in self.attributes
        }
        self.check(whole)
        return whole


def _value(operator: str, attribute: Attribute, given: Any) -> Any:
    value = attribute.default if given is None else given
    place = f"{operator}: attribute {attribute.name}"
    if value is None:
        raise UserError(f"{place} ({attribute.kind}) is missing; it says: {attribute.meaning}")
    try:
        value = _converted(attribute, value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{place} is no {attribute.kind}: {str(given)[:60]}") from None
    elements = np.atleast_1d(value)
    if not elements.size or (attribute.length is not None and elements.size != attribute.length):
        wanted = "at least 1" if attribute.length is None else attribute.length
        raise UserError(f"{place} has {elements.size} elements instead of {wanted}")
    low = -_LARGEST if attribute.lowest is None else attribute.lowest
    high = _LARGEST if attribute.highest is None else attribute.highest
    wrong = elements[~((elements >= low) & (elements <= high))]  # NaN and infinity too
    if attribute.among:
        wrong = elements[~np.isin(elements, attribute.among)]
    if wrong.size:
        allowed = attribute.among or f"{low:g} to {high:g}"
        raise UserError(f"{place} is {wrong[0]}, allowed: {allowed}")
    return value


def _converted(attribute: Attribute, value: Any) -> Any:
    """`value` in the form of its kind; raises TypeError or ValueError where it has none."""
    if attribute.is_tensor:
        array = np.asarray(value)
        converted = np.ascontiguousarray(array, ARRAYS[attribute.kind])
        if array.ndim != 1 or (array.dtype.kind in "iu") != (attribute.kind == "INT32 TENSOR"):
            raise ValueError
        if array.dtype.kind in "iu" and not np.array_equal(converted, array):
            raise OverflowError
        return converted
    if attribute.kind == "FLOAT":
        return float(np.float32(value))
    numbers = [int(each) for each in (value if attribute.kind == "INTS" else [value])]
    limits = np.iinfo(np.int32)  # what a plugin's field can hold
    if any(not limits.min <= each <= limits.max for each in numbers):
        raise OverflowError
    return tuple(numbers) if attribute.kind == "INTS" else numbers[0]
