"""Every operator has all its faces: a missing one is a failure, not an oversight."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesynth.operators.entries import entry_name
from edgesynth.operators.functions import function_of
from edgesynth.operators.references import reference
from edgesynth.operators.spec import Operator
from edgesynth.operators.specs import OPERATORS, VARIANTS
from operator_cases import all_cases

KERNELS = Path(__file__).parents[1] / "kernels"


def text(*parts: str) -> str:
    """A file below kernels/; empty where there is none."""
    path = KERNELS.joinpath(*parts)
    return path.read_text("utf-8") if path.is_file() else ""


def holds(pattern: str, *parts: str) -> bool:
    return re.search(pattern, text(*parts)) is not None


def _words(operator: Operator) -> str:
    """`SparseConv` of EsSparseConv, which is the end of the launcher's name."""
    return operator.name.removeprefix("Es")


def calls(operator: Operator, part: str) -> bool:
    """Is the launcher called in the sources that CMakeLists.txt names after `part`?"""
    listed = re.search(rf"\b{part}\b([^A-Z)]+)", text(operator.folder, "CMakeLists.txt"))
    files = listed[1].split() if listed else []
    return any(holds(rf"Launch{_words(operator)}\(", operator.folder, file) for file in files)


FACES: dict[str, Callable[[Operator], bool]] = {
    "documented launcher: kernels/FOLDER/FOLDER.h": lambda o: holds(
        rf"cudaError_t Launch{_words(o)}\(", o.folder, f"{o.folder}.h"
    ),
    "device code: kernels/FOLDER/*.cuh": lambda o: any(
        "__global__" in path.read_text() for path in (KERNELS / o.folder).glob("*.cuh")
    ),
    "launcher: kernels/FOLDER/*.cu": lambda o: any(
        f"Launch{_words(o)}(" in path.read_text() for path in (KERNELS / o.folder).glob("*.cu")
    ),
    "CPU reference: kernels/FOLDER/reference.h": lambda o: holds(
        r"\bReference\w+\(", o.folder, "reference.h"
    ),
    "test: kernels/FOLDER/test.cpp and what is built with it": lambda o: calls(o, "TEST"),
    "benchmark: kernels/FOLDER/benchmark.cu and what is built with it": lambda o: calls(
        o, "BENCHMARK"
    ),
    "entry point for Python: kernels/FOLDER/host.cpp": lambda o: holds(
        rf"ES_ENTRY int32_t {entry_name(o)}\(", o.folder, "host.cpp"
    ),
    "sources named: kernels/FOLDER/CMakeLists.txt": lambda o: (
        holds(r"es_operator\(", o.folder, "CMakeLists.txt")
        and holds(rf"ES_OPERATORS [^)]*\b{o.folder}\b", "CMakeLists.txt")
    ),
    "budget: kernels/FOLDER/resources.toml": lambda o: holds(
        r"registers = \d", o.folder, "resources.toml"
    ),
    "plugin: kernels/plugins/FOLDER.cpp, for every form": lambda o: (
        all(holds(rf'"{variant}"', "plugins", f"{o.folder}.cpp") for variant in o.variants)
        and holds(rf"\b{o.folder.title().replace('_', '')}Kinds\(\)", "plugins", "operators.cpp")
    ),
    "roofline: kernels/README.md": lambda o: holds(rf"\b{o.name}\b", "README.md"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_no_face_in_c_is_missing(name: str) -> None:
    operator = OPERATORS[name]
    assert not {face for face, there in FACES.items() if not there(operator)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_face_in_python_is_missing(variant: str) -> None:
    operator = VARIANTS[variant]
    case = next(case for case in all_cases() if case.variant == variant)
    attributes = operator.complete(case.attributes)
    assert len(reference(variant, case.inputs, attributes)) == len(operator.outputs)
    assert function_of(variant, [attributes]).name == variant
