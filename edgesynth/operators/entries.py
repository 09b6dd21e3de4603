"""How Python calls a kernel: one C function per operator, whose arguments follow from the spec.

`kernels/common/entries.h` declares them (`python -m edgesynth.operators.fields` writes it), each
`kernels/OPERATOR/host.cpp` defines its own, and `backends/native.py` calls them through ctypes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgesynth.operators.spec import Kind, Operator
from edgesynth.operators.specs import OPERATORS

HEADER = "kernels/common/entries.h"
"""Below the repository's root."""

_ATTRIBUTES: dict[Kind, str] = {
    "INT": "int32_t {}",
    "INTS": "int32_t const* {}",
    "FLOAT": "float {}",
    "INT32 TENSOR": "int32_t const* {0}, int64_t {0}_count",
    "FLOAT TENSOR": "float const* {0}, int64_t {0}_count",
}
_TOP = """\
// What Python calls through ctypes: one function per operator, in kernels/OPERATOR/host.cpp.
// Written by `python -m edgesynth.operators.fields`; change edgesynth/operators/specs.py instead.
//
// All pointers are to host memory: an entry copies to the device, launches, waits and copies back.
// So the same source serves a GPU and, with ES_EMULATION, the emulation. The arguments are, in this
// order: the DataType of the activations; the shape of the first input; the inputs (a null residual
// is none); the attributes as edgesynth/operators/specs.py has them, complete and valid; the
// outputs. Activations are void pointers. The result is a cudaError_t.
// clang-format off
#pragma once

#include <cstdint>

#define ES_ENTRY extern "C" __attribute__((visibility("default")))
"""


def entry_name(operator: Operator) -> str:
    """`es_sparse_conv_host` of EsSparseConv."""
    words = re.findall(r"[A-Z][a-z]+", operator.name)
    return f"{'_'.join(words).lower()}_host"


def header() -> str:
    """The text of `HEADER`."""
    return "\n".join([_TOP, *(_declaration(each) for each in OPERATORS.values())])


def _declaration(operator: Operator) -> str:
    arguments = ",\n    ".join(_arguments(operator))
    return f"ES_ENTRY int32_t {entry_name(operator)}(\n    {arguments});\n"


def _arguments(operator: Operator) -> Iterator[str]:
    yield "int32_t type"
    yield "int64_t const* shape"
    residual = (operator.residual,) if operator.residual else ()
    for tensor in (*operator.inputs, *residual):
        yield f"{_element(tensor.dtypes)} const* {tensor.name}"
    for attribute in operator.attributes:
        yield _ATTRIBUTES[attribute.kind].format(attribute.name)
    for tensor in operator.outputs:
        yield f"{_element(tensor.dtypes)}* {tensor.name}"


def _element(dtypes: tuple[str, ...]) -> str:
    return "void" if len(dtypes) > 1 else {"int32": "int32_t", "float32": "float"}[dtypes[0]]
