"""Makes an ONNX graph plain without changing what it computes.

Exporters leave behind constants as nodes, identities in front of weights (TensorRT 8.2 then takes
the weights for activations), shape arithmetic for what is a constant, and paths of the machine
that ran them. None of it belongs in a file that is shipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

Shapes = dict[str, list[int | str | None]]
"""By tensor: each extent as a number, a symbol such as `N`, or None where nothing is known."""
_SMALL = 1024  # elements; shape arithmetic and scalars are far below, weights above


def tidy(model: onnx.ModelProto) -> None:
    """Make `model` plain in place: same inputs, outputs and numbers.

    Constants become initializers, identities vanish, a Reshape whose result is known gets constant
    dimensions or becomes a Flatten, and what nothing uses is dropped, as are documentation strings
    and metadata, in which exporters write paths.
    """
    graph = model.graph
    _drop_initializers_from_inputs(graph)
    _constants_to_initializers(graph)
    _remove_identities(graph)
    _fix_reshapes(model)
    drop_unused(graph)
    _strip_texts(model)
    del graph.value_info[:]


def nested_graphs(node: NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in the attributes of `node` (branches of an If, body of a Loop)."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: NodeProto) -> Iterator[str]:
    """Names of all tensors that `node` uses, those used inside of its nested graphs included."""
    yield from filter(None, node.input)
    for graph in nested_graphs(node):
        yield from (output.name for output in graph.output)
        for inner in graph.node:
            yield from reads(inner)


def _drop_initializers_from_inputs(graph: onnx.GraphProto) -> None:
    """Before IR 4 every weight was also listed as an input of the network."""
    weights = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(kept)


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    kept = []
    for node in graph.node:
        tensor = _constant_value(node)
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
    replace_nodes(graph, kept)


def _constant_value(node: NodeProto) -> TensorProto | None:
    if node.op_type != "Constant" or node.domain or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        copy = TensorProto()
        copy.CopyFrom(attribute.t)
        return copy
    plain = {
        "value_float": "float32",
        "value_floats": "float32",
        "value_int": "int64",
        "value_ints": "int64",
    }
    if attribute.name not in plain or attribute.ref_attr_name:
        return None
    value = helper.get_attribute_value(attribute)
    return numpy_helper.from_array(np.asarray(value, plain[attribute.name]))


def _remove_identities(graph: onnx.GraphProto) -> None:
    """Readers of an Identity read its input, and so do those of an addition of a single zero and of
    the second of two ReLUs in a row; one that makes an output of the network stays."""
    outputs = {value.name for value in graph.output}
    zeros = {t.name for t in graph.initializer if not t.dims and not numpy_helper.to_array(t)}
    source: dict[str, str] = {}
    rectified: set[str] = set()
    kept = []
    for node in graph.node:
        passed = _passed_on(node, zeros)
        if node.op_type == "Relu" and not node.domain:
            read = source.get(node.input[0], node.input[0])
            passed = read if read in rectified else None
            rectified.add(node.output[0])
        if passed is not None and node.output[0] not in outputs:
            source[node.output[0]] = source.get(passed, passed)
        else:
            kept.append(node)
    replace_nodes(graph, kept)
    _rename_reads(graph, source)


def _passed_on(node: NodeProto, zeros: set[str]) -> str | None:
    """The tensor that `node` gives on as it is; None where it computes something."""
    if node.domain or node.op_type not in ("Identity", "Add"):
        return None
    if node.op_type == "Identity":
        return str(node.input[0])
    kept = [name for name in node.input if name not in zeros]
    return str(kept[0]) if len(kept) == 1 else None


def _rename_reads(graph: onnx.GraphProto, source: dict[str, str]) -> None:
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = source.get(name, name)
        for inner in nested_graphs(node):
            made = {output for each in inner.node for output in each.output}
            _rename_reads(inner, {old: new for old, new in source.items() if old not in made})


def _fix_reshapes(model: onnx.ModelProto) -> None:
    """Shape arithmetic in front of a Reshape is replaced by what it comes to."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    reshapes = [node for node in graph.node if node.op_type == "Reshape" and not node.domain]
    if not reshapes:
        return
    computed = any(node.input[1] not in weights for node in reshapes)
    shapes = symbolic_shapes(model) if computed else known_shapes(model)
    for node in reshapes:
        before, after = shapes.get(node.input[0]), shapes.get(node.output[0])
        if not after or 0 in after or sum(not isinstance(each, int) for each in after) > 1:
            continue
        if before and len(after) == 2 <= len(before) and before[0] == after[0] is not None:
            flat = helper.make_node("Flatten", [node.input[0]], node.output, node.name, axis=1)
            node.CopyFrom(flat)
            continue
        extents = [extent if isinstance(extent, int) else -1 for extent in after]
        name = f"{node.output[0]}_shape"
        graph.initializer.append(numpy_helper.from_array(np.array(extents, np.int64), name))
        node.input[1] = name
        del node.attribute[:]  # allowzero, which no longer matters


def known_shapes(model: onnx.ModelProto) -> Shapes:
    """Shape of every tensor as far as onnx infers it."""
    return _shapes_in(onnx.shape_inference.infer_shapes(without_weights(model), data_prop=True))


def symbolic_shapes(model: onnx.ModelProto) -> Shapes:
    """Like `known_shapes`, but follows arithmetic on dimensions, also where the batch is open."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    try:
        inferred = SymbolicShapeInference.infer_shapes(without_weights(model))
    except Exception:  # it gives up on operators that it does not know, in many ways
        return known_shapes(model)
    return _shapes_in(inferred)


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A light copy for the inference of shapes and types: large weights are declared as inputs."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        else:
            declared = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(declared)
    return light


def _shapes_in(model: onnx.ModelProto) -> Shapes:
    graph = model.graph
    shapes: Shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = [
                int(each.dim_value) if each.HasField("dim_value") else each.dim_param or None
                for each in value.type.tensor_type.shape.dim
            ]
    return shapes


def drop_unused(graph: onnx.GraphProto) -> None:
    """Drop nodes whose outputs nobody reads, then weights that nobody reads."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):  # a graph is sorted: readers come after writers
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(reads(node))
    replace_nodes(graph, kept[::-1])
    for index in range(len(graph.initializer) - 1, -1, -1):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]


def _strip_texts(model: onnx.ModelProto) -> None:
    model.producer_name, model.producer_version = "edgesynth", ""
    model.doc_string = ""
    del model.metadata_props[:]
    _strip_graph(model.graph)
    for function in model.functions:
        function.doc_string = ""
        _strip_nodes(function.node)


def _strip_graph(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        named.doc_string = ""
    _strip_nodes(graph.node)


def _strip_nodes(nodes: Iterator[NodeProto]) -> None:
    for node in nodes:
        node.doc_string = ""
        node.ClearField("metadata_props")
        for inner in nested_graphs(node):
            _strip_graph(inner)


def replace_nodes(graph: onnx.GraphProto, nodes: list[NodeProto]) -> None:
    """Let `nodes` be the nodes of `graph`."""
    del graph.node[:]
    graph.node.extend(nodes)
