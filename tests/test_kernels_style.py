"""The house rules of kernels/: what its files may include, how long they are, how they look."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from kernel_builds import KERNELS, OPERATORS, run

SOURCES = sorted(
    path for path in KERNELS.rglob("*") if path.suffix in {".h", ".cpp", ".cu", ".cuh"}
)
_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the pinned one first
FACES = ("{0}.h", "{0}.cuh", "{0}.cu", "reference.h", "reference.cpp", "test.cpp", "benchmark.cu",
         "host.cpp", "resources.toml", "CMakeLists.txt")  # fmt: skip


def _named(path: Path) -> str:
    return str(path.relative_to(KERNELS))


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_has_all_its_files_and_names_them(operator: str) -> None:
    folder = KERNELS / operator
    missing = [name for face in FACES if not (folder / (name := face.format(operator))).is_file()]
    assert not missing
    listed = (folder / "CMakeLists.txt").read_text()
    sources = [path.name for path in folder.iterdir() if path.suffix in {".cu", ".cpp"}]
    assert [name for name in sources if not re.search(rf"\b{name}\b", listed)] == []
    operators = (KERNELS / "CMakeLists.txt").read_text()
    assert re.search(rf"set\(ES_OPERATORS[^)]*\b{operator}\b", operators)


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_files_are_short_and_include_only_what_they_may(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert "#pragma once" in text or path.suffix in {".cpp", ".cu"}
    if "plugins" in path.relative_to(KERNELS).parts:
        assert "__global__" not in text, "plugins hold no device code"
        return
    assert not re.search(
        r"#include\s*[<\"](NvInfer|torch|ATen|thrust|cub|cooperative_groups)", text
    )
    if path.suffix == ".cuh":
        foreign = set(re.findall(r"#include\s*<([^>]+)>", text))
        assert not foreign, f"device code includes {foreign}: NVRTC knows no library"
        assert not re.search(r"\b__shared__\b|\b__nanosleep\b|\b__reduce_\w+_sync\b", text)


WRITTEN_BY_HAND = [path for path in SOURCES if "\n// Written by `python" not in path.read_text()]


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=_named)
def test_formatted(path: Path) -> None:
    clang_format = shutil.which("clang-format", path=_PATH)
    if clang_format is None:
        pytest.skip("no clang-format on this machine; pip install clang-format==14.0.6")
    run(clang_format, "--dry-run", "--Werror", path)
