"""The operators' Python face: specs that refuse what is wrong, references, ONNX functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch.nn import functional

from edgesynth.core.errors import UserError
from edgesynth.operators import OPERATORS, run
from edgesynth.operators.backends.onnxruntime_backend import single_node_model
from edgesynth.operators.fields import HEADER, header
from edgesynth.operators.functions import function_of
from edgesynth.operators.nodes import add_functions, attributes_of, make_node
from edgesynth.operators.run import output_shapes
from edgesynth.operators.spec import DOMAIN
from edgesynth.operators.specs import VARIANTS, operator_named
from edgesynth.operators.weights import dense_weights
from operator_cases import Case, all_cases, conv_cases, gate_cases, one
from operator_comparison import assert_equal

ROOT = Path(__file__).parents[1]


def test_the_names_are_the_ones_of_the_design() -> None:
    assert set(OPERATORS) == {
        "EsSparseLinear", "EsSparseConv", "EsPackedLinear", "EsPackedConv", "EsEffortConv",
        "EsExitGate",
    }  # fmt: skip
    with_residual = {each for each in VARIANTS if each.endswith("Add")}
    assert with_residual == {
        f"Es{a}{b}Add" for a in ("Sparse", "Packed") for b in ("Linear", "Conv")
    }


def test_no_name_is_one_of_onnx() -> None:
    """A parser would take its own operator, whatever the domain says."""
    assert not {schema.name for schema in onnx.defs.get_all_schemas()} & set(VARIANTS)


def test_the_plugins_header_says_what_the_specs_say() -> None:
    written = (ROOT / HEADER).read_text("utf-8")
    assert written == header(), "write it again: python -m edgesynth.operators.fields"


@pytest.mark.parametrize("variant", VARIANTS)
def test_functions_compute_what_the_references_do(variant: str) -> None:
    cases = [case for case in all_cases() if case.variant == variant]
    assert len(cases) >= 8
    for case in cases:
        expected = run(case.variant, case.inputs, case.attributes)
        found = run(case.variant, case.inputs, case.attributes, backend="onnxruntime")
        assert_equal(case, expected, found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_function_for_nodes_that_differ_computes_the_same(variant: str) -> None:
    """One body per operator type must serve every stride, dilation, activation and policy."""
    cases = list({case.why: case for case in all_cases(seed=1) if case.variant == variant}.values())
    operator = operator_named(variant)
    nodes = [operator.complete(case.attributes) for case in cases]
    if variant == "EsExitGate":
        nodes = [operator.complete(case.attributes) for case in gate_cases()]
    body = function_of(variant, nodes)
    literal = {a.name for node in body.node for a in node.attribute if not a.ref_attr_name}
    assert not {"activation", "policy"} & literal
    for case in cases:
        attributes = operator.complete(case.attributes)
        model = single_node_model(variant, [tuple(x.shape) for x in case.inputs], attributes)
        del model.functions[:]
        model.functions.append(body)
        onnx.checker.check_model(model, full_check=True)
        expected = run(variant, case.inputs, case.attributes)
        assert_equal(case, expected, _run_model(model, case))


def _run_model(model: onnx.ModelProto, case: Case) -> tuple[torch.Tensor, ...]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feed = {name: x.numpy() for name, x in zip(names, case.inputs, strict=True)}
    return tuple(torch.from_numpy(each) for each in session.run(None, feed))


@pytest.mark.parametrize("case", conv_cases()[::5], ids=str)
def test_strict_inference_knows_the_shape_behind_an_operator(case: Case) -> None:
    operator = operator_named(case.variant)
    attributes = operator.complete(case.attributes)
    shapes = [tuple(x.shape) for x in case.inputs]
    model = single_node_model(case.variant, shapes, attributes)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    sides = [side.dim_value for side in inferred.graph.output[0].type.tensor_type.shape.dim]
    assert tuple(sides) == output_shapes(case.variant, shapes, attributes)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_inner_name_bears_the_operators_name(variant: str) -> None:
    """Parsers 9.0 to 10.7 confuse an inner name with an equal one of the graph."""
    operator = operator_named(variant)
    case = next(case for case in all_cases() if case.variant == variant)
    body = function_of(variant, [operator.complete(case.attributes)])
    names = {name for node in body.node for name in (*node.input, *node.output, node.name)}
    names |= {*body.input, *body.output}
    assert all(name.startswith(f"{variant}.") for name in names)
    assert {node.domain for node in body.node} == {""}
    by_reference = {
        (node.op_type, a.name) for node in body.node for a in node.attribute if a.ref_attr_name
    }
    assert by_reference <= {
        ("Constant", "value"), ("Constant", "value_int"), ("Constant", "value_ints"),
        ("Constant", "value_float"), ("Conv", "pads"), ("Conv", "group"),
    }, "NVIDIA's parser reads past other references"  # fmt: skip


def test_a_sparse_convolution_is_a_convolution() -> None:
    """Against torch's own, written out, so that the reference itself is held against something."""
    x = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    weight = torch.zeros(6, 2, 3, 3)
    weight[1, 0, 2, 1], weight[5, 1, 0, 0] = 2.0, -1.0
    positions = torch.nonzero(weight.flatten()).flatten().numpy().astype(np.int32)
    attributes = {
        "weight_shape": (6, 2, 3, 3),
        "positions": positions,
        "values": weight.flatten()[positions].numpy(),
        "bias": np.arange(6, dtype=np.float32),
        "group": 2,
        "strides": (2, 1),
        "pads": (1, 1, 1, 1),
        "activation": 1,
    }
    bias = torch.arange(6.0)
    expected = functional.conv2d(x, weight, bias, stride=(2, 1), padding=1, groups=2).relu()
    for backend in ("torch", "onnxruntime"):
        (found,) = run("EsSparseConv", [x], attributes, backend=backend)
        torch.testing.assert_close(found, expected)


