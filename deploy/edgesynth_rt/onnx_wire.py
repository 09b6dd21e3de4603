"""A look into an ONNX file without the onnx package (Python 3.6).

Walks the protocol-buffer wire format far enough to say whether the file is whole, whether all of
its weights are inside it, which operators it uses, and to leave its functions out. Field numbers
are those of onnx.proto (github:onnx/onnx); they never change. A weight kept outside
(`data_location: EXTERNAL`) is read by the runtimes from a path that the file itself names, which no
hash in a manifest covers.
"""

from edgesynth_rt.errors import UserError

_CHILDREN = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_GRAPH, _FUNCTIONS = 7, 25  # of a model
_FUNCTION_NAME, _FUNCTION_DOMAIN = 1, 10
_NODE_TYPE, _NODE_DOMAIN = 4, 7
_MAX_DEPTH = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_self_contained(data, what):
    """Raise UserError unless `data` is a whole ONNX model with all weights inside.

    data: the bytes of the file; what: its name in the error message.
    """
    try:
        graphs = _walk(memoryview(data), "model", 0)
    except _CutError as cut:
        raise UserError("%s is not a whole ONNX file (%s); export it again" % (what, cut))
    except _ExternalError:
        raise UserError(
            "%s keeps weights in another file, which no hash covers; "
            "export it with the weights inside" % what
        )
    if graphs != 1:
        raise UserError("%s holds no ONNX graph; export it again" % what)


def operators(data):
    """(domain, type) of every node of the graph and of its branches, in the order of the file.

    data: the bytes of a file that `check_self_contained` accepted. Nodes inside model-local
    functions do not count: they run only where the function's node does not.
    """
    found = []
    for number, value, _, _ in fields_of(memoryview(data)):
        if number == _GRAPH:
            _collect(value, "graph", found)
    return found


def functions(data):
    """(domain, name) of every model-local function."""
    found = []
    for number, value, _, _ in fields_of(memoryview(data)):
        if number == _FUNCTIONS:
            texts = {key: text for key, text, _, _ in fields_of(value)}
            found.append((_text(texts, _FUNCTION_DOMAIN), _text(texts, _FUNCTION_NAME)))
    return found


def without_functions(data):
    """The same model without its model-local functions; every other byte stays as it is.

    TensorRT's parsers from 9.0 to 10.6 put a function's body in the place of its node, even where
    a plugin of that name is registered (github:NVIDIA/TensorRT issue 4113).
    """
    view = memoryview(data)
    kept = [view[start:end] for number, _, start, end in fields_of(view) if number != _FUNCTIONS]
    return b"".join(bytes(part) for part in kept)


class _CutError(Exception):
    pass


class _ExternalError(Exception):
    pass


def _walk(view, kind, depth):
    """Visit one message; returns how many children it has, graphs only for a model."""
    if depth > _MAX_DEPTH:
        raise _CutError("messages nest deeper than %d" % _MAX_DEPTH)
    children = _CHILDREN.get(kind, {})
    found = 0
    for number, value, _, _ in fields_of(view):
        if kind == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                raise _ExternalError
        elif number in children and isinstance(value, memoryview):
            found += children[number] == "graph"
            _walk(value, children[number], depth + 1)
    return found


def _collect(view, kind, found):
    """Add the operators below one message of a graph to `found`."""
    if kind == "node":
        texts = {key: text for key, text, _, _ in fields_of(view)}
        found.append((_text(texts, _NODE_DOMAIN), _text(texts, _NODE_TYPE)))
    for number, value, _, _ in fields_of(view):
        child = _CHILDREN[kind].get(number)
        if child in ("graph", "node", "attribute") and isinstance(value, memoryview):
            _collect(value, child, found)


def _text(fields, number):
    value = fields.get(number, b"")
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def fields_of(view):
    """(field number, integer or memoryview, start, end) of every field of one message.

    The value of a field of fixed width is its bytes, that of a number an unsigned integer.
    """
    at = 0
    while at < len(view):
        start = at
        tag, at = read_varint(view, at)
        wire, number = tag & 7, tag >> 3
        if wire == _VARINT:
            value, at = read_varint(view, at)
        elif wire == _BYTES:
            length, at = read_varint(view, at)
            value, at = view[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
            value, at = view[at : at + length], at + length
        else:
            raise _CutError("wire type %d at byte %d of a message" % (wire, at))
        if at > len(view) or number == 0:
            raise _CutError("a field runs past the end")
        yield number, value, start, at


def read_varint(view, at):
    """The number at byte `at`, and where the next one begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise _CutError("a field runs past the end")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _CutError("a number of more than 64 bits")
