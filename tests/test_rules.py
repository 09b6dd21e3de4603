"""Rules of the targets: what a board would refuse is refused here, with node and remedy."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesynth.export.rules import check_model, fatal
from edgesynth.hardware.target import load_target, target_names
from small_models import FLOAT, classifier, model_of

JETPACK_4 = load_target("jetpack-4.6")


def refused(model, target="jetpack-4.6"):
    """The one fatal finding in `model`."""
    (finding,) = fatal(check_model(model, load_target(target)))
    return finding


@pytest.mark.parametrize("target", target_names())
def test_a_plain_classifier_fits_everywhere(target):
    wanted = load_target(target)
    model = classifier(wanted.opset.export, wanted.ir.export)
    onnx.checker.check_model(model, full_check=True)
    assert check_model(model, wanted) == []


@pytest.mark.parametrize(
    ("node", "opset", "remedy"),
    [
        (helper.make_node("Mod", ["input", "w"], ["out"], "head/mod", fmod=1), 13, "torch.floor"),
        (helper.make_node("NonZero", ["input"], ["out"], "find"), 13, "depends on the data"),
        (
            helper.make_node("LayerNormalization", ["input", "w"], ["out"], "norm"),
            13,
            "written out as ReduceMean",
        ),
        (helper.make_node("Trilu", ["input"], ["out"], "mask"), 13, "triangular mask"),
        (helper.make_node("Det", ["input"], ["out"], "det"), 13, "replace it"),
    ],
)
def test_an_operator_that_tensorrt_8_2_lacks(node, opset, remedy):
    model = model_of([node], weights={"w": np.ones(8, np.float32)}, opset=opset)
    finding = refused(model)
    assert finding.rule == "operator"
    assert finding.place == f'node "{node.name}" ({node.op_type})'
    assert f"TensorRT 8.2.1 has no {node.op_type}" in finding.what
    assert remedy in finding.remedy


def test_what_8_2_lacks_10_has():
    node = helper.make_node("Mod", ["input", "w"], ["out"], "mod", fmod=1)
    model = model_of([node], weights={"w": np.ones(8, np.float32)}, opset=17, ir_version=8)
    assert check_model(model, load_target("jetpack-6.2")) == []


@pytest.mark.parametrize(
    ("opset", "ir_version", "rule"), [(18, 7, "opset"), (6, 3, "opset"), (13, 8, "ir")]
)
def test_versions(opset, ir_version, rule):
    finding = refused(classifier(opset, ir_version))
    assert finding.rule == rule
    if rule == "opset":
        assert "opset_version=13, dynamo=False" in finding.remedy
    else:
        assert finding.remedy == "set model.ir_version = 7"


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (TensorProto.INT64, "torch.int32"),
        (TensorProto.UINT8, "convert the pixels"),
        (TensorProto.BOOL, "torch.int32"),
        (TensorProto.DOUBLE, ".float()"),
        (TensorProto.STRING, "use float32"),
    ],
)
def test_inputs_that_8_2_does_not_take(kind, remedy):
    cast = helper.make_node("Cast", ["input"], ["out"], "cast", to=FLOAT)
    model = model_of([cast], inputs=[("input", kind, (1, 8))])
    finding = refused(model)
    assert finding.rule == "input type"
    assert 'input "input"' in finding.place
    assert remedy in finding.remedy


def test_an_int64_output_is_refused_before_tensorrt_9_and_fine_after():
    node = helper.make_node("ArgMax", ["input"], ["out"], "classes", axis=1)
    outputs = [("out", TensorProto.INT64, None)]
    finding = refused(model_of([node], outputs=outputs))
    assert (finding.rule, finding.place) == ("output type", 'output "out" (int64)')
    model = model_of([node], outputs=outputs, opset=17, ir_version=8)
    assert check_model(model, load_target("jetpack-6.2")) == []


def quantized(zero_point: int = 0, kind: type = np.int8) -> onnx.ModelProto:
    weights = {"scale": np.array(0.1, np.float32), "zero": np.array(zero_point, kind)}
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "scale", "zero"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["out"], "dequantize"),
    ]
    return model_of(nodes, weights=weights)


def test_quantize_nodes_are_refused_where_there_is_no_int8_hardware():
    findings = fatal(check_model(quantized(), JETPACK_4))
    assert [each.place for each in findings] == [
        'node "quantize" (QuantizeLinear)',
        'node "dequantize" (DequantizeLinear)',
    ]
    assert "no INT8 hardware" in findings[0].what
    assert "jetpack-5.1" in findings[0].remedy


def test_elsewhere_the_zero_point_must_be_zero():
    wanted = load_target("jetpack-5.1")
    assert check_model(quantized(), wanted) == []
    findings = check_model(quantized(zero_point=3), wanted)
    assert {each.place for each in findings} == {
        'node "quantize" (QuantizeLinear)',
        'node "dequantize" (DequantizeLinear)',
    }
    assert "zero point" in findings[0].what


USES = [
    (helper.make_node("MaxPool", ["input"], ["out", "at"], "n", kernel_shape=[2, 2]), "indices"),
    (
        helper.make_node("MaxPool", ["input"], ["out"], "n", kernel_shape=[2, 2], dilations=[2, 2]),
        "dilations are [2, 2]",
    ),
    (helper.make_node("Pad", ["input", "pads"], ["out"], "n", mode="wrap"), "mode is wrap"),
    (helper.make_node("TopK", ["input", "k"], ["out", "at"], "n"), "input 1 is computed"),
    (helper.make_node("Einsum", ["input"], ["out"], "n", equation="...ij->...ji"), "ellipsis"),
    (helper.make_node("Resize", ["input", "", "s"], ["out"], "n", mode="cubic"), "mode is cubic"),
    (helper.make_node("LpPool", ["input"], ["out"], "n", kernel_shape=[2, 2], p=3), "p is 3"),
    (helper.make_node("Cast", ["input"], ["out"], "n", to=TensorProto.UINT8), "to is 2"),
]


@pytest.mark.parametrize(("node", "what"), USES)
def test_a_supported_operator_used_in_an_unsupported_way(node, what):
    weights = {"pads": np.zeros(8, np.int64), "s": np.ones(4, np.float32)}
    weights |= {"one": np.ones(1, np.int64), "zero": np.zeros(1, np.int64)}
    k = [
        helper.make_node("Shape", ["input"], ["shape"], "shape"),
        helper.make_node("Gather", ["shape", "zero"], ["k"], "gather"),
    ]
    finding = refused(model_of([*k, node], weights=weights))
    assert finding.rule == "operator use"
    assert finding.place.startswith('node "n" ')
    assert what in finding.what


def test_what_is_computed_from_constants_is_a_constant():
    weights = {"one": np.ones(1, np.int64)}
    nodes = [
        helper.make_node("Add", ["one", "one"], ["k"], "sum"),
        helper.make_node("TopK", ["input", "k"], ["out", "at"], "best"),
    ]
    assert check_model(model_of(nodes, weights=weights), JETPACK_4) == []


def test_integers_into_a_matrix_product():
    nodes = [
        helper.make_node("Cast", ["input"], ["whole"], "cast", to=TensorProto.INT32),
        helper.make_node("MatMul", ["whole", "w"], ["out"], "product"),
    ]
    weights = {"w": np.ones((8, 8), np.int32)}
    outputs = [("out", TensorProto.INT32, None)]
    finding = refused(model_of(nodes, weights=weights, outputs=outputs))
    assert finding.place == 'node "product" (MatMul)'
    assert "the input is int32" in finding.what


def test_int64_constants_beyond_int32_are_refused_except_as_the_end_of_a_slice():
    slicing = helper.make_node("Slice", ["input", "starts", "ends"], ["out"], "slice")
    far = {"starts": np.array([1]), "ends": np.array([np.iinfo(np.int64).max])}
    assert check_model(model_of([slicing], weights=far), JETPACK_4) == []
    adding = helper.make_node("Add", ["input", "big"], ["out"], "add")
    model = model_of(
        [adding],
        weights={"big": np.array([2**31], np.int64)},
        inputs=[("input", TensorProto.INT32, (1, 8))],
        outputs=[("out", TensorProto.INT32, (1, 8))],
    )
    finding = refused(model)
    assert finding.place == 'constant "big"'
    assert "clamps" in finding.what


def test_double_weights_are_told_but_not_refused():
    node = helper.make_node("Identity", ["input"], ["out"], "same")
    model = model_of([node], weights={"d": np.ones(2, np.float64)})
    (finding,) = check_model(model, JETPACK_4)
    assert not finding.fatal
    assert "narrows DOUBLE" in finding.what


def branching(shapes=((1, 8), (1, 8)), names=("yes", "no"), pass_through=False):
    """An If whose branches return tensors of `shapes` called `names`."""
    made = [
        helper.make_graph(
            []
            if pass_through and index == 0
            else [helper.make_node("Relu", ["data"], [name], f"in {name}")],
            name,
            [],
            [helper.make_tensor_value_info(name, FLOAT, shape)],
        )
        for index, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    node = helper.make_node(
        "If", ["flag"], ["out"], "exit", then_branch=made[0], else_branch=made[1]
    )
    nodes = [
        helper.make_node("Cast", ["input"], ["flag"], "cast", to=TensorProto.BOOL),
        helper.make_node("Abs", ["weights"], ["data"], "abs"),
        node,
    ]
    weights = {"weights": np.ones((1, 8), np.float32)}
    return model_of(nodes, weights=weights, inputs=[("input", FLOAT, (1,))])


def test_if_with_branches_that_agree():
    assert check_model(branching(), JETPACK_4) == []


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (branching(shapes=((1, 8), (1, 9))), "return [1, 8] and [1, 9]"),
        (branching(names=("same", "same")), 'both branches call their output "same"'),
        (branching(names=("data", "no"), pass_through=True), 'only passes "data" on'),
    ],
)
def test_if_with_branches_that_tensorrt_8_2_miscounts(model, what):
    finding = refused(model)
    assert (finding.rule, finding.place) == ("if", 'node "exit" (If)')
    assert what in finding.what


def test_an_operator_inside_of_a_branch_is_seen():
    model = branching()
    branches = {each.name: each.g for each in model.graph.node[2].attribute}
    branches["then_branch"].node[0].op_type = "Mish"
    finding = refused(model)
    assert finding.place == 'node "exit" (If), node "in yes" (Mish)'


def scaled(name="EsScale", domain="edgesynth", ir_version=8, **attributes):
    """A custom operator with a function that says what it means."""
    body = [helper.make_node("Add", ["x", "x"], ["y"], "double")]
    function = helper.make_function(domain, name, ["x"], ["y"], body, [helper.make_opsetid("", 13)])
    node = helper.make_node(name, ["input"], ["out"], "custom", domain=domain, **attributes)
    domains = [domain] if domain else []
    return model_of([node], functions=[function], domains=domains, ir_version=ir_version)


PLUGIN = {"plugin_version": "1", "plugin_namespace": ""}


def test_a_custom_operator_with_function_and_attributes_fits():
    assert check_model(scaled(**PLUGIN), JETPACK_4) == []
    assert check_model(scaled(), load_target("onnxruntime")) == []


def test_ir_7_knows_no_functions():
    finding = refused(scaled(ir_version=7, **PLUGIN))
    assert (finding.rule, finding.remedy) == ("ir", "set model.ir_version = 8")


@pytest.mark.parametrize("missing", sorted(PLUGIN))
def test_an_attribute_by_which_tensorrt_finds_the_plugin_is_missing(missing):
    attributes = {name: value for name, value in PLUGIN.items() if name != missing}
    finding = refused(scaled(**attributes))
    assert finding.rule == "custom operator"
    assert missing in finding.what


def test_a_custom_operator_without_meaning():
    model = scaled(ir_version=7, **PLUGIN)
    del model.functions[:]
    finding = refused(model)
    assert finding.rule == "custom operator"
    assert '"edgesynth.EsScale"' in finding.what


def test_a_custom_operator_named_like_a_builtin_one():
    assert "name of a built-in" in refused(scaled(name="Sigmoid", **PLUGIN)).what


def test_parsers_that_inline_functions_are_told_of():
    (finding,) = check_model(scaled(**PLUGIN), load_target("jetpack-6.2"))
    assert not finding.fatal
    assert "strips functions" in finding.remedy


def test_operators_of_onnxruntime_itself():
    node = helper.make_node("FusedConv", ["input", "w"], ["out"], "f", domain="com.microsoft")
    weights = {"w": np.ones((3, 3, 1, 1), np.float32)}
    model = model_of([node], weights=weights, domains=["com.microsoft"])
    assert check_model(model, load_target("onnxruntime")) == []
    assert "before ONNX Runtime optimized" in refused(model).remedy
