"""All stages in one ONNX file for ONNX Runtime: a policy as nested `If`s, batch 1.

For whoever runs ONNX Runtime without edgesynth. TensorRT is not served: its `If` costs the sum of
its branches. Weights stand in the outer graph, once, however many ways lead to a stage.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesynth.core.errors import UserError
from edgesynth.export.gates import gate_node
from edgesynth.export.onnx_file import opset_of
from edgesynth.export.staged import INPUT, StagedCandidate, StageFile
from edgesynth.export.tidy import nested_graphs
from edgesynth.operators.nodes import add_functions, is_operator
from edgesynth.operators.spec import DOMAIN
from edgesynth_rt.policy import STOP, Node, Policy, pairs

_SAME_MEANING = 17
"""Up to this opset the operators of the gate's function mean what they do in its own, 13."""
LOGITS, STAGE = "logits", "stage"
"""Outputs: the answer, (1, classes), and the index of the stage that gave it, int64 (1,)."""


def switch_model(candidate: StagedCandidate, policy: Policy) -> onnx.ModelProto:
    """One model that computes what the staged bundle does for one image.

    Raises UserError for a bundle whose files have a fixed batch other than 1.
    """
    if candidate.batch not in (None, 1):
        raise UserError(
            f"one file for all stages takes one image, not a batch of {candidate.batch}"
        )
    writer = _Writer(candidate, policy)
    nodes, outputs = writer.route(0, "", {INPUT: INPUT})
    nodes += [
        helper.make_node("Identity", [made], [name])
        for made, name in zip(outputs, (LOGITS, STAGE), strict=True)
    ]
    image = candidate.golden_inputs[INPUT]
    first = candidate.stages[0]
    classes = first.outputs[first.logits].shape[1]
    graph = helper.make_graph(
        nodes,
        candidate.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, *image.shape[1:]])],
        [
            helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, classes]),
            helper.make_tensor_value_info(STAGE, TensorProto.INT64, [1]),
        ],
        writer.weights,
    )
    return _model(graph, writer.gates, max(opset_of(each.model) for each in candidate.stages))


class _Writer:
    """Writes the nodes of each way through the stages."""

    def __init__(self, candidate: StagedCandidate, policy: Policy) -> None:
        self._stages, self._nodes = candidate.stages, policy.nodes
        self.weights: list[onnx.TensorProto] = []
        self.gates: list[onnx.NodeProto] = []
        for stage in self._stages:
            for tensor in stage.model.graph.initializer:
                copy = onnx.TensorProto()
                copy.CopyFrom(tensor)
                copy.name = _weight(stage, tensor.name)
                self.weights.append(copy)

    def route(
        self, index: int, way: str, known: Mapping[str, str]
    ) -> tuple[list[onnx.NodeProto], tuple[str, str]]:
        """Nodes from stage `index` on, and the names of both answers.

        way: prefix of names made here, as a stage may be reached by several ways; known: tensors of
        the stages before, by the names that stages give them.
        """
        stage, node = self._stages[index], self._nodes[index]
        way = f"{way}{stage.id}/"
        nodes = _renamed(stage, way, known)
        known = {**known, **{name: way + name for name in stage.outputs}}
        logits = way + stage.logits
        branches = [self._branch(choice, index, way, known) for choice in node.choices]
        if len(branches) == 1:
            made, answers = branches[0]
            return nodes + made, answers
        nodes += self._choice(node, way, logits, stage.outputs[stage.logits].shape[1])
        return self._nested(nodes, branches, way, 0)

    def _branch(
        self, choice: int | None, index: int, way: str, known: Mapping[str, str]
    ) -> tuple[list[onnx.NodeProto], tuple[str, str]]:
        if choice is not STOP:
            return self.route(choice, way, known)
        stage = self._stages[index]
        answer = f"{way}answer"
        made = [
            helper.make_node("Identity", [known[stage.logits]], [answer]),
            _constant(f"{way}left", np.array([index], np.int64)),
        ]
        return made, (answer, f"{way}left")

    def _choice(self, node: Node, way: str, logits: str, classes: int) -> list[onnx.NodeProto]:
        """Nodes that make `WAYis0`, `WAYis1`, ...: whether the policy chooses that one."""
        made: list[onnx.NodeProto] = []
        count = len(node.choices)
        for number, gate in enumerate(node.gates):
            threshold = f"{way}threshold{number}"
            made.append(_constant(threshold, np.array([gate.threshold], np.float32)))
            operator = gate_node(f"{way}gate{number}", logits, threshold, gate, classes)
            self.gates.append(operator)
            made.append(operator)
        votes: list[list[str]] = [[] for _ in range(count)]
        for number, (first, second) in enumerate(pairs(count)):
            passed = f"{way}gate{number}_exit"
            failed = f"{way}gate{number}_failed"
            one = f"{way}one{number}"
            made += [
                _constant(one, np.array([1], np.int32)),
                helper.make_node("Sub", [one, passed], [failed]),
            ]
            votes[first].append(passed)
            votes[second].append(failed)
        return made + _wins(votes, way)

    def _nested(
        self,
        nodes: list[onnx.NodeProto],
        branches: list[tuple[list[onnx.NodeProto], tuple[str, str]]],
        way: str,
        number: int,
    ) -> tuple[list[onnx.NodeProto], tuple[str, str]]:
        """`nodes`, then an `If` on choice `number` whose else branch asks for the next one."""
        made, answers = branches[number]
        if number == len(branches) - 1:
            return nodes + made, answers
        otherwise = self._nested([], branches, way, number + 1)
        results = (f"{way}logits{number}", f"{way}stage{number}")
        switch = helper.make_node(
            "If",
            [f"{way}is{number}"],
            list(results),
            then_branch=_graph(made, answers, f"{way}then{number}"),
            else_branch=_graph(*otherwise, f"{way}else{number}"),
        )
        return [*nodes, switch], results


