"""The shape of every tensor of an ONNX graph, also where exporters compute shapes in the graph.

ONNX's own inference follows most shape arithmetic. What it leaves open (the padding chains of
torch, for one) is computed here: small constant subgraphs are run by ONNX's reference evaluator
and become constants, then inference goes on.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError, shown

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]

_SMALL = 4096  # elements: shapes, paddings and scales are small, weights are not
_ROUNDS = 50  # of folding; each resolves at least one more chain


def infer_shapes(model: onnx.ModelProto, where: str) -> dict[str, Shape]:
    """Sizes of all tensors of `model` that can be known; the graph's constants get folded.

    Raises UserError when the graph contradicts itself.
    """
    del model.graph.value_info[:]  # sizes stored for another batch would win over inference
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    for _ in range(_ROUNDS):
        shapes = _inferred(model, where)
        unknown = any(t and t not in shapes for n in model.graph.node for t in n.output[:1])
        if not unknown or not _fold(model, shapes):
            break
    return shapes


def _inferred(model: onnx.ModelProto, where: str) -> dict[str, Shape]:
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        reason = shown(" ".join(str(error).split()), 200)
        raise UserError(f"{where}: shapes cannot be inferred: {reason}") from None
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(int(dim.dim_value) for dim in dims)
    return shapes


def _fold(model: onnx.ModelProto, shapes: dict[str, Shape]) -> bool:
    """Replace nodes that compute small constants by their results; False when there is none."""
    from onnx import numpy_helper

    graph = model.graph
    known = _small_constants(graph)
    folded: list[int] = []
    for index, node in enumerate(graph.node):
        results = _evaluate(node, known, shapes, model)
        if results is not None:
            known.update(results)
            folded.append(index)
            graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in results.items())
    for index in reversed(folded):
        del graph.node[index]
    return bool(folded)


def _small_constants(graph: onnx.GraphProto) -> dict[str, Any]:
    """Initializers that may take part in shape arithmetic; unreadable ones stay unknown."""
    from onnx import numpy_helper

    known: dict[str, Any] = {}
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= _SMALL and not tensor.external_data:
            with suppress(KeyError, TypeError, ValueError):
                known[tensor.name] = numpy_helper.to_array(tensor)
    return known


def _evaluate(
    node: onnx.NodeProto, known: dict[str, Any], shapes: dict[str, Shape], model: onnx.ModelProto
) -> dict[str, Any] | None:
    """Results of `node` by name when it computes small constants, else None."""
    import numpy as np
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    inputs = [name for name in node.input if name]
    names = [name for name in node.output if name]
    if not names:
        return None
    if node.op_type == "Shape" and not node.attribute and inputs and inputs[0] in shapes:
        return {names[0]: np.array(shapes[inputs[0]], np.int64)}
    size = math.prod(shapes.get(names[0], ()))
    if any(name not in known for name in inputs) or size > _SMALL:
        return None
    graph = helper.make_graph(
        [node],
        "constant",
        [helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(inputs)],
        [helper.make_empty_tensor_value_info(name) for name in names],
    )
    single = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    try:
        values = ReferenceEvaluator(single).run(None, {name: known[name] for name in inputs})
    except Exception:
        return None
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
