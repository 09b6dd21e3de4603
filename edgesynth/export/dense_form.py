"""The standard layers that a file's operators stand for: the same numbers, nothing custom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from edgesynth.operators.nodes import add_functions, attributes_of, is_operator
from edgesynth.operators.specs import operator_named
from edgesynth.operators.weights import dense_weights


def dense_form(model: onnx.ModelProto) -> dict[str, str]:
    """Write every operator of `model` that multiplies weights as Conv or Gemm, Add and Relu.

    In place; the new layers keep the nodes' names. An input that is no activation (the level of
    effort) is given up: such a layer computes all. Returns the types of the nodes that were written
    so, by name; others (exit gates) stay, with their functions.

    Raises UserError when the attributes of an operator are wrong.
    """
    graph, nodes = model.graph, list[NodeProto]()
    written: dict[str, str] = {}
    for node in graph.node:
        if is_operator(node) and "weight_shape" in {each.name for each in node.attribute}:
            nodes += _layers(graph, node)
            written[node.name] = node.op_type
        else:
            nodes.append(node)
    if written:
        del graph.node[:]
        graph.node.extend(nodes)
        add_functions(model)
    return written


def dense_bytes(data: bytes) -> tuple[bytes, dict[str, str], set[str]]:
    """An ONNX file in its dense form, what `dense_form` returns, and the types that stayed.

    Bytes that are no ONNX file come back as they are, for others to say so.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # the class of protobuf's decoding error depends on its implementation
        return data, {}, set()
    written = dense_form(model)
    left = {node.op_type for node in model.graph.node if is_operator(node)}
    return model.SerializeToString() if written else data, written, left


def _layers(graph: onnx.GraphProto, node: NodeProto) -> Iterator[NodeProto]:
    given = attributes_of(node)
    x, *others = node.input
    residual = others if node.op_type != operator_named(node.op_type).name else []
    dense = dense_weights(given)
    names = [f"{node.output[0]}.weights", f"{node.output[0]}.bias"]
    for name, values in zip(names, (dense, given["bias"]), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    steps = [*(["Add"] if residual else []), *(["Relu"] if given["activation"] else [])]
    outputs = [f"{node.output[0]}.{index}" for index in range(len(steps))] + [node.output[0]]
    if dense.ndim == 2:
        yield helper.make_node("Gemm", [x, *names], outputs[:1], node.name, transB=1)
    else:
        geometry: dict[str, Any] = {
            "kernel_shape": dense.shape[2:],
            **{key: given[key] for key in ("strides", "pads", "dilations", "group")},
        }
        yield helper.make_node("Conv", [x, *names], outputs[:1], node.name, **geometry)
    for step, source, output in zip(steps, outputs[:-1], outputs[1:], strict=True):
        inputs = [source, *(residual if step == "Add" else [])]
        yield helper.make_node(step, inputs, [output], f"{node.name}/{step}")
