"""Cutting a network into stages behind named layers, whatever its forward pass looks like.

torch.fx records the forward pass once. A stage is all that one layer's output still needs beyond
the stages before it; tensors that cross a cut, such as shortcuts, are handed on. Stages share the
network's own layers, so that training, masks and hooks see one network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from edgesynth.core.errors import UserError, nearest

INPUT = "input"
"""Name of the image among the tensors of stages."""


@dataclass(frozen=True)
class Stage:
    """A part of a network. `module` takes `inputs` in order and returns a tuple of `outputs`."""

    module: fx.GraphModule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """The tensor at the cut first (the network's output in the last stage), then what later stages
    need besides."""


@dataclass(frozen=True)
class Trace:
    """The recorded forward pass of a module."""

    module: nn.Module
    graph: fx.Graph
    layers: dict[str, fx.Node]
    """Layer, at any depth, to the node whose value it returns."""

    def node(self, layer: str) -> fx.Node:
        """The node of `layer`; raises UserError with the nearest name."""
        if layer not in self.layers:
            raise UserError(f'no layer "{layer}"; {nearest(layer, list(self.layers))}')
        return self.layers[layer]


def trace(module: nn.Module) -> Trace:
    """Record the forward pass of `module`.

    Raises UserError where it depends on values, which no recording can hold.
    """
    tracer = _Tracer()
    training = module.training
    module.eval()
    try:
        graph = tracer.trace(module)
    except Exception as error:  # any code of the user's may stumble over stand-ins for tensors
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise UserError(
            f"{type(module).__name__} cannot be cut into stages, its forward pass depends on "
            f"values ({reason}); move such code into a layer of its own"
        ) from None
    finally:
        module.train(training)
    return Trace(module, graph, tracer.returned)


def cut(traced: Trace, layers: Sequence[str], example: torch.Tensor) -> list[Stage]:
    """One stage for each of `layers`, and one for the rest.

    `layers` must be reached in this order, each needing something new; `example` is an input, used
    to see that only tensors cross. Raises UserError naming the layer that cannot be cut behind.
    """
    taps = [traced.node(layer) for layer in layers]
    stage_of = _assign(traced.graph, taps, layers)
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    ends = [*taps, output.args[0]]
    if not isinstance(ends[-1], fx.Node):
        raise UserError(f"{type(traced.module).__name__} returns several tensors; exits need one")
    stages = []
    for index, end in enumerate(ends):
        needed = _crossing(stage_of, index)
        outputs = [end, *(node for node in needed if node is not end)]
        stages.append(_stage(traced, stage_of, index, outputs))
    _check_tensors(stages, example, layers)
    return stages


def ends_of(stages: Sequence[Stage], image: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensor at every cut, and the network's output at the end.

    Each comes before the next stage runs, which may overwrite it.
    """
    known = {INPUT: image}
    for stage in stages:
        made = stage.module(*(known[name] for name in stage.inputs))
        known.update(zip(stage.outputs, made, strict=True))
        yield made[0]


def places(traced: Trace, example: torch.Tensor) -> dict[str, tuple[int, int, int]]:
    """Layers behind which a single feature map crosses: name -> its (channels, height, width).

    Of several layers that return one tensor the outermost is named. In the order of running.
    """
    shapes = _shapes(traced, example)
    nodes = list(traced.graph.nodes)
    position = {node: index for index, node in enumerate(nodes)}
    last_use = {node: max((position[user] for user in node.users), default=-1) for node in nodes}
    found: dict[str, tuple[int, int, int]] = {}
    for node, layer in _outermost(traced).items():
        shape = shapes.get(node)
        crossing = [
            other
            for other in nodes[: position[node] + 1]
            if other.op != "get_attr" and last_use[other] > position[node]
        ]
        if shape is not None and len(shape) == 4 and crossing == [node]:
            found[layer] = (shape[1], shape[2], shape[3])
    return found


class _Tracer(fx.Tracer):
    """Takes every module without children as one step, and notes what each module returns."""

    def __init__(self) -> None:
        super().__init__()
        self.returned: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.returned.setdefault(self.path_of_module(m), result.node)
        return result


def _assign(graph: fx.Graph, taps: Sequence[fx.Node], layers: Sequence[str]) -> dict[fx.Node, int]:
    """The first stage that needs each node; the last one for what no tap needs."""
    stage_of: dict[fx.Node, int] = {}
    for index, (tap, layer) in enumerate(zip(taps, layers, strict=True)):
        if tap in stage_of:
            raise UserError(
                f'nothing is computed between the exits "{layers[index - 1]}" and "{layer}"; '
                "name the exits in the order in which they are reached"
            )
        todo = [tap]
        while todo:
            node = todo.pop()
            if node not in stage_of:
                stage_of[node] = index
                todo.extend(node.all_input_nodes)
    for node in graph.nodes:
        if node.op != "output":
            stage_of.setdefault(node, len(taps))
    return stage_of


def _crossing(stage_of: dict[fx.Node, int], index: int) -> list[fx.Node]:
    """Values of stage `index` that later stages need."""
    return [
        node
        for node, stage in stage_of.items()
        if stage == index
        and node.op not in ("get_attr", "placeholder")
        and any(stage_of.get(user, -1) > index for user in node.users)
    ]


def _stage(
    traced: Trace, stage_of: dict[fx.Node, int], index: int, outputs: list[fx.Node]
) -> Stage:
    graph = fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    own = [n for n in traced.graph.nodes if stage_of.get(n) == index and n.op != "placeholder"]
    sources: list[fx.Node] = []
    for node in own:
        sources += [s for s in node.all_input_nodes if _from_outside(s, stage_of, index)]
    inputs = list(dict.fromkeys(sources))
    for node in inputs:
        made[node] = graph.placeholder(node.name)

    def value(node: fx.Node) -> fx.Node:
        if node not in made:  # a weight that an earlier stage used too
            made[node] = graph.node_copy(node)
        return made[node]

    for node in own:
        made[node] = graph.node_copy(node, value)
    graph.output(tuple(made[node] for node in outputs))
    module = fx.GraphModule(traced.module, graph)
    module.train(traced.module.training)
    return Stage(module, tuple(map(_name, inputs)), tuple(map(_name, outputs)))


def _from_outside(node: fx.Node, stage_of: dict[fx.Node, int], index: int) -> bool:
    if node.op == "get_attr":
        return False
    return node.op == "placeholder" or stage_of[node] != index


def _name(node: fx.Node) -> str:
    return INPUT if node.op == "placeholder" else node.name


def _check_tensors(stages: Sequence[Stage], example: torch.Tensor, layers: Sequence[str]) -> None:
    known: dict[str, Any] = {INPUT: example}
    with torch.no_grad():
        for stage, layer in zip(stages, [*layers, ""], strict=True):
            made = stage.module(*(known[name] for name in stage.inputs))
            known.update(zip(stage.outputs, made, strict=True))
            if not all(torch.is_tensor(value) for value in made):
                raise UserError(f'behind "{layer}" more than tensors cross; choose another exit')


def _outermost(traced: Trace) -> dict[fx.Node, str]:
    """The shortest name of every node that a layer returns, in the order of running."""
    names: dict[fx.Node, str] = {}
    for layer, node in traced.layers.items():
        if node not in names or layer.count(".") < names[node].count("."):
            names[node] = layer
    return {node: names[node] for node in traced.graph.nodes if node in names}


def _shapes(traced: Trace, example: torch.Tensor) -> dict[fx.Node, tuple[int, ...]]:
    """The shape of every tensor of one pass."""
    found: dict[fx.Node, tuple[int, ...]] = {}

    class Watcher(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if torch.is_tensor(value):
                found[n] = tuple(value.shape)
            return value

    training = {part: part.training for part in traced.module.modules()}
    traced.module.eval()
    try:
        with torch.no_grad():
            Watcher(fx.GraphModule(traced.module, traced.graph)).run(example)
    finally:
        for part, mode in training.items():
            part.training = mode
    return found
