"""ONNX files written byte by byte, for tests without the onnx package."""


def model(nodes, functions=()):
    """A model whose graph has `nodes`, (domain, type) each or bytes, and `functions` likewise."""
    graph = b"".join(field(1, node if isinstance(node, bytes) else named(node)) for node in nodes)
    bodies = b"".join(field(25, function(domain, name)) for domain, name in functions)
    return b"\x08\x08" + field(7, graph) + bodies


def named(node):
    """A node: its type and domain."""
    domain, kind = node
    return field(4, kind.encode("ascii")) + field(7, domain.encode("ascii"))


def branching(nodes):
    """An `If` node whose then-branch holds `nodes`."""
    branch = b"".join(field(1, named(node)) for node in nodes)
    return named(("", "If")) + field(5, field(1, b"then_branch") + field(6, branch))


def attribute(name, value):
    """An attribute: an int, a list of int, or a flat array of float32 or int32."""
    text = field(1, name.encode("ascii"))
    if isinstance(value, int):
        return text + number(3, value) + number(20, 2)
    if isinstance(value, list):
        return text + b"".join(number(8, each) for each in value) + number(20, 7)
    code = {"float32": 1, "int32": 6}[value.dtype.name]
    tensor = number(1, len(value)) + number(2, code) + field(9, value.tobytes())
    return text + field(5, tensor) + number(20, 4)


def function(domain, name):
    """A model-local function with one node in its body."""
    return (
        field(1, name.encode("ascii"))
        + field(7, named(("", "Mul")))
        + field(10, domain.encode("ascii"))
    )


def field(number, data):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(place, value):
    """A field that is a number."""
    return varint(place << 3) + varint(value)


def varint(value):
    """A number as protocol buffers write it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
