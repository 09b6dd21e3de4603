"""Nodes of an ONNX graph with their attributes, read and written without the onnx package
(Python 3.6).

Only what operators of edgesynth and the layers that they stand for have: numbers, lists of numbers,
texts, and tensors of float32, int32 and int64. Field numbers are those of onnx.proto.
"""

import struct

import numpy as np

from edgesynth_rt.onnx_wire import fields_of, read_varint

_GRAPH, _GRAPH_NODE, _GRAPH_NAME, _INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 7, 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_FLOAT, _INT, _STRING, _TENSOR, _INTS = 1, 2, 3, 4, 7  # AttributeProto.AttributeType
_TYPES = {1: np.dtype("<f4"), 6: np.dtype("<i4"), 7: np.dtype("<i8")}  # TensorProto.DataType
_CODES = {"float32": 1, "int32": 6, "int64": 7, "float16": 10}
_IR_VERSION, _OPSET_IMPORT = 1, 8
_BYTES_WIRE = 2


class Node(object):
    """One node of a graph: `domain`, `kind`, `name`, `inputs`, `outputs`, and its bytes."""

    def __init__(self, view):
        self.inputs, self.outputs = [], []
        self.domain = self.kind = self.name = ""
        self._view = view
        for number, value, _, _ in fields_of(view):
            if number == _NODE_INPUT:
                self.inputs.append(_text(value))
            elif number == _NODE_OUTPUT:
                self.outputs.append(_text(value))
            elif number == _NODE_NAME:
                self.name = _text(value)
            elif number == _NODE_TYPE:
                self.kind = _text(value)
            elif number == _NODE_DOMAIN:
                self.domain = _text(value)

    @property
    def data(self):
        """The node as it stands in the file."""
        return bytes(self._view)

    def attributes(self):
        """Attributes by name: int, list of int, float, str, or an array; others are left out."""
        found = {}
        for number, value, _, _ in fields_of(self._view):
            if number == _NODE_ATTRIBUTE:
                name, content = _attribute(value)
                found[name] = content
        return {name: content for name, content in found.items() if content is not None}


def graph_nodes(data):
    """The nodes of a model's graph, in order; those inside branches of an `If` are not among them.

    data: the bytes of a file that `onnx_wire.check_self_contained` accepted.
    """
    return [
        Node(value)
        for part, graph, _, _ in fields_of(memoryview(data))
        if part == _GRAPH
        for number, value, _, _ in fields_of(graph)
        if number == _GRAPH_NODE
    ]


def replace_nodes(data, replacements, initializers):
    """The model with other nodes in the place of some; every other byte stays as it is.

    replacements: {index as in `graph_nodes`: nodes, each as bytes}; initializers: tensors to add,
    each as bytes.
    """
    view, model = memoryview(data), []
    for part, graph, start, end in fields_of(view):
        if part != _GRAPH:
            model.append(bytes(view[start:end]))
            continue
        parts, index = [], 0
        for number, _, first, last in fields_of(graph):
            if number == _GRAPH_NODE:
                new = replacements.get(index)
                index += 1
                if new is not None:
                    parts += [message(_GRAPH_NODE, node) for node in new]
                    continue
            parts.append(bytes(graph[first:last]))
        parts += [message(_INITIALIZER, tensor) for tensor in initializers]
        model.append(message(_GRAPH, b"".join(parts)))
    return b"".join(model)


def make_node(kind, inputs, outputs, name, **attributes):
    """A node of the default domain as bytes; attributes are int or lists of int."""
    parts = [message(_NODE_INPUT, text.encode("utf-8")) for text in inputs]
    parts += [message(_NODE_OUTPUT, text.encode("utf-8")) for text in outputs]
    parts += [message(_NODE_NAME, name.encode("utf-8")), message(_NODE_TYPE, kind.encode("utf-8"))]
    for key in sorted(attributes):
        value = attributes[key]
        content = message(1, key.encode("utf-8"))
        if isinstance(value, int):
            content += _number(3, value) + _number(20, _INT)
        else:
            content += b"".join(_number(8, each) for each in value) + _number(20, _INTS)
        parts.append(message(_NODE_ATTRIBUTE, content))
    return b"".join(parts)


