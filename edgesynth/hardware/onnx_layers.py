"""The costs of the kernels of an ONNX file: from `fusion.Kernel` to `layers.Layer`."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from edgesynth.core.errors import UserError
from edgesynth.hardware.fusion import POINTWISE, Kernel, fuse
from edgesynth.hardware.layers import Kind, Layer
from edgesynth.hardware.onnx_graph import Graph, Node, read_graph

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

    Raises UserError naming the node whose shape or cost is not known.
    """
    return layers_of(read_graph(path), path)


def layers_of(graph: Graph, path: Path) -> list[Layer]:
    """The fused layers of `graph`; `path` names its file in errors."""
    kernels = fuse(graph)
    made = {tensor for kernel in kernels for tensor in kernel.outputs}
    concats = Counter(t for k in kernels if k.main.op == "Concat" for t in k.inputs)
    layers: list[Layer] = []
    for kernel in kernels:
        operator = kernel.main.op
        if operator in ("Conv", "ConvTranspose"):
            layers.append(_convolution(kernel, graph, path))
        elif operator in ("Gemm", "MatMul"):
            layers.append(_linear(kernel, graph))
        elif operator == "Concat":
            copied = [t for t in kernel.inputs if t not in made or concats[t] > 1]
            layers += _concat(kernel, graph, copied)
        elif operator in _KINDS:
            layers += _other(kernel, graph, _KINDS[operator])
        else:
            raise _unknown(kernel.main, path)
    return layers


def _moved(kernel: Kernel, graph: Graph) -> dict[str, int]:
    """Activation elements that the kernel reads and writes."""
    return {
        "inputs": sum(graph.elements(tensor) for tensor in dict.fromkeys(kernel.inputs)),
        "outputs": sum(graph.elements(tensor) for tensor in kernel.outputs),
    }


def _convolution(kernel: Kernel, graph: Graph, path: Path) -> Layer:
    node = kernel.main
    source, result = graph.shapes[node.inputs[0]], graph.shapes[node.outputs[0]]
    weight = node.constants[0] if node.constants else graph.shapes[node.inputs[1]]
    if len(weight) not in (3, 4):
        raise _unknown(node, path, f"{len(weight) - 2}-dimensional ")
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
        weights=math.prod(weight) + channels_out,
        rows=rows,
        columns=channels_out // groups,
        depth=math.ceil(macs / (rows * channels_out)),
        groups=groups,
        kernel=(window[0], window[1]),
        stride=1 if transposed else max(strides),
        **_moved(kernel, graph),
    )


def _convolution_kind(groups: int, channels_in: int, window: tuple[int, ...]) -> Kind:
    if groups == 1:
        return "conv 1x1" if math.prod(window) == 1 else "conv"
    return "depthwise" if groups == channels_in else "grouped"


def _linear(kernel: Kernel, graph: Graph) -> Layer:
    """Gemm and MatMul: by a constant (a linear layer) or of two activations."""
    node = kernel.main
    result = math.ceil(math.prod(graph.shapes[node.outputs[0]]) / graph.batch)
    if len(node.inputs) == 1:
        weight = node.constants[0]
        turned = bool(node.attributes.get("transB")) or node.constant_first
        columns, depth = (weight[-2], weight[-1]) if turned else (weight[-1], weight[-2])
        products = 1
    else:
        left, right = (graph.shapes[tensor] for tensor in node.inputs[:2])
        columns = right[-2] if node.attributes.get("transB") else right[-1]
        depth = left[-2] if node.attributes.get("transA") else left[-1]
        products = math.ceil(math.prod(left[:-2]) / graph.batch)
    return Layer(
        name=kernel.name,
        kind="matmul" if len(node.inputs) > 1 else "fully-connected",
        macs=result * depth,
        weights=math.prod(node.constants[0]) + columns if len(node.inputs) == 1 else 0,
        rows=result // (columns * products),
        columns=columns,
        depth=depth,
        groups=products,
        **_moved(kernel, graph),
    )


def _concat(kernel: Kernel, graph: Graph, copied: list[str]) -> list[Layer]:
    """No kernel along the channel axis for tensors that a layer has made for this node alone.

    TensorRT lets such layers write straight into the result; it copies the other inputs.
    """
    in_place = int(kernel.main.attributes.get("axis", 0)) == 1
    elements = sum(graph.elements(t) for t in (copied if in_place else kernel.inputs))
    if elements == 0:
        return []
    return [Layer(name=kernel.name, kind="concat", inputs=elements, outputs=elements)]


def _other(kernel: Kernel, graph: Graph, kind: Kind) -> list[Layer]:
    if kind == "copy":  # one kernel per result, which reads only what it writes
        sizes = [graph.elements(tensor) for tensor in kernel.outputs]
        return [Layer(name=kernel.name, kind=kind, inputs=n, outputs=n) for n in sizes]
    window = (*kernel.main.attributes.get("kernel_shape", ()), 1, 1) if kind == "pool" else (1, 1)
    moved = _moved(kernel, graph)
    return [Layer(name=kernel.name, kind=kind, kernel=(window[0], window[1]), **moved)]


def _unknown(node: Node, path: Path, what: str = "") -> UserError:
    return UserError(
        f"ONNX file {path}: no cost is known for {what}{node.op} (node {node.name}); "
        "cut the network before this node and predict the rest"
    )
