"""Runs one operator by itself, through any of its faces, to hold them against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError, nearest
from edgesynth.operators.spec import Attributes, Operator, Shape
from edgesynth.operators.specs import operator_named

if TYPE_CHECKING:
    import torch

    Tensors = tuple[torch.Tensor, ...]
    Backend = Callable[[str, Tensors, Attributes], Tensors]

BACKENDS = ("torch", "onnxruntime", "host", "gpu")
"""The reference; the ONNX function in ONNX Runtime; the kernels built for this machine's CPU; the
kernels on a GPU."""

TOLERANCES = {"float32": (1e-4, 1e-5), "float16": (2e-2, 4e-3)}
"""(absolute, relative) difference of a backend to the reference by the type of the activations, for
sums of up to some thousand products of numbers around 1. Integers are equal."""


def run(
    name: str,
    inputs: Sequence[torch.Tensor],
    attributes: Mapping[str, Any],
    *,
    backend: str = "torch",
) -> Tensors:
    """The outputs of the operator type `name`, such as `EsSparseConv`, on the CPU.

    `inputs` and `attributes` are those of its spec in `edgesynth.operators.specs`; attributes that
    have a default may be left out, tensors are flat NumPy arrays. `backend` is one of `BACKENDS`;
    `onnxruntime` computes in float32 whatever the inputs are, `torch` takes float64 too.

    Raises UserError for attributes or inputs that do not fit the spec; MissingError, with the
    remedy, where this machine lacks what the backend needs.
    """
    operator = operator_named(name)
    whole = operator.complete(attributes)
    tensors = tuple(each.detach().cpu().contiguous() for each in inputs)
    _check_inputs(operator, name, tensors, whole, exact=backend != "torch")
    made = _backend(backend)(name, tensors, whole)
    return tuple(
        each.to(tensors[0].dtype) if output.dtypes[0] == "float32" and output.dtypes[1:] else each
        for each, output in zip(made, operator.outputs, strict=True)
    )


def output_shapes(name: str, shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, ...]:
    """Shapes of the outputs for inputs of `shapes`; `attributes` are complete.

    Raises UserError where inputs and attributes do not fit.
    """
    operator = operator_named(name)
    wanted = len(operator.inputs_of(name))
    if len(shapes) != wanted:
        raise UserError(f"{name} takes {wanted} inputs, not {len(shapes)}")
    if any(side < 1 for shape in shapes for side in shape):
        raise UserError(f"{name} takes no empty input")
    try:
        return operator.shapes(attributes, tuple(shapes))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _check_inputs(
    operator: Operator, name: str, tensors: Tensors, attributes: Attributes, *, exact: bool
) -> None:
    output_shapes(name, [tuple(each.shape) for each in tensors], attributes)
    kinds = [str(each.dtype).removeprefix("torch.") for each in tensors]
    for kind, spec in zip(kinds, operator.inputs_of(name), strict=True):
        allowed = (
            [*spec.dtypes] if exact or "float32" not in spec.dtypes else [*spec.dtypes, "float64"]
        )
        if kind not in allowed:
            raise UserError(f"{name}: {spec.name} is {kind}; it may be {' or '.join(allowed)}")
        if len(spec.dtypes) > 1 and kind != kinds[0]:
            raise UserError(f"{name}: {spec.name} is {kind}, {operator.inputs[0].name} {kinds[0]}")


def _backend(name: str) -> Backend:
    if name not in BACKENDS:
        raise UserError(f'no backend "{name}"; {nearest(name, list(BACKENDS))}')
    module = import_module(f"edgesynth.operators.backends.{name}_backend")
    found: Backend = module.run
    return found
