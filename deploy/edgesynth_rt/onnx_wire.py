"""A look into an ONNX file without the onnx package (Python 3.6).

Walks the protocol-buffer wire format far enough to say whether the file is whole and whether all
of its weights are inside it. Field numbers are those of onnx.proto (github:onnx/onnx); they never
change. A weight kept outside (`data_location: EXTERNAL`) is read by the runtimes from a path that
the file itself names, which no hash in a manifest covers.
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
    for number, value in _fields(view):
        if kind == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                raise _ExternalError
        elif number in children and isinstance(value, memoryview):
            found += children[number] == "graph"
            _walk(value, children[number], depth + 1)
    return found


def _fields(view):
    """(field number, integer or memoryview) of every field of one message."""
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        wire, number = tag & 7, tag >> 3
        if wire == _VARINT:
            value, at = _varint(view, at)
        elif wire == _BYTES:
            length, at = _varint(view, at)
            value, at = view[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            value, at = 0, at + (8 if wire == _FIXED64 else 4)
        else:
            raise _CutError("wire type %d at byte %d of a message" % (wire, at))
        if at > len(view) or number == 0:
            raise _CutError("a field runs past the end")
        yield number, value


def _varint(view, at):
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
