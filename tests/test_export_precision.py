"""Bundles of restricted precision: the same numbers, integers where the target has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgesynth.core.precision import FORMATS, PrecisionPolicy
from edgesynth.export import nvidia_parser
from edgesynth.export.against import Against
from edgesynth.export.golden import RANGE_TOLERANCE
from edgesynth.export.nvidia_parser import is_installed, nvidia_check
from edgesynth.export.options import ExportOptions
from edgesynth.export.packed import packed_layers
from edgesynth.export.precision import QUANTIZED_RANGE_TOLERANCE
from edgesynth.export.rules import check_model, fatal
from edgesynth.hardware.target import load_target, target_names
from edgesynth.networks import edgenet
from edgesynth.networks.grid import codes_of, to_rows, weighted_layers
from edgesynth.networks.network import Network
from edgesynth.synthesis.precision import restrict
from edgesynth.workflows.check import check
from edgesynth.workflows.export import export
from edgesynth.workflows.inspect import inspect
from edgesynth.workflows.predict import predict
from small_networks import ALL, Inception, Mobile, Plain, Residual, network

needs_nvidia = pytest.mark.skipif(
    not is_installed(), reason="NVIDIA's parser: pip install 'edgesynth[nvidia-parser]'"
)


PLAIN = ExportOptions(operators="none")
"""Without custom operators, which test_export_operators.py is about."""


def restricted(
    kind: type[nn.Module], form: str, *keep: str, activations: int | None = None
) -> Network:
    net = network(kind)
    images = torch.randn(16, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    restrict(net, PrecisionPolicy(FORMATS[form], keep, activations), [images])
    return net


def bundle(net: Network, out: Path, target: str) -> tuple[dict[str, Any], onnx.ModelProto]:
    """Its manifest and its file; `export` itself holds ONNX Runtime against PyTorch."""
    export(net, target=target, out=out, options=PLAIN)
    manifest = json.loads((out / "manifest.json").read_text())
    return manifest, onnx.load(str(out / "main.onnx"))


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("target", target_names())
@pytest.mark.parametrize("form", ["fp16", "ternary"])
def test_every_target_computes_what_pytorch_does(tmp_path: Path, target: str, form: str) -> None:
    manifest, model = bundle(restricted(Residual, form), tmp_path / "a.bundle", target)
    layers = manifest["precision"]["layers"]
    assert [layer["format"] for layer in layers] == [form] * 4
    integers = form != "fp16" and target not in ("jetpack-4.6", "jetpack-5.1")
    assert {layer["file"] for layer in layers} == {"int8 codes" if integers else "float32 values"}
    assert operators(model).count("DequantizeLinear") == (4 if integers else 0)
    assert manifest["golden"]["atol"] <= RANGE_TOLERANCE * 100
    assert not fatal(check_model(model, load_target(target)))


@pytest.mark.parametrize("kind", ALL)
def test_integers_in_the_file_are_the_networks_codes(tmp_path: Path, kind: type[nn.Module]) -> None:
    """Also behind a folded BatchNorm, whose negative factors turn channels around."""
    net = restricted(kind, "int4")
    manifest, model = bundle(net, tmp_path / "a.bundle", "jetpack-6.2")
    stored = [array for array in constants(model).values() if array.dtype == np.int8]
    stored = [array for array in stored if array.ndim > 1]
    assert {layer["file"] for layer in manifest["precision"]["layers"]} == {"int8 codes"}
    layers = weighted_layers(net.module)
    assert len(stored) == len(layers)
    for name in layers:
        codes = np.abs(codes_of(net, name).numpy())
        found = [np.abs(a) for a in stored if a.size == codes.size]
        if isinstance(layers[name], nn.ConvTranspose2d):
            found = [a.swapaxes(0, 1) for a in found]
        assert any(np.array_equal(a.reshape(codes.shape), codes) for a in found), name
    assert all((a > 0).all() for n, a in constants(model).items() if n.endswith("_scale"))


def test_boards_without_int8_get_float_values_and_the_reason(tmp_path: Path) -> None:
    net = restricted(Plain, "int4", activations=8)
    document = export(net, target="jetpack-4.6", out=tmp_path / "a.bundle", options=PLAIN)
    assert any("no INT8 hardware" in line for line in document["warnings"])
    manifest = json.loads((tmp_path / "a.bundle" / "manifest.json").read_text())
    assert manifest["precision"]["activations"] == {"bits": 8, "file": "float32"}
    model = onnx.load(str(tmp_path / "a.bundle" / "main.onnx"))
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(operators(model))
    for name, layer in weighted_layers(net.module).items():
        np.testing.assert_array_equal(constants(model)[f"{name}.weight"], layer.weight.detach())


def test_quantized_activations_become_pairs(tmp_path: Path) -> None:
    for target, in_front_of_weights in (("jetpack-5.1", 4), ("jetpack-6.2", 0)):
        net = restricted(Plain, "int8", activations=8)
        manifest, model = bundle(net, tmp_path / target, target)
        assert operators(model).count("QuantizeLinear") == 4 + in_front_of_weights
        assert operators(model).count("DequantizeLinear") == 8
        assert manifest["precision"]["activations"] == {"bits": 8, "file": "QuantizeLinear"}
        assert any("--precision int8" in note for note in manifest["precision"]["notes"])


def test_a_layer_that_is_kept_stays_float(tmp_path: Path) -> None:
    net = restricted(Plain, "int8", "f2", activations=8)
    manifest, model = bundle(net, tmp_path / "a.bundle", "jetpack-6.2")
    files = {layer["layer"]: layer["file"] for layer in manifest["precision"]["layers"]}
    assert files == dict.fromkeys(("c1", "c2", "f1"), "int8 codes") | {"f2": "float32 values"}
    assert operators(model).count("QuantizeLinear") == 3
    assert "notes" in manifest["precision"]


def test_a_float_network_says_nothing_of_precision(tmp_path: Path) -> None:
    manifest, _ = bundle(network(Plain), tmp_path / "a.bundle", "jetpack-6.2")
    assert manifest["precision"] is None


@pytest.mark.parametrize("target", ["jetpack-4.6", "jetpack-5.1", "tensorrt-11"])
def test_a_saved_network_is_checked_inspected_and_predicted(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia_parser, "is_installed", lambda: False)  # below, on fewer files
    trust = ("small_networks:Mobile",)
    edgenet.save(restricted(Mobile, "int8", activations=8), tmp_path / "a.edgenet")
    out = tmp_path / "a.bundle"
    export(edgenet.load(tmp_path / "a.edgenet", trust=trust), target=target, out=out)
    document = check(out, against=Against(str(tmp_path / "a.edgenet"), trust=trust))
    assert all(each["status"] != "failed" for each in document["checks"]), document
    plain = tmp_path / "plain.bundle"
    export(network(Mobile), target=target, out=plain)
    assert parameters(out) == parameters(plain)
    records = [predict(path, ["agx-orin"])[0] for path in (out, plain)]
    assert records[0]["latency_ms"] == records[1]["latency_ms"]


def parameters(path: Path) -> int:
    return sum(stage["onnx"]["params"] for stage in inspect(path)["stages"])


def test_fp16_weights_need_nothing_in_the_file(tmp_path: Path) -> None:
    net = restricted(Plain, "fp16")
    manifest, model = bundle(net, tmp_path / "a.bundle", "jetpack-4.6")
    for name, array in constants(model).items():
        if name.endswith("weight"):
            np.testing.assert_array_equal(array, array.astype(np.float16))
    assert "folded" not in manifest["precision"]["notes"][0]
    manifest, _ = bundle(restricted(Residual, "fp16"), tmp_path / "b.bundle", "jetpack-4.6")
    assert "folded" in manifest["precision"]["notes"][0]
    manifest, _ = bundle(net, tmp_path / "c.bundle", "tensorrt-11")
    assert "computes in float32" in manifest["precision"]["notes"][0]


@needs_nvidia
@pytest.mark.parametrize(
    ("kind", "form", "activations", "target"),
    [
        (Plain, "int4", None, "tensorrt-11"),  # integer weights alone
        (Residual, "int8", 8, "tensorrt-11"),  # integers throughout
        (Inception, "int8", 8, "jetpack-5.1"),  # float weights behind pairs, a transposed conv
    ],
)
def test_nvidias_parser_and_builder_take_it(
    tmp_path: Path, kind: type[nn.Module], form: str, activations: int | None, target: str
) -> None:
    bundle(restricted(kind, form, activations=activations), tmp_path / "a.bundle", target)
    verdict = nvidia_check(tmp_path / "a.bundle" / "main.onnx")
    assert verdict.status == "passed", verdict.detail


@pytest.mark.parametrize("form", ["int8", "int4", "int3", "int2", "ternary"])
def test_packed_layers_hold_the_networks_weights(form: str) -> None:
    net = restricted(Inception, form, "c")
    packed = packed_layers(net)
    assert list(packed) == ["a", "b", "up"]
    for name, layer in packed.items():
        module = net.module.get_submodule(name)
        rows = to_rows(module.get_parameter("weight").detach(), module).numpy()
        np.testing.assert_array_equal(layer.weights(), rows)
        assert layer.bits == FORMATS[form].bits


def test_the_tolerance_of_rounded_activations_is_wider(tmp_path: Path) -> None:
    net = restricted(Plain, "int8", activations=8)
    rounded, _ = bundle(net, tmp_path / "a.bundle", "jetpack-6.2")
    plain, _ = bundle(net, tmp_path / "b.bundle", "jetpack-4.6")
    ratio = rounded["golden"]["atol"] / plain["golden"]["atol"]
    assert ratio == pytest.approx(QUANTIZED_RANGE_TOLERANCE / RANGE_TOLERANCE, rel=0.1)
