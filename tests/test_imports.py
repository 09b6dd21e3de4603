"""The rules of the house: who may import whom, what loads cheaply, how long things may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = [*sorted(ROOT.glob("edgesynth/**/*.py")), *sorted(ROOT.glob("deploy/**/*.py"))]
MAX_FILE_LINES = 400
MAX_TEST_FILE_LINES = 450
MAX_BODY_LINES = 40
HEAVY = ("torch", "onnx", "onnxruntime", "matplotlib", "tensorrt_rtx_bindings")


def modules_below(*packages: str) -> list[str]:
    """Every module of `packages` by its dotted name."""
    files = [f for package in packages for f in sorted(ROOT.glob(f"edgesynth/{package}/**/*.py"))]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("package", ["core", "hardware", "remote", "report"])
def test_light_packages_load_nothing_heavy(package):
    modules = modules_below(package)
    assert modules
    program = (
        "import importlib, sys\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_layers_hold():
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("file", PRODUCT, ids=name_of)
def test_a_module_is_short_named_for_its_idea_and_explained(file):
    source = file.read_text().splitlines()
    tree = ast.parse(file.read_bytes())
    assert file.stem not in {"utils", "util", "helpers", "misc", "common_utils"}
    assert len(source) <= MAX_FILE_LINES
    assert ast.get_docstring(tree), "no docstring says what this module is for"
    undocumented = [d.name for d in public_definitions(tree) if not ast.get_docstring(d)]
    assert undocumented == []
    lengths = {function.name: body_lines(function, source) for function in functions(tree)}
    too_long = {name: lines for name, lines in lengths.items() if lines > MAX_BODY_LINES}
    assert too_long == {}


@pytest.mark.parametrize("file", sorted(ROOT.glob("tests/**/*.py")), ids=name_of)
def test_a_test_file_is_short(file):
    assert len(file.read_text().splitlines()) <= MAX_TEST_FILE_LINES


def public_definitions(tree):
    """Public functions and classes of a module; methods are explained by their class."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [d for d in tree.body if isinstance(d, kinds) and not d.name.startswith("_")]


def functions(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def body_lines(function, source: list[str]) -> int:
    """Lines from the first statement after the docstring to the last, blank ones left out."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    lines = source[body[0].lineno - 1 : body[-1].end_lineno] if body else []
    return sum(bool(line.strip()) for line in lines)
