"""Bundles with custom operators: chosen by the rules, equal to PyTorch, plain when asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgesynth.cli.main import run
from edgesynth.core.precision import FORMATS, PrecisionPolicy
from edgesynth.export.against import Against
from edgesynth.export.dense_form import dense_form
from edgesynth.export.layer_choice import Candidate, choose
from edgesynth.export.options import ExportOptions
from edgesynth.export.products import fold_normalization
from edgesynth.export.session import Session
from edgesynth.hardware.kernel_roofline import Layer
from edgesynth.networks import edgenet
from edgesynth.networks.grid import weighted_layers
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.operators.nodes import attributes_of, is_operator
from edgesynth.synthesis.precision import restrict
from edgesynth.workflows.bench import bench
from edgesynth.workflows.check import check
from edgesynth.workflows.export import export
from edgesynth.workflows.inspect import inspect
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth.workflows.predict import predict
from small_networks import ALL, Mobile, Plain, Residual, network
from weight_forms import low_bit, pruned


def bundle(
    net: Network, out: Path, mode: Any = "auto", target: str = "jetpack-4.6"
) -> tuple[dict[str, Any], onnx.ModelProto]:
    """Manifest and file; `export` itself holds ONNX Runtime against PyTorch."""
    export(net, target=target, out=out, options=ExportOptions(operators=mode))
    manifest = json.loads((out / "manifest.json").read_text())
    return manifest, onnx.load(str(out / "main.onnx"))


def types(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def linear(columns: int, filters: int) -> Layer:
    return Layer("", columns, 1, 1, filters, 1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1))


def conv(channels: int, side: int, filters: int, kernel: int) -> Layer:
    """Padded to keep its size."""
    pads = (kernel // 2,) * 4
    return Layer("", channels, side, side, filters, 1, (kernel, kernel), (1, 1), pads, (1, 1))


@pytest.mark.parametrize(
    ("shape", "zeros", "bits", "auto", "everything"),
    [
        # break-even at 54 % on TX2, and 10 % for the fusion that a plugin ends
        (linear(4096, 1000), 0.60, None, ("Sparse", "plugin"), ("Sparse", "plugin")),
        (linear(4096, 1000), 0.55, None, None, ("Sparse", "dense")),
        (linear(4096, 1000), 0.49, None, None, None),
        # Winograd's 3x3: break-even at 95 to 96 %
        (conv(256, 28, 256, 3), 0.93, None, None, ("Sparse", "dense")),
        (conv(256, 28, 256, 3), 0.97, None, ("Sparse", "plugin"), ("Sparse", "plugin")),
        # a large window that Winograd does not help
        (conv(96, 27, 128, 5), 0.93, None, ("Sparse", "plugin"), ("Sparse", "plugin")),
        # fewer than eight filters: a kernel without an estimate
        (conv(256, 28, 7, 3), 0.99, None, None, ("Sparse", "dense")),
        (None, 0.99, None, None, ("Sparse", "dense")),
        # low-bit layers become smaller in any case, only linear ones faster
        (linear(4096, 1000), 0.0, 4, ("Packed", "plugin"), ("Packed", "plugin")),
        (linear(4096, 1000), 0.0, 8, ("Packed", "plugin"), ("Packed", "plugin")),
        (conv(256, 28, 256, 3), 0.0, 4, ("Packed", "dense"), ("Packed", "dense")),
        (None, 0.0, 4, ("Packed", "dense"), ("Packed", "dense")),
        # both: 2 bits gain 5.6 on TX2, 90 % zeros 4.5, 95 % zeros 8.9
        (linear(4096, 1000), 0.90, 2, ("Packed", "plugin"), ("Packed", "plugin")),
        (linear(4096, 1000), 0.95, 2, ("Sparse", "plugin"), ("Sparse", "plugin")),
    ],
)
def test_the_rules_of_choice(
    shape: Layer | None,
    zeros: float,
    bits: int | None,
    auto: tuple[str, str] | None,
    everything: tuple[str, str] | None,
) -> None:
    layer = Candidate(10_000, round(10_000 * (1 - zeros)), shape, bits)
    for mode, expected in (("auto", auto), ("all", everything), ("none", None)):
        found = choose(layer, mode)  # type: ignore[arg-type]
        assert (None if found is None else (found.form, found.estimate)) == expected
        assert found is None or found.reason


def test_an_estimate_says_what_it_is_and_agrees_with_the_kernels_tables() -> None:
    """AlexNet fc8: kernels/README.md has 8.9 and 9.4 at 95 % zeros, 1.99 and 1.99 at 8 bits."""
    found = choose(Candidate(100, 5, linear(4096, 1000), None), "auto")
    assert found is not None and found.speed_ups == pytest.approx((9.4, 8.9), abs=0.05)
    assert found.reason == (
        "95.0 % zeros: 9.4 times as fast as dense on TX1 and 8.9 times as fast as dense on TX2 at "
        "batch 1 by the roofline"
    )
    found = choose(Candidate(100, 100, linear(4096, 1000), 8), "auto")
    assert found is not None and found.speed_ups == pytest.approx((1.99, 1.99), abs=0.005)


@pytest.mark.parametrize("kind", ALL)
def test_sparse_layers_compute_what_pytorch_does(tmp_path: Path, kind: type[nn.Module]) -> None:
    manifest, model = bundle(pruned(network(kind), 0.95), tmp_path / "a.bundle", "all")
    layers = {each["node"]: each for each in manifest["operator_layers"]}
    products = list(weighted_layers(network(kind).module).values())
    transposed = sum(isinstance(each, nn.ConvTranspose2d) for each in products)
    assert len(layers) == len(products) - transposed
    assert {each["estimate"] for each in layers.values()} <= {"plugin", "dense"}
    assert not {"Conv", "Gemm", "BatchNormalization"} & set(types(model))
    assert {each["type"] for each in manifest["operators"]} == {
        node.op_type for node in model.graph.node if is_operator(node)
    }
    assert check(tmp_path / "a.bundle")["passed"]


@pytest.mark.parametrize("form", ["int8", "int4", "int3", "int2", "ternary"])
def test_low_bit_layers_compute_what_pytorch_does(tmp_path: Path, form: str) -> None:
    manifest, model = bundle(low_bit(network(Residual), form), tmp_path / "a.bundle")
    assert types(model).count("EsPackedConv") == 2
    assert types(model).count("EsPackedConvAdd") == 1, "the residual is part of the operator"
    assert types(model).count("EsPackedLinear") == 1
    assert "Relu" not in types(model) and "Add" not in types(model)
    assert {each["file"] for each in manifest["precision"]["layers"]} == {"packed words"}
    bits = {attributes_of(node)["bits"] for node in model.graph.node if is_operator(node)}
    assert bits == {FORMATS[form].bits}
    assert not any("float32 values" in note for note in manifest["precision"]["notes"])


def test_layers_below_the_break_even_stay_standard(tmp_path: Path) -> None:
    manifest, model = bundle(pruned(network(Plain), 0.8), tmp_path / "a.bundle")
    assert manifest["operators"] == [] and "operator_layers" not in manifest
    assert model.ir_version == 7 and not model.functions
    manifest, model = bundle(pruned(network(Plain), 0.8), tmp_path / "b.bundle", "all")
    assert [each["estimate"] for each in manifest["operator_layers"]] == ["dense"] * 4
    manifest, _ = bundle(pruned(network(Plain), 0.95, "c1"), tmp_path / "c.bundle")
    assert [each["node"] for each in manifest["operator_layers"]] == ["/f1/Gemm"]
    assert [each["estimate"] for each in manifest["operator_layers"]] == ["plugin"]


def test_none_is_the_plain_graph(tmp_path: Path) -> None:
    sparse = pruned(network(Residual), 0.95)
    manifest, model = bundle(sparse, tmp_path / "a.bundle", "none")
    assert manifest["operators"] == [] and not model.functions and model.ir_version == 7
    assert {node.domain for node in model.graph.node} == {""}
    written = json.loads((tmp_path / "a.bundle" / "manifest.json").read_text())
    assert "operator_layers" not in written


def test_runtimes_without_plugins_get_operators_only_when_asked(tmp_path: Path) -> None:
    net = pruned(network(Plain), 0.95)
    manifest, _ = bundle(net, tmp_path / "a.bundle", "auto", "onnxruntime")
    assert manifest["operators"] == []
    manifest, _ = bundle(net, tmp_path / "b.bundle", "all", "onnxruntime")
    assert len(manifest["operators"]) == 2


def test_eight_bit_hardware_keeps_its_layers(tmp_path: Path) -> None:
    net = network(Plain)
    images = torch.randn(4, 3, 12, 12, generator=torch.manual_seed(3))
    restrict(net, PrecisionPolicy(FORMATS["int8"], (), 8), [images])
    manifest, model = bundle(net, tmp_path / "a.bundle", "auto", "jetpack-6.2")
    assert manifest["operators"] == [] and "QuantizeLinear" in types(model)
    manifest, model = bundle(net, tmp_path / "b.bundle", "auto", "jetpack-4.6")
    assert {each["type"] for each in manifest["operators"]} == {"EsPackedConv", "EsPackedLinear"}


def test_an_open_batch_stays_open(tmp_path: Path) -> None:
    options = ExportOptions(batch="dynamic", operators="all")
    net = pruned(network(Residual), 0.95)
    document = export(net, target="jetpack-4.6", out=tmp_path / "a.bundle", options=options)
    assert [each["type"] for each in document["operators"]] == [
        "EsSparseConv", "EsSparseConv", "EsSparseConvAdd", "EsSparseLinear",
    ]  # fmt: skip


def test_normalization_of_foreign_files_is_folded(tmp_path: Path) -> None:
    """Conv, BatchNormalization and Relu become one operator."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 3, 3, 3)) * (rng.random((4, 3, 3, 3)) < 0.06)
    tensors = {"w": weight, "g": rng.standard_normal(4), "b": rng.standard_normal(4),
               "m": rng.standard_normal(4), "v": rng.random(4) + 0.5}  # fmt: skip
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
                helper.make_node(
                    "BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], epsilon=0.1
                ),
                helper.make_node("Relu", ["n"], ["y"]),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
            [numpy_helper.from_array(a.astype(np.float32), n) for n, a in tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=7,
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(model, str(path))
    options = ExportOptions(operators="all")
    document = export(str(path), target="jetpack-4.6", out=tmp_path / "a.bundle", options=options)
    assert [each["type"] for each in document["operators"]] == ["EsSparseConv"]
    assert types(onnx.load(str(tmp_path / "a.bundle" / "main.onnx"))) == ["EsSparseConv"]
    assert check(tmp_path / "a.bundle", against=Against(str(path)))["passed"]


def test_a_normalization_that_others_need_is_left_alone() -> None:
    identity = [1.0, 0.0, 0.0, 1.0]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        helper.make_node("Add", ["n", "c"], ["y"]),
    ]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 1, 1]) for n in "xy"]
    values = [
        numpy_helper.from_array(np.full(1, v, np.float32), n)
        for n, v in zip("gbmv", identity, strict=True)
    ]
    weight = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], [weight, *values])
    fold_normalization(graph)
    assert [node.op_type for node in graph.node] == ["Conv", "BatchNormalization", "Add"]