def test_the_gate_decides_as_worked_out_by_hand() -> None:
    logits = torch.tensor([[4.0, 2.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 9.0]])
    attributes = {"classes": 3, "policy": 0, "gate_weights": np.zeros(3, np.float32)}
    # exp(0) + exp(-2) + exp(-4) = 1.15365; 3; 1 + 2 * exp(-9)
    expected = [1 / 1.15365, 1 / 3, 1 / 1.000247]
    for backend in ("torch", "onnxruntime"):
        exit_, label, confidence, survivors, count = run(
            "EsExitGate", [logits, one(0.8)], attributes, backend=backend
        )
        assert exit_.tolist() == [1, 0, 1] and label.tolist() == [0, 0, 2]
        assert confidence.tolist() == pytest.approx(expected, rel=1e-5)
        assert survivors.tolist() == [1, -1, -1] and count.tolist() == [1]
    entropy = {**attributes, "policy": 1}
    *_, confidence, _, _ = run("EsExitGate", [logits, one(0.5)], entropy)
    assert confidence[1].item() == pytest.approx(np.log(3))


def test_low_effort_adds_up_the_first_channels_only() -> None:
    x = torch.ones(1, 3, 1, 1)
    attributes = {
        "weight_shape": (1, 3, 1, 1),
        "weights": np.array([1, 10, 100], np.float32),
        "bias": np.zeros(1, np.float32),
        "channel_order": np.array([2, 0, 1], np.int32),
        "level_channels": np.array([3, 2, 1], np.int32),
        "prefix_thresholds": np.zeros(1, np.float32),
    }
    for level, expected in ((0, 111), (1, 101), (2, 100), (7, 100), (-3, 111)):
        effort = torch.tensor([level], dtype=torch.int32)
        for backend in ("torch", "onnxruntime"):
            (y,) = run("EsEffortConv", [x, effort], attributes, backend=backend)
            assert y.item() == expected


GOOD = {
    "weight_shape": (2, 3),
    "positions": np.array([1, 4], np.int32),
    "values": np.array([1.0, -1.0], np.float32),
    "bias": np.zeros(2, np.float32),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": None}, "attribute values .* is missing"),
        ({"valuse": 1}, "no attribute valuse"),
        ({"weight_shape": (2, 3, 1)}, "3 elements instead of 2"),
        ({"weight_shape": (0, 3)}, "is 0, allowed"),
        ({"weight_shape": (2**20, 2**20)}, "bias has 2 elements|beyond 32 bits"),
        ({"weight_shape": (2**40, 3)}, "is no INTS"),
        ({"positions": np.array([4, 1], np.int32)}, "ascend"),
        ({"positions": np.array([4, 6], np.int32)}, "below 6"),
        ({"positions": np.array([-1, 2], np.int32)}, "is -1"),
        ({"positions": np.array([1.5, 2.5])}, "is no INT32 TENSOR"),
        ({"positions": np.array([[1, 2]], np.int32)}, "is no INT32 TENSOR"),
        ({"positions": np.array([], np.int32)}, "has 0 elements"),
        ({"values": np.array([1.0], np.float32)}, "2 positions, 1 values"),
        ({"values": np.array([1.0, np.nan], np.float32)}, "is nan"),
        ({"values": np.array([1.0, np.inf], np.float32)}, "is inf"),
        ({"bias": np.zeros(3, np.float32)}, "bias has 3 elements for 2"),
        ({"activation": 2}, r"is 2, allowed: \(0, 1\)"),
        ({"activation": "relu"}, "is no INT"),
    ],
)
def test_wrong_attributes_are_named(change: dict[str, Any], message: str) -> None:
    x = torch.zeros(1, 3)
    run("EsSparseLinear", [x], GOOD)
    given = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(UserError, match=message) as raised:
        run("EsSparseLinear", [x], given)
    assert "EsSparseLinear" in str(raised.value) or "\n" not in str(raised.value)


