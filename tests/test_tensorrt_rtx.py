"""The parse and build path of the TensorRT adapter, run by NVIDIA's real parser and builder.

TensorRT-RTX builds engines without a GPU. It proves that the graph and the calls are what NVIDIA's
code takes, not that an engine runs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesynth.operators.nodes import add_functions, make_node
from make_bundle import make_bundle, read_manifest, sha256, write_manifest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None,
    reason="tensorrt-rtx-cu12-bindings is not installed (pip install edgesynth[nvidia-parser])",
)


def build(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `rtx_build.py`."""
    environment = dict(os.environ, PYTHONPATH=f"{ROOT}:{ROOT / 'deploy'}")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "rtx_build.py"), str(folder), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def replace_model(folder: Path, model: onnx.ModelProto, **manifest: Any) -> Path:
    (folder / "main.onnx").write_bytes(model.SerializeToString())
    document = {**read_manifest(folder), **manifest}
    document["stages"][0]["sha256"] = sha256(folder / "main.onnx")
    write_manifest(folder, document)
    return folder


def with_function(folder: Path) -> Path:
    """The tiny network with a scaling operator of domain edgesynth behind it."""
    model = onnx.load(str(make_bundle(folder) / "main.onnx"))
    model.graph.node[-1].output[0] = "unscaled"
    model.graph.node.append(
        helper.make_node("EsScale", ["unscaled"], ["logits"], domain="edgesynth",
                         plugin_version="1", plugin_namespace="")
    )  # fmt: skip
    body = [
        helper.make_node("Constant", [], ["es_two"], value_float=2.0),
        helper.make_node("Mul", ["es_x", "es_two"], ["es_y"]),
    ]
    opsets = [helper.make_opsetid("", 13)]
    model.functions.append(
        helper.make_function(
            "edgesynth", "EsScale", ["es_x"], ["es_y"], body, opsets,
            attributes=["plugin_version", "plugin_namespace"],
        )
    )  # fmt: skip
    model.opset_import.append(helper.make_opsetid("edgesynth", 1))
    model.ir_version = 8
    onnx.checker.check_model(model)
    return replace_model(folder, model, operators=[{"type": "EsScale", "version": "1"}])


def test_a_network_is_built(tmp_path: Path) -> None:
    code, document = build(make_bundle(tmp_path / "tiny", channels=3, size=32))
    assert code == 0, document
    assert document["facts"]["layers"] >= 4 and document["facts"]["size_bytes"] > 10_000
    assert document["facts"]["plugin_layers"] == 0


def test_a_dynamic_batch_gets_its_profile(tmp_path: Path) -> None:
    code, document = build(make_bundle(tmp_path / "tiny", batch="N"), "--batch", "4")
    assert code == 0, document


def test_the_body_of_a_function_is_built_where_no_plugin_is_wanted(tmp_path: Path) -> None:
    code, document = build(with_function(tmp_path / "scaled"), "--operators", "none")
    assert code == 0, document
    assert document["facts"]["custom_by"] == "function"
    assert document["facts"]["custom_nodes"] == 1


def test_an_operator_that_nothing_knows(tmp_path: Path) -> None:
    folder = with_function(tmp_path / "scaled")
    model = onnx.load(str(folder / "main.onnx"))
    del model.functions[:]
    code, document = build(replace_model(folder, model), "--operators", "none")
    assert code == 4 and "no plugin for operator EsScale version 1" in document["error"]


def test_a_missing_plugin_is_never_passed_over(tmp_path: Path) -> None:
    """NVIDIA's parser would build the function's body."""
    code, document = build(with_function(tmp_path / "scaled"))
    assert code == 4 and "no plugin for operator EsScale version 1" in document["error"]
    assert "--plugins libedgesynth_plugins.so" in document["error"]


def test_nvidias_registry_finds_by_name_version_and_namespace(tmp_path: Path) -> None:
    _, document = build(make_bundle(tmp_path / "tiny"), "--creator", "EsScale")
    assert document["found"] == [True, False, False]


def test_a_graph_that_nvidias_parser_refuses(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "odd")
    model = onnx.load(str(folder / "main.onnx"))
    node = helper.make_node("NoSuchOperator", ["f"], ["g2"])
    model.graph.node.insert(4, node)
    model.graph.node[5].input[0] = "g2"
    code, document = build(replace_model(folder, model))
    assert code == 1
    assert "does not take" in document["error"] and "NoSuchOperator" in document["error"]


def test_precision_stands_in_the_file(tmp_path: Path) -> None:
    """Like TensorRT 11, RTX has no FP16 switch."""
    code, document = build(make_bundle(tmp_path / "tiny"), "--precision", "fp16")
    assert code == 2 and "takes the precision from the ONNX file" in document["error"]


def test_quantized_networks(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "q")
    model = onnx.load(str(folder / "main.onnx"))
    scale = helper.make_tensor("es_scale", TensorProto.FLOAT, [], [0.05])
    zero = helper.make_tensor("es_zero", TensorProto.INT8, [], [0])
    model.graph.initializer.extend([scale, zero])
    model.graph.node.insert(
        0, helper.make_node("QuantizeLinear", ["input", "es_scale", "es_zero"], ["q"])
    )
    model.graph.node.insert(
        1, helper.make_node("DequantizeLinear", ["q", "es_scale", "es_zero"], ["d"])
    )
    model.graph.node[2].input[0] = "d"
    onnx.checker.check_model(model)
    code, document = build(replace_model(folder, model), "--precision", "int8")
    assert code == 0, document


def with_sparse_layer(folder: Path, **manifest: Any) -> Path:
    """The tiny network with its last layer as EsSparseLinear, a third of the weights."""
    model = onnx.load(str(make_bundle(folder) / "main.onnx"))
    gemm = model.graph.node[-1]
    initializers = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    weights, bias = (initializers[name].copy() for name in gemm.input[1:])
    weights[np.abs(weights) < 1] = 0
    positions = np.flatnonzero(weights).astype(np.int32)
    attributes = {
        "weight_shape": weights.shape, "positions": positions,
        "values": weights.ravel()[positions], "bias": bias, "activation": 0,
    }  # fmt: skip
    node = make_node("EsSparseLinear", gemm.input[:1], gemm.output, attributes, "classifier")
    gemm.CopyFrom(node)
    add_functions(model)
    onnx.checker.check_model(model)
    operators = [{"type": "EsSparseLinear", "version": "1"}]
    return replace_model(folder, model, operators=operators, **manifest)


def test_without_plugins_the_dense_layer_is_built(tmp_path: Path) -> None:
    code, document = build(with_sparse_layer(tmp_path / "sparse"), "--operators", "none")
    assert code == 0, document
    assert document["facts"]["custom_nodes"] == 0
    assert document["facts"]["operators"]["layers"] == [
        {
            "node": "classifier", "operator": "EsSparseLinear", "plugin_ms": None,
            "dense_ms": None, "chosen": "dense", "reason": "--operators none",
        }
    ]  # fmt: skip


def test_where_there_is_no_gpu_the_estimate_of_the_exporter_decides(tmp_path: Path) -> None:
    layers = [{"node": "classifier", "estimate": "dense"}]
    folder = with_sparse_layer(tmp_path / "sparse", operator_layers=layers)
    code, document = build(folder, "--creator", "EsSparseLinear")
    assert code == 0, document
    table = document["facts"]["operators"]
    assert table["decided_by"] == "estimate" and table["layers"][0]["chosen"] == "dense"
    code, document = build(folder)
    assert code == 4 and "or build without plugins: --operators none" in document["error"]