def make_tensor(name, array):
    """A tensor as bytes."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    dims = b"".join(_number(1, extent) for extent in array.shape)
    code = _number(2, _CODES[array.dtype.name])
    return dims + code + message(8, name.encode("utf-8")) + message(9, little.tobytes())


def make_model(nodes, inputs, outputs, opsets, initializers=()):
    """A model as bytes.

    nodes, initializers: as bytes; inputs, outputs: (name, name of the dtype, shape) each, the shape
    None where it is to be found out; opsets: {domain: version}.
    """
    graph = b"".join(message(_GRAPH_NODE, node) for node in nodes) + message(_GRAPH_NAME, b"graph")
    graph += b"".join(message(_INITIALIZER, tensor) for tensor in initializers)
    graph += b"".join(message(_GRAPH_INPUT, _value(*each)) for each in inputs)
    graph += b"".join(message(_GRAPH_OUTPUT, _value(*each)) for each in outputs)
    imports = b"".join(
        message(_OPSET_IMPORT, message(1, domain.encode("utf-8")) + _number(2, opsets[domain]))
        for domain in sorted(opsets)
    )
    return _number(_IR_VERSION, 8) + message(_GRAPH, graph) + imports


def opsets_of(data):
    """{domain: version} of a model."""
    found = {}
    for part, value, _, _ in fields_of(memoryview(data)):
        if part == _OPSET_IMPORT:
            entry = {number: content for number, content, _, _ in fields_of(value)}
            found[_text(entry.get(1, b""))] = entry.get(2, 0)
    return found


def message(number, data):
    """A field that holds bytes."""
    return _varint(number << 3 | _BYTES_WIRE) + _varint(len(data)) + data


def _number(number, value):
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _value(name, dtype, shape):
    """A ValueInfoProto."""
    tensor = _number(1, _CODES[dtype])
    if shape is not None:
        tensor += message(2, b"".join(message(1, _number(1, extent)) for extent in shape))
    return message(1, name.encode("utf-8")) + message(2, message(1, tensor))


def _attribute(view):
    """(name, value) of one attribute; the value None where its kind is not one of ours."""
    name, kind, single, several = "", 0, {}, []
    for number, value, _, _ in fields_of(view):
        if number == 1:
            name = _text(value)
        elif number == 20:
            kind = value
        elif number == 8:
            several += [value] if isinstance(value, int) else _varints(value)
        else:
            single[number] = value
    if kind == _INT:
        return name, _signed(single.get(3, 0))
    if kind == _INTS:
        return name, [_signed(value) for value in several]
    if kind == _FLOAT:
        return name, struct.unpack("<f", bytes(single.get(2, b"\0\0\0\0")))[0]
    if kind == _STRING:
        return name, _text(single.get(4, b""))
    return name, _tensor(single[5]) if kind == _TENSOR and 5 in single else None


def _tensor(view):
    """A tensor as an array, None where its type is not one of ours."""
    dims, code, raw, numbers = [], 0, None, []
    for number, value, _, _ in fields_of(view):
        if number == 1:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == 2:
            code = value
        elif number == 9:
            raw = bytes(value)
        elif number == 4:
            raw = (raw or b"") + bytes(value)  # float_data, packed or one by one
        elif number in (5, 7):
            numbers += [value] if isinstance(value, int) else _varints(value)
    if code not in _TYPES:
        return None
    if raw is None:
        array = np.array([_signed(value) for value in numbers], _TYPES[code])
    else:
        array = np.frombuffer(raw, _TYPES[code])
    return array.reshape(dims)


def _varints(view):
    """The numbers of a packed field."""
    found, at = [], 0
    while at < len(view):
        value, at = read_varint(view, at)
        found.append(value)
    return found


def _signed(value):
    """A 64-bit number that was read without its sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(value):
    return bytes(value).decode("utf-8", "replace")
