"""Newer opsets come down without a changed number, or not at all."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import small_networks
from edgesynth.export.downgrade import lower_opset
from edgesynth.export.onnx_file import export_module, opset_of, serialize
from edgesynth.export.rules import check_model
from edgesynth.export.session import Session
from edgesynth.hardware.target import load_target
from small_models import FLOAT, model_of

INPUT = np.random.default_rng(2).standard_normal((1, 3, 8, 8)).astype(np.float32)


def lowered(model, wanted=13, atol=0.0):
    """`model` at `wanted`, after its numbers were seen to stay within `atol`."""
    result = lower_opset(model, wanted)
    assert opset_of(result) == wanted
    onnx.checker.check_model(result)
    result.ir_version = min(model.ir_version, 8)
    before = Session(serialize(model), "before").run({"input": INPUT})
    after = Session(serialize(result), "after").run({"input": INPUT})
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=0, atol=atol)
    return result


def operators(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("kind", small_networks.ALL)
@pytest.mark.parametrize("opset", [14, 17, 20])
def test_real_networks_come_down_unchanged(kind, opset):
    """onnx's own converter refuses each of them: it has no way from Relu 14 to Relu 13."""
    example = torch.zeros(1, *small_networks.SHAPE)
    module = small_networks.network(kind).module
    model = export_module(module, example, opset=opset, ir_version=8).model
    result = lower_opset(model, 13)
    result.ir_version = 7
    assert check_model(result, load_target("jetpack-4.6")) == []
    batch = {"input": np.random.default_rng(0).random(example.shape, np.float32)}
    before = Session(serialize(model), "before").run(batch)
    after = Session(serialize(result), "after").run(batch)
    np.testing.assert_allclose(after["logits"], before["logits"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("node", "opset", "expected"),
    [
        (helper.make_node("HardSwish", ["input"], ["out"], "n"), 14, {"HardSigmoid", "Mul"}),
        (helper.make_node("Mish", ["input"], ["out"], "n"), 18, {"Softplus", "Tanh", "Mul"}),
        (helper.make_node("Gelu", ["input"], ["out"], "n"), 20, {"Erf", "Div", "Add", "Mul"}),
        (
            helper.make_node("LayerNormalization", ["input", "w", "b"], ["out"], "n", axis=-2),
            17,
            {"ReduceMean", "Sub", "Sqrt"},
        ),
        (
            helper.make_node("LayerNormalization", ["input", "w"], ["out"], "n", epsilon=0.1),
            17,
            {"ReduceMean", "Sub", "Sqrt"},
        ),
    ],
)
def test_newer_activations_and_norms_are_written_out(node, opset, expected):
    rng = np.random.default_rng(0)
    shape = (8, 8) if node.attribute and node.attribute[0].name == "axis" else (8,)
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name in ("w", "b")}
    result = lowered(model_of([node], weights=weights, opset=opset, ir_version=8), atol=1e-5)
    assert expected <= set(operators(result))
    assert node.op_type not in operators(result)


def test_axes_of_reductions_become_attributes_again():
    node = helper.make_node("ReduceMax", ["input", "axes"], ["out"], "n", keepdims=0)
    outputs = [("out", FLOAT, (1, 3))]
    weights = {"axes": np.array([2, 3])}
    model = model_of([node], weights=weights, outputs=outputs, opset=18, ir_version=8)
    (reduction,) = lowered(model).graph.node
    assert list(reduction.input) == ["input"]
    assert {each.name: list(each.ints) for each in reduction.attribute if each.ints} == {
        "axes": [2, 3]
    }


def test_a_split_into_equal_parts_needs_no_number():
    node = helper.make_node("Split", ["input"], ["out", "b"], "n", axis=2, num_outputs=2)
    outputs = [("out", FLOAT, (1, 3, 4, 8)), ("b", FLOAT, (1, 3, 4, 8))]
    lowered(model_of([node], outputs=outputs, opset=18, ir_version=8))


@pytest.mark.parametrize(
    ("node", "opset", "reason"),
    [
        (helper.make_node("Gelu", ["input"], ["out"], "n", approximate="tanh"), 20, "by tanh"),
        (helper.make_node("Trilu", ["input"], ["out"], "n"), 14, "opset 13 has no Trilu"),
        (
            helper.make_node("Resize", ["input", "", "s"], ["out"], "n", antialias=1),
            18,
            "its antialias is newer",
        ),
        (helper.make_node("Pad", ["input", "p", "", "a"], ["out"], "n"), 18, "uses an input"),
        (helper.make_node("ReduceMax", ["input", "c"], ["out"], "n"), 18, "axes are computed"),
    ],
)
def test_what_the_older_opset_cannot_say_is_refused_by_node(node, opset, reason):
    weights = {
        "s": np.ones(4, np.float32),
        "p": np.zeros(4, np.int64),
        "a": np.array([2, 3]),
        "i": np.array([2]),
    }
    computed = helper.make_node("Shape", ["i"], ["c"], "shape")
    model = model_of([computed, node], weights=weights, opset=opset, ir_version=8)
    with pytest.raises(ValueError, match=reason) as caught:
        lower_opset(model, 13)
    assert str(caught.value).startswith('node "n" ')


@settings(deadline=None, max_examples=40)
@given(
    kinds=st.lists(
        st.sampled_from(["Relu", "Sigmoid", "HardSwish", "Mish", "Elu", "Neg", "Identity", "Abs"]),
        min_size=1,
        max_size=5,
    ),
    opset=st.integers(18, 20),
    wanted=st.integers(13, 17),
)
def test_chains_of_activations_keep_their_numbers(kinds, opset, wanted):
    names = ["input", *(f"t{index}" for index in range(1, len(kinds))), "out"]
    nodes = [
        helper.make_node(kind, [names[index]], [names[index + 1]], f"n{index}")
        for index, kind in enumerate(kinds)
    ]
    lowered(model_of(nodes, opset=opset, ir_version=8), wanted, atol=1e-6)