def test_the_dense_form_computes_the_same(tmp_path: Path) -> None:
    for index, net in enumerate(
        (pruned(network(Residual), 0.95), low_bit(network(Mobile), "int4"))
    ):
        out = tmp_path / f"{index}.bundle"
        manifest, model = bundle(net, out, "all")
        inputs = {"input": np.random.default_rng(0).standard_normal((1, 3, 12, 12), np.float32)}
        expected = Session(model.SerializeToString(), "operators").run(inputs, 1)
        assert set(dense_form(model)) == {each["node"] for each in manifest["operator_layers"]}
        assert not model.functions and not any(is_operator(node) for node in model.graph.node)
        found = Session(model.SerializeToString(), "dense").run(inputs, 1)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5, rtol=1e-4)


def test_a_prediction_says_what_it_does_not_know(tmp_path: Path) -> None:
    net = pruned(network(Plain), 0.95)
    bundle(net, tmp_path / "a.bundle", "all")
    bundle(net, tmp_path / "plain.bundle", "none")
    custom, plain = (predict(tmp_path / f"{n}.bundle", ["tx1"])[0] for n in ("a", "plain"))
    assert custom["latency_ms"] == plain["latency_ms"], "the dense layers they stand for"
    assert any("4 layers are custom operators" in each for each in custom["validity"])
    assert not any("custom operators" in each for each in plain["validity"])
    marked = [each for each in custom["layers"] if "operator" in each]
    assert [each["predicted_as"] for each in marked] == ["dense"] * 4
    assert predict(tmp_path / "a.bundle" / "main.onnx", ["tx1"])[0]["validity"]


