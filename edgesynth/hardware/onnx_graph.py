"""An ONNX file as a plain list of nodes with known shapes; constants and free nodes are gone.

Only this module and nothing above it knows protocol buffers. `onnx` is imported inside functions:
importing the package stays cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError, shown
from edgesynth.hardware.onnx_shapes import Shape, infer_shapes

if TYPE_CHECKING:
    import onnx

#: Nodes that never move data in an engine: they rename a tensor.
_RENAMES = {"Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
#: Part of the kernels before and behind them (TensorRT developer guide, "Explicit Quantization").
_ROUNDS = {"QuantizeLinear", "DequantizeLinear"}
_MAX_ELEMENTS = 2**40  # more than any board's memory
_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}


@dataclass(frozen=True)
class Node:
    """One operator with its tensors; `inputs` are activations, `constants` parameters."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operands: tuple[Shape, ...]
    """Shapes of all inputs in the order of the file, constant ones too."""
    is_constant: tuple[bool, ...]
    """Which of `operands` are constants."""
    attributes: dict[str, Any]

    @property
    def constants(self) -> list[Shape]:
        """Shapes of the constant operands."""
        return [s for s, fixed in zip(self.operands, self.is_constant, strict=True) if fixed]


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order; `source` says which stored tensor a name really is."""

    nodes: tuple[Node, ...]
    shapes: dict[str, Shape]
    source: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    batch: int
    """First dimension of the first input; element counts are divided by it."""
    batch_is_fixed: bool
    """False when the file leaves the batch open."""
    params: int
    """Elements of all float initializers."""

    def root(self, name: str) -> str:
        """The stored tensor behind `name`, through reshapes and identities."""
        while name in self.source:
            name = self.source[name]
        return name

    def elements(self, name: str) -> int:
        """Elements of tensor `name` for one sample, rounded up."""
        return math.ceil(math.prod(self.shapes[name]) / self.batch)


@dataclass
class _Builder:
    shapes: dict[str, Shape]
    constants: dict[str, Shape]
    source: dict[str, str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


def read_graph(data: bytes, where: str) -> Graph:
    """Read an ONNX file's bytes, with a batch of one where its batch is free.

    `where` names the file in messages. Raises UserError when it is not ONNX, has control flow, or
    the shape of a tensor cannot be inferred; the message names the node.
    """
    model = _parse(data, where)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if not inputs:
        raise UserError(f"{where} has no input; export the network again")
    fixed = _fix_inputs(inputs, where)
    shapes = infer_shapes(model, where)
    builder = _Builder(shapes, {tensor.name: tuple(tensor.dims) for tensor in graph.initializer})
    for index, node in enumerate(graph.node):
        _add(builder, node, shown(node.name or f"{node.op_type}_{index}"), where)
    outputs = tuple(value.name for value in graph.output)
    return Graph(
        nodes=_alive(builder, outputs),
        shapes=builder.shapes,
        source=builder.source,
        inputs=tuple(value.name for value in inputs),
        outputs=outputs,
        batch=_batch(shapes, inputs[0].name),
        batch_is_fixed=fixed,
        params=parameters(graph),
    )


def _parse(data: bytes, where: str) -> onnx.ModelProto:
    import onnx
    import onnx.inliner

    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # the class of protobuf's decoding error depends on its implementation
        raise UserError(f"{where} is not an ONNX file or is cut short; export it again") from None
    if not model.graph.node:
        raise UserError(f"{where} holds no ONNX node: it is empty or cut short; export it again")
    graph = model.graph
    names = [name for node in graph.node for name in (node.name, node.op_type, node.domain)]
    names += [name for node in graph.node for name in (*node.input, *node.output)]
    names += [each.name for each in (*graph.input, *graph.output, *graph.initializer)]
    if not all(isinstance(name, str) for name in names):  # protobuf gives bytes that are no UTF-8
        raise UserError(f"{where} is damaged: a name in it is not text; export it again")
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    return model


def _fix_inputs(inputs: list[onnx.ValueInfoProto], where: str) -> bool:
    """Set a free first dimension of every input to one; True when none was free."""
    fixed = True
    for value in inputs:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_value > 0:
                continue
            if axis > 0:
                raise UserError(
                    f'{where}: axis {axis} of input "{shown(value.name)}" has no fixed size; '
                    "export with a fixed image size"
                )
            fixed = False
            dim.Clear()
            dim.dim_value = 1
    return fixed


def _batch(shapes: dict[str, Shape], name: str) -> int:
    shape = shapes.get(name, ())
    return shape[0] if shape else 1


def _add(builder: _Builder, node: onnx.NodeProto, name: str, where: str) -> None:
    """Sort one node in: constant (folded), a renaming, or real work."""
    import onnx

    if node.op_type in _CONTROL_FLOW:
        raise UserError(
            f"{where}: node {name} ({node.op_type}) chooses at run time, its cost cannot "
            "be predicted; predict the branches as separate files"
        )
    given = [tensor for tensor in node.input if tensor]
    made = [tensor for tensor in node.output if tensor]
    if node.op_type in ("Shape", "Size") or all(tensor in builder.constants for tensor in given):
        builder.constants.update({tensor: builder.shapes.get(tensor, ()) for tensor in made})
        return
    for tensor in [*given, *made[:1]]:
        _require_size(builder, tensor, node, name, where)
    activations = tuple(tensor for tensor in given if tensor not in builder.constants)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    moves_nothing = node.op_type in _RENAMES | _ROUNDS
    if moves_nothing or _keeps_order(node.op_type, attributes, builder, activations[0]):
        builder.source[made[0]] = activations[0]
        return
    builder.nodes.append(
        Node(
            name=name,
            op=node.op_type,
            inputs=activations,
            outputs=tuple(tensor for tensor in made if tensor in builder.shapes),
            operands=tuple(builder.shapes[tensor] for tensor in given),
            is_constant=tuple(tensor in builder.constants for tensor in given),
            attributes=attributes,
        )
    )


def _require_size(
    builder: _Builder, tensor: str, node: onnx.NodeProto, name: str, where: str
) -> None:
    """Raise UserError unless the size of `tensor` is known and one that a tensor can have."""
    operator = shown(node.op_type + (f" of domain {node.domain}" if node.domain else ""))
    if tensor not in builder.shapes:
        raise UserError(
            f"{where}: the shape of tensor {shown(tensor)} at node {name} ({operator}) cannot be "
            "inferred; export with a fixed batch and image size"
        )
    shape = builder.shapes[tensor]
    least = 0 if tensor in builder.constants else 1  # an empty list of axes is a fine constant
    if any(side < least for side in shape) or math.prod(shape) > _MAX_ELEMENTS:
        size = shown("x".join(map(str, shape)))
        raise UserError(
            f"{where}: tensor {shown(tensor)} at node {name} ({operator}) would be {size}; "
            "its input is too small, or the file is damaged"
        )


def _keeps_order(op: str, attributes: dict[str, Any], builder: _Builder, tensor: str) -> bool:
    """True for a transposition that moves only axes of size one."""
    if op != "Transpose":
        return False
    shape = builder.shapes[tensor]
    order = attributes.get("perm") or list(reversed(range(len(shape))))
    moved = [axis for axis in order if shape[axis] > 1]
    return moved == sorted(moved)


def _alive(builder: _Builder, outputs: tuple[str, ...]) -> tuple[Node, ...]:
    """The nodes that an output depends on: engines drop the rest."""

    def root(name: str) -> str:
        while name in builder.source:
            name = builder.source[name]
        return name

    wanted = {root(name) for name in outputs}
    alive = []
    for node in reversed(builder.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(root(name) for name in node.inputs)
            alive.append(node)
    return tuple(reversed(alive))


def parameters(graph: onnx.GraphProto) -> int:
    """Elements of all weights in `graph`: floats, and codes of quantized weights without scales."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
    rounding = [node for node in graph.node if node.op_type in _ROUNDS]
    codes = {node.input[0] for node in rounding}
    steps = {name for node in rounding for name in node.input[1:]}
    return sum(
        math.prod(tensor.dims)
        for tensor in graph.initializer
        if (tensor.data_type in kinds or tensor.name in codes) and tensor.name not in steps
    )
