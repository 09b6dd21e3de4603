"""The standard layers that operators of edgesynth stand for, in the bytes of an ONNX file
(Python 3.6).

The same numbers with every zero and every code written out, for TensorRT's own kernels. Operators
that do something else than a layer of weights (exit gates, layers with a level of effort) have no
such form. The host does the same with the onnx package in edgesynth/export/dense_form.py.
"""

import numpy as np

from edgesynth_rt.errors import UserError
from edgesynth_rt.onnx_nodes import graph_nodes, make_node, make_tensor, replace_nodes
from edgesynth_rt.packed_words import unpack, words_per_row
from edgesynth_rt.plugins import DOMAIN

_FORMS = ("EsSparseLinear", "EsSparseConv", "EsPackedLinear", "EsPackedConv")
_RESIDUAL = "Add"
KINDS = _FORMS + tuple(form + _RESIDUAL for form in _FORMS)
"""Operator types with a dense form; those on `Add` have a residual as their second input."""
_GEOMETRY = (("strides", (1, 1)), ("pads", (0, 0, 0, 0)), ("dilations", (1, 1)))


def has_dense_form(node):
    """Whether an `onnx_nodes.Node` can be written as standard layers."""
    return node.domain == DOMAIN and node.kind in KINDS


def with_dense(data, indices, what):
    """The model `data` with some nodes in their dense form.

    indices: as in `graph_nodes`, of nodes that have one; what: the file's name for messages.
    Raises UserError where a node's attributes do not fit.
    """
    replacements, tensors = {}, []
    for index, node in enumerate(graph_nodes(data)):
        if index in indices:
            replacements[index], added = dense_nodes(node, what)
            tensors += added
    return replace_nodes(data, replacements, tensors) if replacements else data


def dense_nodes(node, what):
    """(nodes, initializers), as bytes, of the layers that `node` stands for.

    The first node keeps the name, the last one the output.
    """
    try:
        attributes = node.attributes()
        weights = _weights(attributes)
        bias = np.asarray(attributes["bias"], np.float32)
        if weights.shape[0] != len(bias) or not np.isfinite(weights).all():
            raise ValueError("its weights and bias do not fit")
        return _layers(node, attributes, weights, bias)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(
            "%s: operator %s (%s) is not whole (%s); export the bundle again"
            % (what, node.name, node.kind, error)
        )


def _layers(node, attributes, weights, bias):
    output = node.outputs[0]
    names = [output + ".weights", output + ".bias"]
    tensors = [make_tensor(name, array) for name, array in zip(names, (weights, bias))]
    residual = node.inputs[1:] if node.kind.endswith(_RESIDUAL) else []
    steps = (["Add"] if residual else []) + (["Relu"] if attributes.get("activation", 0) else [])
    outputs = ["%s.%d" % (output, index) for index in range(len(steps))] + [output]
    inputs = [node.inputs[0]] + names
    if weights.ndim == 2:
        nodes = [make_node("Gemm", inputs, outputs[:1], node.name, transB=1)]
    else:
        geometry = {key: list(attributes.get(key, default)) for key, default in _GEOMETRY}
        geometry.update(group=attributes.get("group", 1), kernel_shape=list(weights.shape[2:]))
        nodes = [make_node("Conv", inputs, outputs[:1], node.name, **geometry)]
    for step, source, target in zip(steps, outputs, outputs[1:]):
        with_it = residual if step == "Add" else []
        nodes.append(make_node(step, [source] + with_it, [target], node.name + "/" + step))
    return nodes, tensors


def _weights(attributes):
    """The dense weights, float32 of `weight_shape`."""
    shape = tuple(attributes["weight_shape"])
    if min(shape) < 1:
        raise ValueError("weight_shape %s" % (shape,))
    columns = int(np.prod(shape[1:], dtype=np.int64))
    if "positions" in attributes:
        flat = np.zeros(shape[0] * columns, np.float32)
        positions = np.asarray(attributes["positions"])
        if positions.min() < 0:
            raise ValueError("a position below 0")
        flat[positions] = attributes["values"]
        return flat.reshape(shape)
    bits = attributes["bits"]
    words = np.asarray(attributes["words"]).reshape(shape[0], words_per_row(columns, bits))
    codes = unpack(words, bits, columns).astype(np.float32)
    return (codes * np.asarray(attributes["scales"], np.float32)[:, None]).reshape(shape)