def test_wrong_inputs_are_named() -> None:
    x = torch.zeros(1, 3)
    for inputs, message in (
        ([torch.zeros(1, 4)], r"EsSparseLinear: x has shape \[1, 4\], the weights take \(N, 3\)"),
        ([torch.zeros(3)], r"x has shape \[3\]"),
        ([torch.zeros(0, 3)], "no empty input"),
        ([x, x], "takes 1 inputs, not 2"),
        ([x.int()], "x is int32; it may be float32"),
    ):
        with pytest.raises(UserError, match=message):
            run("EsSparseLinear", inputs, GOOD)
    with pytest.raises(UserError, match=r"residual has shape \[1, 3\], the output \[1, 2\]"):
        run("EsSparseLinearAdd", [x, x], GOOD)
    with pytest.raises(UserError, match='did you mean "EsSparseLinear"'):
        run("EsSparseLinaer", [x], GOOD)
    with pytest.raises(UserError, match="no backend"):
        run("EsSparseLinear", [x], GOOD, backend="cpu")


def test_a_window_beyond_the_input_is_an_error() -> None:
    attributes = {
        "weight_shape": (1, 1, 3, 3),
        "positions": np.zeros(1, np.int32),
        "values": np.ones(1, np.float32),
        "bias": np.zeros(1, np.float32),
    }
    with pytest.raises(UserError, match="smaller than the window"):
        run("EsSparseConv", [torch.zeros(1, 1, 2, 5)], attributes)
    with pytest.raises(UserError, match="group 3 does not divide 1 filters"):
        run("EsSparseConv", [torch.zeros(1, 3, 5, 5)], {**attributes, "group": 3})


def test_half_precision_is_rounded_once() -> None:
    case = next(c for c in conv_cases() if c.variant == "EsSparseConv")
    x = case.inputs[0].half()
    (found,) = run(case.variant, [x], case.attributes)
    (wide,) = run(case.variant, [x.float()], case.attributes)
    assert found.dtype == torch.float16
    assert torch.equal(found, wide.half())
    (exact,) = run(case.variant, [x.double()], case.attributes)
    assert exact.dtype == torch.float64


def test_a_node_gives_its_attributes_back() -> None:
    for case in all_cases()[::7]:
        operator = operator_named(case.variant)
        node = make_node(case.variant, ["a", "b"], ["c"], case.attributes, "n")
        found, expected = attributes_of(node), operator.complete(case.attributes)
        assert list(found) == list(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)
        texts = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type == 3}
        assert texts == {"plugin_version": b"1", "plugin_namespace": b""}


def test_the_file_declares_what_its_operators_need() -> None:
    case = conv_cases()[0]
    attributes = operator_named(case.variant).complete(case.attributes)
    model = single_node_model(case.variant, [tuple(x.shape) for x in case.inputs], attributes)
    add_functions(model)  # again: nothing is there twice
    assert [(f.domain, f.name) for f in model.functions] == [(DOMAIN, case.variant)]
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 13, DOMAIN: 1}
    assert model.ir_version == 8
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Relu", ["in.x"], ["out.y"]))
    add_functions(model)
    assert not model.functions


def test_dense_weights_come_back() -> None:
    for case in all_cases()[::5]:
        if "weight_shape" not in case.attributes:
            continue
        dense = dense_weights(operator_named(case.variant).complete(case.attributes))
        assert dense.shape == case.attributes["weight_shape"] and dense.dtype == np.float32


def test_every_attribute_is_explained() -> None:
    for operator in OPERATORS.values():
        assert operator.meaning and re.fullmatch(r"Es[A-Z]\w+", operator.name)
        for each in (*operator.attributes, *operator.inputs, *operator.outputs):
            assert each.meaning
        names = [each.name for each in operator.attributes]
        assert len(set(names)) == len(names)
        assert not {"plugin_version", "plugin_namespace"} & set(names)
