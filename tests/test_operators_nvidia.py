"""NVIDIA's own parser and builder on our operators: by plugin where one is there, else by function.

Everything runs in processes of its own: given a plugin, this library ends the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesynth.export.nvidia_parser import is_installed, nvidia_check
from edgesynth.operators.backends.onnxruntime_backend import single_node_model
from edgesynth.operators.nodes import add_functions
from edgesynth.operators.run import output_shapes
from edgesynth.operators.specs import VARIANTS, operator_named
from operator_cases import Case, all_cases

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="NVIDIA's parser: pip install 'edgesynth[nvidia-parser]'"
)

FIELDS = Path(__file__).with_name("nvidia_plugin_fields.py")
CASES = {case.variant: case for case in all_cases()}
"""The last case of every operator type."""


def model_of(case: Case) -> onnx.ModelProto:
    attributes = operator_named(case.variant).complete(case.attributes)
    return single_node_model(case.variant, [tuple(x.shape) for x in case.inputs], attributes)


def joined(cases: list[Case]) -> onnx.ModelProto:
    """One model with a node for each of `cases`, hence one function per operator type."""
    models = [model_of(case) for case in cases]
    nodes, inputs, outputs = [], [], []
    for index, model in enumerate(models):
        for value in (*model.graph.input, *model.graph.output):
            value.name = f"{index}.{value.name}"
        node = model.graph.node[0]
        node.name = f"{index}"
        node.input[:] = [f"{index}.{name}" for name in node.input]
        node.output[:] = [f"{index}.{name}" for name in node.output]
        nodes.append(node)
        inputs += model.graph.input
        outputs += model.graph.output
    made = helper.make_model(
        helper.make_graph(nodes, "all", inputs, outputs),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    add_functions(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def parsed(mode: str, *models: Path) -> list[dict[str, Any]]:
    command = [sys.executable, str(FIELDS), mode, *map(str, models)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env=environment, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def written(folder: Path, model: onnx.ModelProto, name: str) -> Path:
    path = folder / f"{name}.onnx"
    onnx.save(model, str(path))
    return path


def test_with_a_creator_the_parser_takes_the_plugin_and_hands_every_field_over(
    tmp_path: Path,
) -> None:
    paths = [written(tmp_path, model_of(case), name) for name, case in CASES.items()]
    for (name, case), found in zip(CASES.items(), parsed("plugins", *paths), strict=True):
        operator = operator_named(name)
        assert found["errors"] == ["Assertion failed: plugin: Could not create the plugin."]
        (asked,) = found["asked"]
        assert asked["creator"] == name and asked["phase"].endswith("BUILD")
        attributes = operator.complete(case.attributes)
        assert list(asked["fields"]) == list(attributes)
        for attribute in operator.attributes:
            field = asked["fields"][attribute.name]
            assert field["type"] == ("FLOAT32" if "FLOAT" in attribute.kind else "INT32")
            given = np.ravel(attributes[attribute.name])
            np.testing.assert_array_equal(np.array(field["values"], given.dtype), given)


def test_without_a_creator_the_parser_takes_the_function(tmp_path: Path) -> None:
    paths = [written(tmp_path, model_of(case), name) for name, case in CASES.items()]
    for (name, case), found in zip(CASES.items(), parsed("nothing", *paths), strict=True):
        assert found["parsed"] and not found["asked"], found["errors"]
        attributes = operator_named(name).complete(case.attributes)
        shapes = output_shapes(name, [tuple(x.shape) for x in case.inputs], attributes)
        assert [tuple(shape) for shape in found["outputs"]] == list(shapes)


def test_bodies_for_nodes_that_differ_have_the_right_shapes(tmp_path: Path) -> None:
    """The parser reads past references to strides and dilations; such a body would show here."""
    cases = list({(case.variant, case.why): case for case in all_cases(seed=2)}.values())
    convolutions = [case for case in cases if "Conv" in case.variant]
    path = written(tmp_path, joined(convolutions), "convolutions")
    (found,) = parsed("nothing", path)
    assert found["parsed"], found["errors"]
    expected = [
        output_shapes(
            case.variant,
            [tuple(x.shape) for x in case.inputs],
            operator_named(case.variant).complete(case.attributes),
        )[0]
        for case in convolutions
    ]
    assert [tuple(shape) for shape in found["outputs"]] == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one of each", "that differ"])
def test_functions_build_an_engine_without_a_gpu(tmp_path: Path, kind: str) -> None:
    cases = list(CASES.values())
    if kind == "that differ":
        cases += list({case.variant: case for case in reversed(all_cases())}.values())
    verdict = nvidia_check(written(tmp_path, joined(cases), "all"))
    assert verdict.status == "passed", verdict.detail
    assert len(VARIANTS) == len(CASES)
