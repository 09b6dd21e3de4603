"""An ONNX file as a plain list of nodes with known shapes; constants and free nodes are gone.

Only this module and nothing above it knows protocol buffers. `onnx` is imported inside functions:
importing the package stays cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError
from edgesynth.hardware.onnx_shapes import Shape, infer_shapes

if TYPE_CHECKING:
    import onnx

#: Nodes that never move data in an engine: they rename a tensor.
_RENAMES = {"Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}


@dataclass(frozen=True)
class Node:
    """One operator with its tensors; `inputs` are activations, `constants` parameters."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[Shape, ...]
    """Shapes of constant inputs, in the order of the file."""
    constant_first: bool
    """True when the first input of the file's node is constant (`MatMul(weight, x)`)."""
    attributes: dict[str, Any]


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


def read_graph(path: Path) -> Graph:
    """Read the ONNX file at `path` with a batch of one where its batch is free.

    Raises UserError when the file is not ONNX, has control flow, or the shape of a tensor cannot
    be inferred; the message names the node.
    """
    model = _load(path)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if not inputs:
        raise UserError(f"ONNX file {path} has no input; export the network again")
    batch = _fix_inputs(inputs, path)
    shapes = infer_shapes(model, path)
    builder = _Builder(shapes, {tensor.name: tuple(tensor.dims) for tensor in graph.initializer})
    for index, node in enumerate(graph.node):
        _add(builder, node, node.name or f"{node.op_type}_{index}", path)
    outputs = tuple(value.name for value in graph.output)
    return Graph(
        nodes=_alive(builder, outputs),
        shapes=builder.shapes,
        source=builder.source,
        inputs=tuple(value.name for value in inputs),
        outputs=outputs,
        batch=batch,
        params=_parameters(graph),
    )


def _load(path: Path) -> onnx.ModelProto:
    import onnx
    import onnx.inliner
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise UserError(f"ONNX file {path} cannot be read: {error.strerror}") from None
    except DecodeError:
        raise UserError(f"{path} is not an ONNX file or is cut short; export it again") from None
    if not model.graph.node:
        raise UserError(f"{path} holds no ONNX node; it is empty or cut short, export it again")
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    return model


def _fix_inputs(inputs: list[onnx.ValueInfoProto], path: Path) -> int:
    """Set a free first dimension of every input to one; return the batch of the first input."""
    for value in inputs:
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if dim.dim_value > 0:
                continue
            if axis > 0:
                raise UserError(
                    f'ONNX file {path}: axis {axis} of input "{value.name}" has no fixed size; '
                    "export with a fixed image size"
                )
            dim.Clear()
            dim.dim_value = 1
    first = inputs[0].type.tensor_type.shape.dim
    return int(first[0].dim_value) if first else 1


def _add(builder: _Builder, node: onnx.NodeProto, name: str, path: Path) -> None:
    """Sort one node in: constant (folded), a renaming, or real work."""
    import onnx

    if node.op_type in _CONTROL_FLOW:
        raise UserError(
            f"ONNX file {path}: node {name} ({node.op_type}) chooses at run time, its cost cannot "
            "be predicted; predict the branches as separate files"
        )
    given = [tensor for tensor in node.input if tensor]
    constants = [tensor for tensor in given if tensor in builder.constants]
    if node.op_type in ("Shape", "Size") or len(constants) == len(given):
        for output in node.output:
            builder.constants[output] = builder.shapes.get(output, ())
        return
    missing = [t for t in [*given, *node.output[:1]] if t not in builder.shapes]
    if missing:
        domain = f" of domain {node.domain}" if node.domain else ""
        raise UserError(
            f"ONNX file {path}: the shape of tensor {missing[0]} at node {name} "
            f"({node.op_type}{domain}) cannot be inferred; export with a fixed batch and image size"
        )
    activations = tuple(tensor for tensor in given if tensor not in builder.constants)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type in _RENAMES or _keeps_order(node.op_type, attributes, builder, activations[0]):
        builder.source[node.output[0]] = activations[0]
        return
    builder.nodes.append(
        Node(
            name=name,
            op=node.op_type,
            inputs=activations,
            outputs=tuple(tensor for tensor in node.output if tensor in builder.shapes),
            constants=tuple(builder.constants[tensor] for tensor in constants),
            constant_first=given[0] in builder.constants,
            attributes=attributes,
        )
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


def _parameters(graph: onnx.GraphProto) -> int:
    import onnx

    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return sum(math.prod(t.dims) for t in graph.initializer if t.data_type in floats)