def _wins(votes: list[list[str]], way: str) -> list[onnx.NodeProto]:
    """Of equal votes the last choice wins: choice k is taken when no later one has as many."""
    made = []
    totals = []
    for number, mine in enumerate(votes):
        total = mine[0]
        for step, other in enumerate(mine[1:]):
            made.append(helper.make_node("Add", [total, other], [f"{way}sum{number}.{step}"]))
            total = f"{way}sum{number}.{step}"
        as_float = f"{way}votes{number}"
        made.append(helper.make_node("Cast", [total], [as_float], to=TensorProto.FLOAT))
        totals.append(as_float)
    stacked, best = f"{way}votes", f"{way}best"
    made.append(helper.make_node("Concat", totals, [stacked], axis=0))
    made.append(
        helper.make_node("ArgMax", [stacked], [best], axis=0, keepdims=1, select_last_index=1)
    )
    for number in range(len(votes) - 1):
        wanted = f"{way}number{number}"
        made += [
            _constant(wanted, np.array([number], np.int64)),
            helper.make_node("Equal", [best, wanted], [f"{way}is{number}"]),
        ]
    return made


def _renamed(stage: StageFile, way: str, known: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Copies of the nodes of `stage` with every tensor in its place of the whole."""
    weights = {tensor.name for tensor in stage.model.graph.initializer}

    def new(name: str) -> str:
        if not name or name in weights:
            return name and _weight(stage, name)
        return known[name] if name in stage.inputs else way + name

    def rename(node: onnx.NodeProto) -> None:
        node.input[:] = [new(each) for each in node.input]
        node.output[:] = [way + each if each else each for each in node.output]
        node.name = way + node.name if node.name else ""
        for graph in nested_graphs(node):
            for inner in graph.node:
                rename(inner)
            for value in (*graph.input, *graph.output, *graph.initializer):
                value.name = way + value.name

    copies = []
    for node in stage.model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        rename(copy)
        copies.append(copy)
    return copies


def _weight(stage: StageFile, name: str) -> str:
    return f"{stage.id}:{name}"


def _constant(
    name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))


def _graph(nodes: list[onnx.NodeProto], answers: tuple[str, str], name: str) -> onnx.GraphProto:
    outputs = [
        helper.make_tensor_value_info(answer, kind, None)
        for answer, kind in zip(answers, (TensorProto.FLOAT, TensorProto.INT64), strict=True)
    ]
    return helper.make_graph(nodes, name, [], outputs)


def _model(graph: onnx.GraphProto, gates: list[onnx.NodeProto], opset: int) -> onnx.ModelProto:
    """The model around `graph`, with the function of its exit gates."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if any(is_operator(each) for each in gates):
        # functions are collected from nodes of the outer graph; those here stand in branches too
        shell = helper.make_model(helper.make_graph(gates, "gates", [], []))
        add_functions(shell)
        for function in shell.functions:
            for entry in function.opset_import:
                if entry.domain == "" and opset <= _SAME_MEANING:
                    entry.version = opset
        model.functions.extend(shell.functions)
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model