def test_a_measurement_by_functions_says_so(tmp_path: Path) -> None:
    bundle(pruned(network(Plain), 0.95), tmp_path / "a.bundle")
    plan = MeasuringPlan(warm_up_ms=0, iterations=20, duration_s=0, power="none")
    record = bench([tmp_path / "a.bundle"], plan=plan)
    assert any("ran by their functions" in each for each in record["validity"])


def test_inspect_lists_the_operators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle(low_bit(network(Plain), "int4"), tmp_path / "a.bundle")
    found = inspect(tmp_path / "a.bundle")
    assert [each["type"] for each in found["operators"]] == ["EsPackedConv", "EsPackedLinear"]
    assert [each["bits"] for each in found["operator_layers"]] == [4] * 4
    assert found["stages"][0]["onnx"]["params"] == found["cost"]["params"]
    assert run(["inspect", str(tmp_path / "a.bundle")]) == 0
    assert "EsPackedConv" in capsys.readouterr().out


def test_the_option_of_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "a.edgenet"
    edgenet.save(pruned(network(Plain), 0.95), folder)
    trust = ["--trust", "small_networks:Plain"]
    for mode, count in (("auto", 1), ("all", 2), ("none", 0)):
        out = tmp_path / f"{mode}.bundle"
        arguments = ["export", str(folder), "--out", str(out), "--operators", mode, "--quiet"]
        assert run([*arguments, *trust]) == 0
        manifest = json.loads((out / "manifest.json").read_text())
        assert len(manifest["operators"]) == count
        assert check(out, against=Against(str(folder), None, ("small_networks:Plain",)))["passed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "alexnet:width=0.25"])
@pytest.mark.parametrize("form", ["sparse", "int4"])
def test_networks_of_the_zoo(tmp_path: Path, name: str, form: str) -> None:
    """In ONNX Runtime by functions, and as an engine of NVIDIA's builder where it is installed."""
    torch.manual_seed(0)
    net = resolve(name)
    net = pruned(net, 0.95) if form == "sparse" else low_bit(net, form)
    manifest, _ = bundle(net, tmp_path / "a.bundle", "all")
    assert len(manifest["operator_layers"]) == len(weighted_layers(net.module))
    edgenet.save(net, tmp_path / "a.edgenet")
    found = check(tmp_path / "a.bundle", against=Against(str(tmp_path / "a.edgenet")))
    assert found["passed"], found["checks"]
