"""The recipe "Add an operator" of CONTRIBUTING.md, followed with a trivial one: EsTwice."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from edgesynth.operators import OPERATORS, fields, functions, references, run
from edgesynth.operators.backends import native
from edgesynth.operators.backends.onnxruntime_backend import single_node_model
from edgesynth.operators.function_body import Body
from edgesynth.operators.spec import Attribute, Attributes, Operator, Tensor
from edgesynth.operators.specs import VARIANTS
from plugin_library import build

ROOT = Path(__file__).parents[1]
FILES = Path(__file__).with_name("data") / "new_operator"

# step 1: the spec
TWICE = Operator(
    name="EsTwice",
    folder="twice",
    meaning="twice the input, or another multiple",
    inputs=(Tensor("x", ("N", "K"), ("float32", "float16"), "anything"),),
    outputs=(Tensor("y", ("N", "K"), ("float32", "float16"), "factor * x"),),
    attributes=(Attribute("factor", "FLOAT", "of the input", default=2.0),),
    shapes=lambda attributes, inputs: (inputs[0],),
)


# step 2: the torch reference
def twice(inputs: tuple[torch.Tensor, ...], attributes: Attributes) -> tuple[torch.Tensor, ...]:
    return (inputs[0] * attributes["factor"],)


# step 3: the ONNX function
def write_twice(body: Body) -> None:
    body.returns("y", body.op("Mul", [body.inner("x"), body.given("factor")]))


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "EsTwice", TWICE)
    monkeypatch.setitem(VARIANTS, "EsTwice", TWICE)
    monkeypatch.setitem(references._REFERENCES, "EsTwice", twice)
    monkeypatch.setitem(functions._WRITERS, "EsTwice", write_twice)


def insert(path: Path, before: str, line: str) -> None:
    """Add `line` in front of the first `before` in the file."""
    text = path.read_text("utf-8")
    assert before in text, f"{path.name} has changed: {before}"
    path.write_text(text.replace(before, f"{line}{before}", 1), "utf-8")


def copy_with_kernel(folder: Path) -> None:
    """Steps 4 to 8 in a copy of the repository's kernels."""
    kernels = folder / "kernels"
    shutil.copytree(ROOT / "kernels", kernels)
    shutil.copytree(FILES / "twice", kernels / "twice")
    shutil.copy(FILES / "plugins" / "twice.cpp", kernels / "plugins")
    (folder / "build").mkdir()
    tools = ROOT / "build" / "kernel-tools"
    (folder / "build" / "kernel-tools").symlink_to(tools, target_is_directory=True)
    fields.main(folder)
    insert(kernels / "CMakeLists.txt", "exit_gate", "twice ")
    insert(kernels / "plugins" / "CMakeLists.txt", "    exit_gate.cpp", "    twice.cpp\n")
    plugins = kernels / "plugins"
    insert(
        plugins / "operators.h",
        "OperatorKind const& ExitGateKind",
        "OperatorKind const& TwiceKind();\n",
    )
    insert(plugins / "operators.cpp", "        &ExitGateKind()", "        &TwiceKind(),\n")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_recipe_adds_an_operator(
    tmp_path: Path, added: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_with_kernel(tmp_path)
    build(
        "edgesynth_kernels_host",
        "edgesynth_plugins_host",
        "twice_test",
        folder=tmp_path / "host",
        source=tmp_path / "kernels",
    )
    done = subprocess.run([tmp_path / "host" / "twice_test"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout

    monkeypatch.setenv(native.VARIABLE, str(tmp_path / "host"))
    native.open_library.cache_clear()
    x = torch.randn(3, 50, generator=torch.manual_seed(0))
    try:
        for kind in (x, x.half()):
            expected = kind * 3
            for backend in ("torch", "onnxruntime", "host"):
                (y,) = run("EsTwice", [kind], {"factor": 3.0}, backend=backend)
                torch.testing.assert_close(y, expected)
    finally:
        native.open_library.cache_clear()

    library = ctypes.CDLL(str(tmp_path / "host" / "plugins" / "libedgesynth_plugins_host.so"))
    library.es_plugins_describe.restype = ctypes.c_char_p
    assert "EsTwice" in json.loads(library.es_plugins_describe())["creators"]


def test_a_new_operator_in_python_alone(added: None) -> None:
    """Steps 1 to 3 need no compiler."""
    x = torch.arange(6.0).reshape(2, 3)
    for backend in ("torch", "onnxruntime"):
        (y,) = run("EsTwice", [x], {}, backend=backend)
        np.testing.assert_array_equal(y, 2 * x)
    model = single_node_model("EsTwice", [(2, 3)], TWICE.complete({}))
    assert [function.name for function in model.functions] == ["EsTwice"]
    assert '"factor", FieldKind::kFloat, 0, false, {2}' in fields.header()
