"""The specs as a C++ header, from which the plugins list, default and check their fields.

`python -m edgesynth.operators.fields` writes it again; a test holds the file against the specs.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from edgesynth.operators import entries
from edgesynth.operators.spec import Attribute, Kind, Operator
from edgesynth.operators.specs import OPERATORS

HEADER = "kernels/plugins/fields.h"
"""Below the repository's root."""

_KINDS: dict[Kind, str] = {
    "INT": "kInt",
    "INTS": "kInts",
    "FLOAT": "kFloat",
    "INT32 TENSOR": "kInt32Tensor",
    "FLOAT TENSOR": "kFloatTensor",
}
_TOP = """\
// The operators of edgesynth and the fields of their plugins.
// Written by `python -m edgesynth.operators.fields`; change edgesynth/operators/specs.py instead.
// clang-format off
#pragma once

#include <cstdint>

namespace edgesynth {

// As the ONNX parser hands an attribute over: INT and INTS arrive as kINT32, FLOAT as kFLOAT32,
// a TENSOR flat as kINT32 or kFLOAT32, its length being the number of elements.
enum class FieldKind { kInt, kInts, kFloat, kInt32Tensor, kFloatTensor };

struct FieldSpec {
    const char* name;
    FieldKind kind;
    int32_t length;        // of kInts; 0 where any number of elements above 0 is read
    bool required;         // an absent one is an error
    double defaults[4];    // what an absent one has, as many as `length`; one for kInt and kFloat
    double lowest;         // of every element, inclusive
    double highest;
    int32_t among[4];      // the only values of a kInt where `choices` is not 0
    int32_t choices;
};

struct OperatorSpec {
    const char* type;      // name of the creator, op_type of the node
    const char* base;      // without the `Add` of the form with a residual as last input
    int32_t inputs;
    int32_t outputs;
    const FieldSpec* fields;
    int32_t fieldCount;
};

// NaN and infinity are refused in every float field.
constexpr double kNoLimit = 1.7976931348623157e308;
"""


def header() -> str:
    """The text of `HEADER`."""
    arrays = [_array(operator) for operator in OPERATORS.values()]
    rows = [
        f'    {{"{variant}", "{each.name}", {len(each.inputs_of(variant))}, {len(each.outputs)}, '
        f"{_array_name(each)}, {len(each.attributes)}}},"
        for each in OPERATORS.values()
        for variant in each.variants
    ]
    table = ["static constexpr OperatorSpec kOperators[] = {", *rows, "};"]
    count = f"static constexpr int32_t kOperatorCount = {len(rows)};"
    return "\n".join([_TOP, *arrays, *table, count, "", "}  // namespace edgesynth", ""])


def _array_name(operator: Operator) -> str:
    return f"k{operator.name.removeprefix('Es')}Fields"


def _array(operator: Operator) -> str:
    meaning = textwrap.wrap(f"{operator.name}: {operator.meaning}", 97)
    lines = [f"// {line}" for line in meaning]
    lines += [f"//   input  {each.name}: ({', '.join(each.axes)})" for each in operator.inputs]
    lines += [f"//   output {each.name}: ({', '.join(each.axes)})" for each in operator.outputs]
    lines.append(f"static constexpr FieldSpec {_array_name(operator)}[] = {{")
    lines += [_row(attribute) for attribute in operator.attributes]
    return "\n".join([*lines, "};", ""])


def _row(attribute: Attribute) -> str:
    default = attribute.default
    values = (0,) if default is None else default if isinstance(default, tuple) else (default,)
    fields = [
        f'"{attribute.name}"',
        f"FieldKind::{_KINDS[attribute.kind]}",
        str(attribute.length or 0),
        "true" if attribute.required else "false",
        _braced(values),
        "-kNoLimit" if attribute.lowest is None else f"{attribute.lowest:g}",
        "kNoLimit" if attribute.highest is None else f"{attribute.highest:g}",
        _braced(attribute.among or (0,)),
        str(len(attribute.among)),
    ]
    return f"    {{{', '.join(fields)}}},"


def _braced(values: tuple[float, ...]) -> str:
    return "{" + ", ".join(f"{value:g}" for value in values) + "}"


def main(root: Path) -> None:
    """Write this header and that of `entries` below `root`, the repository's folder."""
    for place, text in ((HEADER, header()), (entries.HEADER, entries.header())):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
