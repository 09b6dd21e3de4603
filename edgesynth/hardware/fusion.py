"""From the nodes of a graph to the kernels that TensorRT runs.

The rules are those of the TensorRT 8 developer guide ("Types of Fusions"): a convolution swallows
its padding, its batch normalization or scale, one residual addition and a following ReLU or clip;
a linear layer its bias and ReLU; neighbouring pointwise operators become one kernel.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from edgesynth.hardware.onnx_graph import Graph, Node

PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
POINTWISE = set(
    "Abs Add And BatchNormalization Cast Ceil Celu Clip Cos Div Elu Equal Erf Exp Floor Gelu "
    "Greater GreaterOrEqual HardSigmoid HardSwish LeakyRelu Less LessOrEqual Log Max Mean Min Mish "
    "Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign "
    "Sqrt Sub Sum Swish Tanh ThresholdedRelu Where Xor".split()
)
_EPILOGUE = {"Relu", "Clip"}  # activations that a convolution kernel applies itself
_SCALE = {"BatchNormalization", "Mul", "Add", "Sub", "Div"}


@dataclass(frozen=True)
class Kernel:
    """Nodes that run as one kernel, in execution order, and the stored tensors it touches."""

    main: Node
    """The node that decides what kind of layer this is."""
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """As TensorRT names a fused layer: `Conv_0 + Relu_1`."""
        return " + ".join(node.name for node in self.nodes)


def fuse(graph: Graph) -> list[Kernel]:
    """The kernels of `graph` in execution order."""
    return _Fusion(graph).run()


class _Fusion:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.consumers: dict[str, list[Node]] = defaultdict(list)
        self.position = {node.outputs[0]: index for index, node in enumerate(graph.nodes)}
        self.kept = {graph.root(name) for name in graph.outputs}
        self.done: set[str] = set()
        for node in graph.nodes:
            for tensor in dict.fromkeys(self._inputs(node)):
                self.consumers[tensor].append(node)

    def run(self) -> list[Kernel]:
        products = [self._product(node) for node in self.graph.nodes if node.op in PRODUCTS]
        rest = [node for node in self.graph.nodes if node.outputs[0] not in self.done]
        pointwise = self._pointwise([node for node in rest if node.op in POINTWISE])
        single = [
            Kernel(node, (node,), tuple(self._inputs(node)), node.outputs)
            for node in rest
            if node.op not in POINTWISE
        ]
        kernels = products + pointwise + single
        return sorted(kernels, key=lambda kernel: self.position[kernel.nodes[-1].outputs[0]])

    def _inputs(self, node: Node) -> list[str]:
        return [self.graph.root(tensor) for tensor in node.inputs]

    def _sole_consumer(self, tensor: str) -> Node | None:
        """The one node that reads `tensor`, unless it is an output or that node is taken."""
        consumers = self.consumers[tensor]
        if len(consumers) != 1 or tensor in self.kept:
            return None
        return consumers[0] if consumers[0].outputs[0] not in self.done else None

    def _product(self, node: Node) -> Kernel:
        """`node` with the padding before it, and the scale, residual and activation after it."""
        nodes, inputs = [node], self._inputs(node)
        padding = self._padding_before(node)
        if padding is not None:
            nodes.insert(0, padding)
            inputs[0] = self._inputs(padding)[0]
        may_add = len(node.inputs) == 1  # a product of two activations takes no residual
        while (follower := self._sole_consumer(nodes[-1].outputs[0])) is not None:
            others = [t for t in self._inputs(follower) if t != nodes[-1].outputs[0]]
            if follower.op in _SCALE and not others and self._per_channel(follower, node):
                nodes.append(follower)
            elif follower.op in ("Add", "Sum") and may_add and self._is_ready(others, nodes):
                nodes.append(follower)
                inputs += others
                may_add = False
            else:
                if follower.op in _EPILOGUE:
                    nodes.append(follower)
                break
        self.done.update(member.outputs[0] for member in nodes)
        return Kernel(node, tuple(nodes), tuple(inputs), nodes[-1].outputs[:1])

    def _padding_before(self, node: Node) -> Node | None:
        position = self.position.get(self._inputs(node)[0])
        producer = self.graph.nodes[position] if position is not None else None
        if producer is None or producer.op != "Pad":
            return None
        return producer if self._sole_consumer(producer.outputs[0]) is node else None

    def _per_channel(self, node: Node, product: Node) -> bool:
        """True for a scale or shift by constants no larger than the channels of `product`."""
        shape = self.graph.shapes[product.outputs[0]]
        channels = shape[1] if product.op in ("Conv", "ConvTranspose") else shape[-1]
        return bool(node.constants) and all(math.prod(c) <= channels for c in node.constants)

    def _is_ready(self, others: list[str], nodes: list[Node]) -> bool:
        """True when the other operand exists before the kernel and is as large as its output."""
        if len(others) != 1:
            return False
        before = self.position.get(others[0], -1) < self.position[nodes[0].outputs[0]]
        elements = self.graph.elements
        return before and elements(others[0]) == elements(nodes[-1].outputs[0])

    def _pointwise(self, nodes: list[Node]) -> list[Kernel]:
        """Every node joins its sole consumer when that is pointwise too: trees with one result."""
        members: dict[str, list[Node]] = {}
        for node in reversed(nodes):
            follower = self._sole_consumer(node.outputs[0])
            joins = follower is not None and follower.op in POINTWISE
            sink = self._sink_of(follower, members) if joins and follower else node.outputs[0]
            members.setdefault(sink, []).insert(0, node)
        return [self._merged(group) for group in members.values()]

    def _sink_of(self, node: Node, members: dict[str, list[Node]]) -> str:
        return next(sink for sink, group in members.items() if node in group)

    def _merged(self, group: list[Node]) -> Kernel:
        made = {node.outputs[0] for node in group}
        inputs = dict.fromkeys(t for node in group for t in self._inputs(node) if t not in made)
        return Kernel(group[-1], tuple(group), tuple(inputs), group[-1].outputs[:1])
