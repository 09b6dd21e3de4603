"""CONTRIBUTING.md, "Add an operator", followed step by step in a copy of the repository.

The operator is EsScale, y = factor * x. Its C++ files stand in data/operator_recipe; what the
recipe adds to files that are there already stands below.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_builds import ROOT, locked, tools

RECIPE = ROOT / "tests" / "data" / "operator_recipe"

SPEC = """\
SCALE = Operator(
    name="EsScale",
    folder="scale",
    meaning="all numbers times one factor",
    inputs=(Tensor("x", ("N", "C"), ("float32", "float16"), "anything"),),
    outputs=(Tensor("y", ("N", "C"), ("float32", "float16"), "factor * x"),),
    attributes=(Attribute("factor", "FLOAT", "what x is multiplied with"),),
    shapes=lambda attributes, inputs: (inputs[0],),
)

"""
REFERENCE = """\
def _scale(inputs: Tensors, attributes: Attributes) -> Tensors:
    return (inputs[0] * attributes["factor"],)


"""
FUNCTION = """\
def _scale(body: Body) -> None:
    body.returns("y", body.op("Mul", [body.inner("x"), body.given("factor")]))


"""
CASES = """\
def scale_cases(seed: int = 0) -> list[Case]:
    rng = np.random.default_rng(seed)
    shapes = [(1, 1), (1, 7), (2, 255), (2, 128), (3, 86), (1, 1000), (5, 5), (9, 3)]
    factor = {"factor": 2.5}
    return [Case("EsScale", f"{shape}", (tensor(rng, *shape),), factor) for shape in shapes]


"""
NODE = """\
{Find("EsScale"), {{}, {{"factor", {2.5f}}}}, {{3, 5}}, {{3, 5}}, false,
         {{"an image", {{3, 5, 1, 1}}}}, {}}, """
# file, the text before which something is inserted, and that
EDITS = [
    ("edgesynth/operators/specs.py", "OPERATORS = {", SPEC),
    ("edgesynth/operators/specs.py", "        EXIT_GATE,\n", "        SCALE,\n"),
    ("edgesynth/operators/references.py", "_REFERENCES: ", REFERENCE),
    ("edgesynth/operators/references.py", '    "EsExitGate":', '    "EsScale": _scale,\n'),
    ("edgesynth/operators/functions.py", "_WRITERS: ", FUNCTION),
    ("edgesynth/operators/functions.py", '    "EsExitGate":', '    "EsScale": _scale,\n'),
    ("tests/operator_cases.py", "def all_cases", CASES),
    ("tests/operator_cases.py", "*gate_cases(seed)]", "*scale_cases(seed), "),
    ("kernels/CMakeLists.txt", "exit_gate", "scale "),
    ("kernels/plugins/CMakeLists.txt", "exit_gate.cpp", "scale.cpp "),
    ("kernels/plugins/operators.h", "std::vector<OperatorKind> const& ExitGateKinds",
     "std::vector<OperatorKind> const& ScaleKinds();\n"),
    ("kernels/plugins/operators.cpp", "&ExitGateKinds()", "&ScaleKinds(), "),
    ("kernels/plugins/tests/world.cpp", "ExitGateSample(), ", NODE),
]  # fmt: skip


@pytest.mark.timeout(900)
def test_the_recipe_makes_an_operator(tmp_path: Path) -> None:
    """One test, so that one process makes the copy and builds it."""
    copy = tmp_path / "edgesynth"
    _follow_the_recipe(copy)
    _function_equals_reference_and_all_files_are_there(copy)
    build = _build(copy)
    assert "0 failed" in _run(build, build / "scale_test")
    assert "right" in _run(build, build / "scale_benchmark", "--smoke")
    _kernel_keeps_its_budget_on_the_boards(copy, build)
    _python_runs_it_by_every_face(copy)
    _the_plugin_compiles(copy)


def _follow_the_recipe(folder: Path) -> None:
    """The repository with the steps of the recipe done."""
    tests = shutil.ignore_patterns("data", "__pycache__")
    for name in ("edgesynth", "deploy", "kernels", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=tests)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(RECIPE, folder, dirs_exist_ok=True)
    for name, before, text in EDITS:
        path = folder / name
        whole = path.read_text("utf-8")
        assert before in whole, f"{name} has no {before!r}: the recipe has changed"
        path.write_text(whole.replace(before, text + before, 1), "utf-8")
    _run(folder, sys.executable, "-m", "edgesynth.operators.fields")


def _build(copy: Path) -> Path:
    """The emulated build of this operator alone."""
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("no cmake or g++ on this machine; sudo apt-get install cmake g++ make")
    options = ["-DES_EMULATION=ON", "-DES_ONLY=scale", "-DES_BENCHMARKS=ON"]
    folder = copy / "build" / "kernels" / "host"
    with locked("recipe"):
        _run(copy, "cmake", "-S", "kernels", "-B", folder, *options)
        for target in ("scale_test", "scale_benchmark", "edgesynth_kernels_host"):
            _run(copy, "cmake", "--build", folder, "--target", target)
    return folder


def _run(folder: Path, *words: str | Path) -> str:
    paths = [str(folder), str(folder / "deploy")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout


def _function_equals_reference_and_all_files_are_there(copy: Path) -> None:
    files = ["tests/test_operators.py", "tests/test_kernels_style.py"]
    pytest_words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    output = _run(copy, *pytest_words, *files, "-k", "Scale or scale or header")
    assert " passed" in output


def _kernel_keeps_its_budget_on_the_boards(copy: Path, build: Path) -> None:
    gate = [sys.executable, "kernels/kernel_resources.py", build, "--operator", "scale"]
    report = _run(copy, *gate, "--tools", tools())
    assert "ScaleKernel<__half>" in report


def _python_runs_it_by_every_face(copy: Path) -> None:
    script = """
import torch
from edgesynth.operators import run
x = torch.tensor([[1.0, -2.0], [0.5, 8.0]])
for backend in ("torch", "onnxruntime", "host"):
    (y,) = run("EsScale", (x,), {"factor": 2.5}, backend=backend)
    assert torch.equal(y, 2.5 * x), backend
"""
    _run(copy, sys.executable, "-c", script)


def _the_plugin_compiles(copy: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++ on this machine; sudo apt-get install g++")
    headers = [
        tools() / "kernel_lens" / "include" / "tensorrt",
        tools() / "nvidia" / "cuda_runtime" / "include",
        tools() / "nvidia" / "cuda_nvcc" / "include",
    ]
    system = [word for folder in headers for word in ("-isystem", folder)]
    flags = ["-std=c++14", "-Wall", "-Wextra", "-Werror", "-Wno-deprecated-declarations"]
    for source in ("scale.cpp", "operators.cpp", "tests/world.cpp"):
        path = copy / "kernels" / "plugins" / source
        _run(copy, "g++", "-fsyntax-only", *flags, "-Ikernels", *system, path)
