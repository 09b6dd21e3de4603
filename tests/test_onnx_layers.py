"""An ONNX file as the kernels that TensorRT runs: published counts, fusion rules, bad files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from torch import nn

import small_models
from edgesynth.core.errors import UserError
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.hardware.counting import count
from edgesynth.hardware.layers import Layer
from edgesynth.hardware.onnx_graph import read_graph
from edgesynth.hardware.onnx_layers import layers_of, read_layers
from edgesynth.networks import zoo
from light_graphs import LIGHT, counted
from small_models import FLOAT, classifier, model_of


def layers_in(model: onnx.ModelProto) -> list[Layer]:
    return layers_of(read_graph(model.SerializeToString(), "net.onnx"), "net.onnx")


def names(layers: list[Layer]) -> list[str]:
    return [layer.name for layer in layers]


def exported(module: nn.Module, shape: tuple[int, ...], opset: int = 13) -> list[Layer]:
    model = export_module(module, torch.zeros(1, *shape), opset=opset, ir_version=7).model
    return layers_of(read_graph(serialize(model), "net"), "net")


# --- published counts -----------------------------------------------------------------------

#: Million MACs and parameters of convolutions and linear layers, and where they were published.
PUBLISHED = {
    "bvlc_alexnet": (655, 60.97),  # 224x224; Krizhevsky et al. 2012: 60 M parameters
    "vgg19": (19632, 143.67),  # Simonyan & Zisserman 2014: 144 M; 19.6 G multiply-adds
    "resnet50": (4089, 25.53),  # torchvision's table: 4.09 G, 25.56 M with BatchNorm
    "squeezenet": (349, 1.235),  # SqueezeNet 1.1: 1.24 M; 2.4 times fewer than 1.0's 0.86 G
    "densenet121": (2834, 7.9),  # Huang et al. 2017: 2.83 G; 7.98 M with BatchNorm
    "shufflenet": (124.7, 1.38),  # Zhang et al. 2018: ShuffleNet 1x, g = 3: 137 M with other work
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name):
    layers = read_layers(LIGHT / f"light_{name}.onnx")
    macs, weights = PUBLISHED[name]
    assert sum(layer.macs for layer in layers) / 1e6 == pytest.approx(macs, rel=0.002)
    assert sum(layer.weights for layer in layers) / 1e6 == pytest.approx(weights, rel=0.01)


def test_an_independent_counter_agrees():
    for name in ("bvlc_alexnet", "squeezenet", "vgg19", "zfnet512"):
        _, macs = counted(name, 224)
        assert sum(layer.macs for layer in read_layers(LIGHT / f"light_{name}.onnx")) == macs


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "squeezenet"])
def test_the_zoo_counts_as_torch_counts(name):
    module, shape = zoo.build(name), zoo.entry(name).input_shape
    assert sum(layer.macs for layer in exported(module, shape)) == count(module, shape).macs


def test_resnet50_becomes_the_kernels_that_tensorrt_runs():
    layers = read_layers(LIGHT / "light_resnet50.onnx")
    kinds = [layer.kind for layer in layers]
    assert len(layers) == 57  # 53 convolutions, 2 poolings, linear, softmax: no addition is left
    assert (kinds.count("conv"), kinds.count("conv 1x1")) == (17, 36)
    assert "elementwise" not in kinds


# --- fusion rules ---------------------------------------------------------------------------

W = np.zeros((3, 3, 3, 3), np.float32)
SCALE = np.ones(3, np.float32)


def conv(source: str, result: str, name: str, **attributes) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, "w"], [result], name, pads=[1, 1, 1, 1], **attributes)


def node(op: str, sources: str, result: str, name: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(op, sources.split(), [result], name, **attributes)


def fused(*nodes: onnx.NodeProto, **weights: np.ndarray) -> list[Layer]:
    return layers_in(model_of(nodes, weights={"w": W, **weights}))


def test_normalization_residual_and_relu_join_the_convolution():
    layers = fused(
        conv("input", "a", "first"),
        conv("a", "b", "second"),
        node("BatchNormalization", "b s s s s", "c", "norm"),
        node("Add", "c input", "d", "add"),
        node("Relu", "d", "out", "relu"),
        s=SCALE,
    )
    assert names(layers) == ["first", "second + norm + add + relu"]
    assert layers[1].inputs == 2 * 3 * 8 * 8  # its own input and the residual
    assert layers[1].outputs == 3 * 8 * 8
    assert layers[1].weights == 3 * 3 * 3 * 3 + 3
    assert layers[1].macs == 8 * 8 * 3 * 3 * 3 * 3


def test_the_later_convolution_takes_the_addition():
    layers = fused(
        conv("input", "a", "shortcut"), conv("input", "b", "body"), node("Add", "a b", "out", "add")
    )
    assert names(layers) == ["shortcut", "body + add"]


def test_a_result_that_others_need_is_not_swallowed():
    layers = fused(
        conv("input", "a", "conv"), node("Relu", "a", "r", "relu"), node("Add", "a r", "out", "add")
    )
    assert names(layers) == ["conv", "relu + add"]


def test_an_output_of_the_network_is_not_swallowed():
    nodes = [conv("input", "a", "conv"), node("Relu", "a", "out", "relu")]
    shape = (1, 3, 8, 8)
    model = model_of(nodes, weights={"w": W}, outputs=[("a", FLOAT, shape), ("out", FLOAT, shape)])
    assert names(layers_in(model)) == ["conv", "relu"]


def test_swish_is_one_kernel_beside_the_convolution():
    layers = fused(
        conv("input", "a", "conv"),
        node("Sigmoid", "a", "s", "sigmoid"),
        node("Mul", "a s", "out", "mul"),
    )
    assert names(layers) == ["conv", "sigmoid + mul"]
    assert layers[1].kind == "elementwise" and layers[1].inputs == layers[1].outputs == 3 * 8 * 8


def test_pointwise_trees_become_one_kernel():
    layers = fused(
        node("Sigmoid", "input", "g", "gate"),
        node("Mul", "g input", "l", "left"),
        node("Tanh", "input", "t", "tanh"),
        node("Mul", "t input", "r", "right"),
        node("Add", "l r", "out", "add"),
    )
    assert names(layers) == ["gate + left + tanh + right + add"]
    assert layers[0].inputs == 3 * 8 * 8


def test_padding_joins_the_convolution_that_follows():
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    bare = helper.make_node("Conv", ["p", "w"], ["out"], "conv")
    layers = fused(node("Pad", "input pads", "p", "pad"), bare, pads=pads)
    assert names(layers) == ["pad + conv"]
    assert layers[0].inputs == 3 * 8 * 8


def test_reshapes_and_dropout_cost_nothing():
    layers = fused(
        node("Dropout", "input", "d", "dropout"),
        node("Identity", "d", "i", "identity"),
        conv("i", "c", "conv"),
        node("Flatten", "c", "f", "flatten"),
        node("Reshape", "f shape", "out", "reshape"),
        shape=np.array([1, 3, 8, 8], np.int64),
    )
    assert names(layers) == ["conv"]


def test_concatenation_in_place_is_no_kernel():
    both = fused(
        conv("input", "a", "one"),
        conv("input", "b", "two"),
        node("Concat", "a b", "out", "join", axis=1),
    )
    assert names(both) == ["one", "two"]
    with_input = fused(conv("input", "a", "one"), node("Concat", "a input", "out", "join", axis=-3))
    assert names(with_input) == ["one", "join"]  # the network's input must be copied
    assert with_input[1].inputs == 3 * 8 * 8
    by_row = fused(
        conv("input", "a", "one"),
        conv("input", "b", "two"),
        node("Concat", "a b", "out", "join", axis=2),
    )
    assert by_row[2].kind == "concat" and by_row[2].inputs == 2 * 3 * 8 * 8


def test_every_slice_is_a_copy():
    split = helper.make_node("Split", ["input"], ["a", "b"], "split", axis=2)
    layers = fused(split, node("Add", "a b", "out", "add"))
    assert [(layer.kind, layer.outputs) for layer in layers] == [
        ("copy", 96),
        ("copy", 96),
        ("elementwise", 96),
    ]


def test_a_transposition_of_axes_of_one_is_free():
    pooled = node("GlobalAveragePool", "input", "g", "pool")
    layers = fused(pooled, node("Transpose", "g", "out", "turn", perm=[0, 2, 3, 1]))
    assert names(layers) == ["pool"]
    moved = fused(node("Transpose", "input", "out", "turn", perm=[0, 2, 3, 1]))
    assert [layer.kind for layer in moved] == ["copy"]


def test_nodes_that_nothing_needs_are_gone():
    layers = fused(conv("input", "unused", "dead"), conv("input", "out", "alive"))
    assert names(layers) == ["alive"]


# --- kinds and counts -----------------------------------------------------------------------


def test_kinds_of_layers():
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                [
                    nn.Conv2d(4, 8, 3, stride=2, padding=1),
                    nn.Conv2d(8, 6, 1),
                    nn.Conv2d(6, 6, 5, padding=2, groups=6),
                    nn.Conv2d(6, 4, (1, 3), groups=2),
                    nn.ConvTranspose2d(4, 2, 2, stride=2),
                    nn.LayerNorm(12),
                    nn.Linear(12, 3),
                    nn.Softmax(dim=-1),
                ]
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x @ x.transpose(-1, -2)

    layers = exported(Kinds(), (4, 16, 16), opset=17)
    assert [layer.kind for layer in layers] == [
        *("conv", "conv 1x1", "depthwise", "grouped", "conv", "normalization"),
        *("fully-connected", "softmax", "copy", "matmul"),
    ]
    strided, pointwise, depthwise, grouped, up, _, linear, _, _, product = layers
    assert (strided.rows, strided.columns, strided.depth, strided.stride) == (64, 8, 36, 2)
    assert pointwise.macs == 64 * 8 * 6 and pointwise.weights == 8 * 6 + 6
    assert depthwise.macs == 64 * 6 * 25 and (depthwise.columns, depthwise.groups) == (1, 6)
    assert (grouped.kernel, grouped.groups, grouped.depth) == ((1, 3), 2, 9)
    assert up.macs == 8 * 6 * 4 * 2 * 4 and up.rows == 16 * 12  # 8x6 inputs, a 2x2 window each
    assert (linear.rows, linear.columns, linear.depth) == (2 * 16, 3, 12)
    assert product.macs == 2 * 16 * 16 * 3 and product.groups == 2 and product.weights == 0


def test_gemm_and_matmul_in_every_position():
    rng = np.random.default_rng(0)
    weights = {
        "right": rng.random((192, 7), np.float32),
        "turned": rng.random((5, 7), np.float32),
        "left": rng.random((2, 1), np.float32),
        "bias": rng.random(5, np.float32),
    }
    nodes = [
        node("Flatten", "input", "f", "flatten"),
        node("MatMul", "f right", "a", "plain"),
        node("Gemm", "a turned bias", "b", "gemm", transB=1),
        node("MatMul", "left b", "out", "left"),
    ]
    model = model_of(nodes, weights=weights, outputs=[("out", FLOAT, (2, 5))])
    found = [(la.rows, la.columns, la.depth, la.macs, la.weights) for la in layers_in(model)]
    assert found == [
        (1, 7, 192, 1344, 1344 + 7),
        (1, 5, 7, 35, 35 + 5),
        (5, 2, 1, 10, 2 + 2),
    ]


def test_counts_are_per_sample():
    single, four = (layers_in(classifier(batch=batch)) for batch in (1, 4))
    free = layers_in(classifier(batch="N"))
    assert four == single == free
    assert read_graph(classifier(batch=4).SerializeToString(), "x").batch == 4
    assert not read_graph(classifier(batch="N").SerializeToString(), "x").batch_is_fixed


def test_bytes_by_precision_and_batch():
    layer = Layer(name="x", kind="conv", macs=1, weights=10, inputs=5, outputs=3)
    assert layer.bytes("fp32") == 4 * 18 and layer.bytes("fp16") == 2 * 18
    assert layer.bytes("fp16", batch=3) == 2 * (10 + 3 * 8)


def test_shapes_that_are_computed_in_the_graph():
    """torch writes a padding as a chain of shape operators that ONNX does not follow."""

    class Padded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.avg_pool2d(nn.functional.pad(x, (1, 2, 0, 1)), 2)

    layers = exported(Padded(), (2, 5, 5), opset=11)
    assert layers[-1].outputs == 2 * 3 * 4


def test_a_function_s_body_is_counted():
    body = [node("Relu", "x", "r", "relu"), node("Sigmoid", "r", "y", "sigmoid")]
    gate = helper.make_function(
        "edgesynth", "EsGate", ["x"], ["y"], body, [helper.make_opsetid("", 13)]
    )
    call = helper.make_node("EsGate", ["input"], ["out"], "gate", domain="edgesynth")
    model = model_of([call], functions=[gate], domains=["edgesynth"], ir_version=8)
    (layer,) = layers_in(model)
    assert layer.kind == "elementwise" and layer.inputs == 3 * 8 * 8


# --- what cannot be predicted ---------------------------------------------------------------


def refusal(model: onnx.ModelProto) -> str:
    with pytest.raises(UserError) as caught:
        layers_in(model)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("net.onnx")
    return str(caught.value)


def test_a_free_image_size():
    model = model_of(
        [conv("input", "out", "conv")],
        weights={"w": W},
        inputs=[("input", FLOAT, ("N", 3, "H", 8))],
    )
    assert 'axis 2 of input "input" has no fixed size' in refusal(model)


def test_a_node_without_shape_is_named():
    call = helper.make_node("EsSparse", ["input"], ["x"], "sparse7", domain="edgesynth")
    model = model_of([call, node("Relu", "x", "out", "relu")], domains=["edgesynth"])
    assert "tensor x at node sparse7 (EsSparse of domain edgesynth)" in refusal(model)


def test_control_flow_and_unknown_operators():
    branch = small_models.model_of([node("Identity", "input", "y", "id")]).graph
    del branch.input[:], branch.output[:]
    branch.output.append(helper.make_tensor_value_info("y", FLOAT, (1, 3, 8, 8)))
    chosen = helper.make_node("If", ["c"], ["out"], "if3", then_branch=branch, else_branch=branch)
    model = model_of(
        [chosen], inputs=[("input", FLOAT, (1, 3, 8, 8)), ("c", onnx.TensorProto.BOOL, ())]
    )
    assert "node if3 (If) chooses at run time" in refusal(model)
    assert "no cost is known for CumSum (node sum)" in refusal(
        model_of([node("CumSum", "input axis", "out", "sum")], weights={"axis": np.array(1)})
    )


def test_a_kernel_larger_than_its_input():
    wide = np.zeros((3, 3, 20, 3), np.float32)
    assert "(Conv) would be" in refusal(
        model_of(
            [conv("input", "out", "conv")], weights={"w": wide}, outputs=[("out", FLOAT, None)]
        )
    )


def test_a_network_without_input():
    constant = helper.make_node("RandomNormal", [], ["out"], "noise", shape=[1, 2])
    assert "has no input" in refusal(
        model_of([constant], inputs=[], outputs=[("out", FLOAT, (1, 2))])
    )


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"not a model", b"\x80\x02pickle"])
def test_files_that_are_no_onnx(tmp_path, data):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"net\.onnx (is not an ONNX file|holds no ONNX node)"):
        read_layers(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_layers(Path(tmp_path / "absent.onnx"))


DATA = (LIGHT / "light_squeezenet.onnx").read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(data):
    damaged = bytearray(DATA[: data.draw(st.integers(0, len(DATA)) | st.just(len(DATA)))])
    places = st.integers(0, max(0, len(damaged) - 1))
    for place in data.draw(st.lists(places, max_size=8 if damaged else 0)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        layers = layers_of(read_graph(bytes(damaged), "net.onnx"), "net.onnx")
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert all(layer.macs >= 0 and layer.inputs >= 0 for layer in layers)
