"""The costs of the kernels of an ONNX file: from `fusion.Kernel` to `layers.Layer`."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from edgesynth.core.errors import UserError, shown
from edgesynth.hardware.fusion import POINTWISE, Kernel, fuse
from edgesynth.hardware.layers import Kind, Layer
from edgesynth.hardware.onnx_graph import Graph, Node, read_graph
from edgesynth.hardware.onnx_shapes import Shape

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(POINTWISE, "elementwise"),
    **dict.fromkeys(
        "ArgMax ArgMin AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool "
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
        "ReduceSum ReduceSumSquare TopK".split(),
        "pool",
    ),
    **dict.fromkeys("Hardmax LogSoftmax Softmax".split(), "softmax"),
    **dict.fromkeys(
        "GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization "
        "MeanVarianceNormalization RMSNormalization".split(),
        "normalization",
    ),
    **dict.fromkeys(
        "DepthToSpace Expand Gather GatherElements GatherND GridSample Pad Resize ScatterElements "
        "ScatterND Slice SpaceToDepth Split Tile Transpose Upsample".split(),
        "copy",
    ),
}


def read_layers(path: Path) -> list[Layer]:
    """The fused layers of the ONNX file at `path`, in execution order, per sample.

    Raises UserError naming the file, and the node whose shape or cost is not known.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return layers_of(read_graph(data, str(path)), str(path))


def layers_of(graph: Graph, where: str) -> list[Layer]:
    """The fused layers of `graph`; `where` names its file in errors."""
    kernels = fuse(graph)
    made = {tensor for kernel in kernels for tensor in kernel.outputs}
    concats = Counter(t for k in kernels if k.main.op == "Concat" for t in k.inputs)
    in_place = {tensor for tensor in made if concats[tensor] == 1}
    layers: list[Layer] = []
    for kernel in kernels:
        try:
            layers += _layers(kernel, graph, in_place, where)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            node = f"{kernel.main.name} ({shown(kernel.main.op)})"
            raise UserError(f"{where}: node {node} is malformed; export it again") from None
    return layers


def _layers(kernel: Kernel, graph: Graph, in_place: set[str], where: str) -> list[Layer]:
    operator = kernel.main.op
    if operator in ("Conv", "ConvTranspose"):
        return [_convolution(kernel, graph, where)]
    if operator in ("Gemm", "MatMul"):
        return [_linear(kernel, graph)]
    if operator == "Concat":
        return _concat(kernel, graph, in_place)
    if operator in _KINDS:
        return _other(kernel, graph, _KINDS[operator])
    raise _unknown(kernel.main, where)


def _read(kernel: Kernel, graph: Graph) -> int:
    """Activation elements that the kernel reads; a tensor that it uses twice counts once."""
    return sum(graph.elements(tensor) for tensor in dict.fromkeys(kernel.inputs))


def _written(kernel: Kernel, graph: Graph) -> int:
    return sum(graph.elements(tensor) for tensor in kernel.outputs)


def _convolution(kernel: Kernel, graph: Graph, where: str) -> Layer:
    node = kernel.main
    source, weight = node.operands[:2]
    result = graph.shapes[node.outputs[0]]
    if len(weight) not in (3, 4):
        raise _unknown(node, where, f"{len(weight) - 2}-dimensional ")
    window = weight[2:] if len(weight) == 4 else (1, *weight[2:])
    groups = int(node.attributes.get("group", 1))
    channels_in, channels_out = source[1], result[1]
    transposed = node.op == "ConvTranspose"  # every input element meets the whole window
    visited = math.prod(source[2:]) if transposed else math.prod(result[2:])
    macs = visited * (channels_in // groups) * channels_out * math.prod(window)
    rows = math.prod(result[2:])
    strides = node.attributes.get("strides") or [1]
    return Layer(
        name=kernel.name,
        kind=_convolution_kind(groups, channels_in, window),
        macs=macs,
        weights=math.prod(weight) + channels_out if node.is_constant[1] else 0,
        rows=rows,
        columns=channels_out // groups,
        depth=math.ceil(macs / (rows * channels_out)),
        groups=groups,
        kernel=(window[0], window[1]),
        stride=1 if transposed else max(strides),
        inputs=_read(kernel, graph),
        outputs=_written(kernel, graph),
    )


def _convolution_kind(groups: int, channels_in: int, window: tuple[int, ...]) -> Kind:
    if groups == 1:
        return "conv 1x1" if math.prod(window) == 1 else "conv"
    return "depthwise" if groups == channels_in else "grouped"


def _linear(kernel: Kernel, graph: Graph) -> Layer:
    """Gemm and MatMul: by a constant (a linear layer) or of two activations."""
    node = kernel.main
    left, right = _matrices(node)
    columns, depth = right[-1], left[-1]
    result = math.ceil(math.prod(graph.shapes[node.outputs[0]]) / graph.batch)
    constant = node.is_constant[0] or node.is_constant[1]
    if node.is_constant[0]:  # the weight stands left: columns are its rows
        columns = left[-2]
    products = 1 if constant else math.ceil(math.prod(left[:-2]) / graph.batch)
    weight = left if node.is_constant[0] else right
    return Layer(
        name=kernel.name,
        kind="fully-connected" if constant else "matmul",
        macs=result * depth,
        weights=math.prod(weight) + columns if constant else 0,
        rows=math.ceil(result / (columns * products)),
        columns=columns,
        depth=depth,
        groups=products,
        inputs=_read(kernel, graph),
        outputs=_written(kernel, graph),
    )


def _matrices(node: Node) -> tuple[Shape, Shape]:
    """Both operands as (..., rows, depth) and (..., depth, columns); vectors become matrices."""
    left, right = node.operands[:2]
    if node.attributes.get("transA"):
        left = (*left[:-2], left[-1], left[-2])
    if node.attributes.get("transB"):
        right = (*right[:-2], right[-1], right[-2])
    left = left if len(left) > 1 else (1, *left)
    right = right if len(right) > 1 else (*right, 1)
    return left, right


def _concat(kernel: Kernel, graph: Graph, in_place: set[str]) -> list[Layer]:
    """No kernel along the channel axis for tensors that a layer has made for this node alone.

    TensorRT lets such layers write straight into the result; it copies the other inputs.
    """
    rank = len(graph.shapes[kernel.main.outputs[0]])
    by_channel = int(kernel.main.attributes.get("axis", 0)) in (1, 1 - rank)
    copied = [t for t in kernel.inputs if not by_channel or t not in in_place]
    elements = sum(graph.elements(tensor) for tensor in copied)
    if elements == 0:
        return []
    return [Layer(name=kernel.name, kind="concat", inputs=elements, outputs=elements)]


def _other(kernel: Kernel, graph: Graph, kind: Kind) -> list[Layer]:
    if kind == "copy":  # one kernel per result, which reads only what it writes
        sizes = [graph.elements(tensor) for tensor in kernel.outputs]
        return [Layer(name=kernel.name, kind=kind, inputs=n, outputs=n) for n in sizes]
    window = (*kernel.main.attributes.get("kernel_shape", ()), 1, 1) if kind == "pool" else (1, 1)
    return [
        Layer(
            name=kernel.name,
            kind=kind,
            inputs=_read(kernel, graph),
            outputs=_written(kernel, graph),
            kernel=(window[0], window[1]),
        )
    ]


def _unknown(node: Node, where: str, what: str = "") -> UserError:
    return UserError(
        f"{where}: no cost is known for {what}{shown(node.op)} (node {node.name}); "
        "cut the network before this node and predict the rest"
    )
