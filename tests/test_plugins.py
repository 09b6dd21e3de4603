"""The TensorRT plugins without a GPU: their life cycle, and NVIDIA's own registry and parser."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgesynth.export.options import ExportOptions
from edgesynth.networks.source import resolve
from edgesynth.operators.backends.onnxruntime_backend import single_node_model
from edgesynth.operators.nodes import is_operator
from edgesynth.operators.specs import OPERATORS, operator_named
from edgesynth.workflows.export import export
from kernel_builds import build, run
from operator_cases import Case, all_cases
from weight_forms import low_bit, pruned

ROOT = Path(__file__).parents[1]
PLUGINS = ROOT / "kernels" / "plugins"

with_nvidia = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None,
    reason="tensorrt-rtx-cu12-bindings is not installed (pip install edgesynth[nvidia-parser])",
)


def operators_of(library: Path) -> set[str]:
    """Operator types that the library registers, by its own word."""
    describe = ctypes.CDLL(str(library)).es_plugins_describe
    describe.restype = ctypes.c_char_p
    return set(json.loads(describe().decode())["creators"])


def nodes(folder: Path, known: set[str]) -> list[tuple[Case, Path]]:
    """An ONNX file for some cases of every operator in `known`."""
    made: list[tuple[Case, Path]] = []
    cases = {(case.variant, case.why): case for case in all_cases() if case.variant in known}
    assert {case.variant for case in cases.values()} == known
    for index, case in enumerate(cases.values()):
        if index % 3 and case.variant in {other.variant for other, _ in made}:
            continue
        attributes = operator_named(case.variant).complete(case.attributes)
        model = single_node_model(case.variant, [tuple(x.shape) for x in case.inputs], attributes)
        path = folder / f"{index}.onnx"
        onnx.save(model, str(path))
        made.append((case, path))
    return made


def exported_nodes(folder: Path, form: str) -> list[tuple[str, Path]]:
    """LeNet-5 as `export` writes it, each of its custom nodes cut out into a file of its own."""
    torch.manual_seed(0)
    net = resolve("lenet5")
    net = pruned(net, 0.95) if form == "sparse" else low_bit(net, form)
    export(net, target="jetpack-4.6", out=folder, options=ExportOptions(operators="all"))
    model = onnx.load(str(folder / "main.onnx"))
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    made = []
    for index, node in enumerate(each for each in model.graph.node if is_operator(each)):
        path = folder.parent / f"{form}{index}.onnx"
        onnx.save(extractor.extract_model(list(node.input), list(node.output)), str(path))
        made.append((node.op_type, path))
    return made


def probe(library: Path, models: list[Path]) -> dict[str, Any]:
    """What `plugin_probe.py` says."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(ROOT / "tests" / "plugin_probe.py"), str(library)]
    done = subprocess.run(
        [*command, *map(str, models)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(1200)
def test_life_cycle_under_the_sanitizers() -> None:
    """Create, clone, serialize, restore, run, for every operator in both forms; and the fuzzing."""
    said = run(build("asan") / "plugins_test")
    assert "DamagedBlobs" in said and " 0 failed" in said


@with_nvidia
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("library", "interface"),
    [
        ("edgesynth_plugins_host", "IPluginCreatorV3One"),
        ("edgesynth_plugins_v2_host", "IPluginCreator"),  # the form of TensorRT 8
    ],
)
def test_nvidias_registry_and_parser(library: str, interface: str, tmp_path: Path) -> None:
    """Every plugin is made of the very fields that NVIDIA's parser hands over for our file."""
    path = build("host") / f"lib{library}.so"
    known = operators_of(path)
    made = nodes(tmp_path, known)
    found = probe(path, [model for _, model in made])
    assert found["loaded"] and not found["loaded_twice"]
    assert set(found["creators"]) == known
    for name, creator in found["creators"].items():
        attributes = operator_named(name).attributes
        assert creator == {
            "version": "1",
            "namespace": "",
            "interface": interface,
            "fields": [each.name for each in attributes],
        }
    for (case, _), node in zip(made, found["nodes"], strict=True):
        assert node["operator"] == case.variant and node["made"], str(case)
        assert not node["made_without_one"], str(case)
        check_fields(case, node["fields"])


@with_nvidia
@pytest.mark.timeout(1200)
def test_the_nodes_of_an_exported_network_become_plugins(tmp_path: Path) -> None:
    """A sparse and a low-bit LeNet-5: every node, by the fields that NVIDIA's parser reads."""
    made = [
        node
        for form in ("sparse", "int4")
        for node in exported_nodes(tmp_path / f"{form}.bundle", form)
    ]
    assert {kind for kind, _ in made} == {
        "EsSparseConv", "EsSparseLinear", "EsPackedConv", "EsPackedLinear",
    }  # fmt: skip
    library = build("host") / "libedgesynth_plugins_host.so"
    found = probe(library, [path for _, path in made])
    assert [(node["operator"], node["made"]) for node in found["nodes"]] == [
        (kind, True) for kind, _ in made
    ]


def check_fields(case: Case, fields: dict[str, Any]) -> None:
    """Every attribute arrived as the type that its spec says, number for number."""
    operator = operator_named(case.variant)
    for name, value in operator.complete(case.attributes).items():
        kind, numbers = fields[name]
        floating = operator.attribute(name).kind in ("FLOAT", "FLOAT TENSOR")
        assert kind == ("PluginFieldType.FLOAT32" if floating else "PluginFieldType.INT32")
        expected = np.atleast_1d(np.asarray(value, np.float32 if floating else np.int32))
        assert np.array_equal(np.asarray(numbers, expected.dtype), expected), name


def test_shells_hold_no_device_code_and_kernels_no_tensorrt() -> None:
    for path in [*PLUGINS.glob("*.cpp"), *PLUGINS.glob("*.h")]:
        assert not re.search(r"__global__|<<<|ES_LAUNCH", path.read_text("utf-8")), path
    for folder in {operator.folder for operator in OPERATORS.values()} | {"common"}:
        for path in (ROOT / "kernels" / folder).glob("*.*"):
            assert "NvInfer" not in path.read_text("utf-8"), path


def test_only_the_entry_points_of_tensorrt_are_exported() -> None:
    """Another CUDA runtime in the process must never meet that of the emulation."""
    library = build("host") / "libedgesynth_plugins_host.so"
    listed = run("nm", "-D", "--defined-only", library)
    names = {line.split()[-1] for line in listed.splitlines()}
    assert names == {"getCreators", "setLoggerFinder", "es_plugins_describe"}
