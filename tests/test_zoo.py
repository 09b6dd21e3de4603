"""The zoo: published figures, the graphs in the onnx wheel, small images, any width."""

from __future__ import annotations

import io

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import Cost, count
from edgesynth.networks import zoo
from light_graphs import counted, run_with_weights

# Published figures, as rounded by the source: (params, params' unit, macs, macs' unit).
PUBLISHED = {
    "lenet5": (431, 1e3, 2.29, 1e6, "431K in arXiv 1506.02626, table 3; MACs by hand below"),
    "alexnet": (61, 1e6, 724, 1e6, "arXiv 1703.09039, table II"),
    "vgg16": (138.357544, 1e6, 15.47, 1e9, "docs.pytorch.org/vision, models.vgg16"),
    "vgg19": (143.66724, 1e6, 19.63, 1e9, "docs.pytorch.org/vision, models.vgg19"),
    "overfeat": (146, 1e6, 2.8, 1e9, "arXiv 1703.09039, table II, fast model"),
    "googlenet": (7, 1e6, None, 1e9, "arXiv 1703.09039, table II; MACs depend on rounding, below"),
    "detectnet": (5.978677, 1e6, 18.6, 1e9, "by hand from the published file, test_detectnet.py"),
    "squeezenet": (1.235496, 1e6, 0.35, 1e9, "docs.pytorch.org/vision, models.squeezenet1_1"),
    "resnet50": (25.557032, 1e6, 4.09, 1e9, "docs.pytorch.org/vision, models.resnet50"),
    "resnet20": (0.27, 1e6, 40.8, 1e6, "arXiv 1512.03385, table 6 (params); MACs by hand below"),
    "refinenet": (34.461771, 1e6, 85.37, 1e9, "by hand below"),
    "yolov2": (50.655389, 1e6, 14.68, 1e9, "by hand; darknet's operations in test_yolov2.py"),
}
OTHERS = ("detectnet", "yolov2", "refinenet")
CLASSIFIERS = [name for name in zoo.names() if name not in OTHERS]
"""The others' outputs and small images are in test_detectnet.py, test_yolov2.py and
test_segmentation.py."""


def cost_of(name: str, input_shape: tuple[int, int, int], **arguments: zoo.Argument) -> Cost:
    """Counted on torch's meta device: shapes only, so VGG-16 takes no time and no memory."""
    with torch.device("meta"):
        return count(zoo.build(name, **arguments), input_shape)


def test_every_network_has_published_figures() -> None:
    assert list(PUBLISHED) == zoo.names()


@pytest.mark.parametrize("name", zoo.names())
def test_params_and_macs_are_the_published_ones(name: str) -> None:
    entry = zoo.entry(name)
    cost = cost_of(name, entry.input_shape)
    assert (cost.params, cost.macs) == (entry.params, entry.macs)
    params, params_unit, macs, macs_unit, _ = PUBLISHED[name]
    assert rounded_like(cost.params / params_unit, params)
    assert macs is None or rounded_like(cost.macs / macs_unit, macs)


def rounded_like(value: float, published: float) -> bool:
    """True when `value`, rounded to the decimals of `published`, is `published`."""
    decimals = len(str(published).partition(".")[2]) if isinstance(published, float) else 0
    return round(value, decimals) == published


def test_squeezenet_1_0_has_the_published_figures() -> None:
    cost = cost_of("squeezenet", (3, 224, 224), version="1.0")
    assert cost.params == 1_248_424  # docs.pytorch.org/vision, models.squeezenet1_0
    assert round(cost.macs / 1e9, 2) == 0.82


def test_lenet5_layer_by_layer_by_hand() -> None:
    expected = [
        ("conv1", 20 * 25 + 20, 24 * 24 * 20 * 25),
        ("conv2", 50 * 20 * 25 + 50, 8 * 8 * 50 * 20 * 25),
        ("fc1", 800 * 500 + 500, 800 * 500),
        ("fc2", 500 * 10 + 10, 500 * 10),
    ]
    cost = cost_of("lenet5", (1, 28, 28))
    assert [(each.name, each.params, each.macs) for each in cost.layers] == expected


def test_resnet20_by_the_formula_of_the_paper() -> None:
    stages = [(32, 16, 16), (16, 16, 32), (8, 32, 64)]  # side, channels in, channels out
    macs = 32**2 * 27 * 16 + 64 * 10
    for side, channels_in, channels in stages:
        macs += side**2 * 9 * channels * (channels_in + 5 * channels)
        macs += side**2 * channels_in * channels if channels_in != channels else 0  # shortcut
    assert cost_of("resnet20", (3, 32, 32)).macs == macs


@pytest.mark.parametrize(
    ("graph", "name", "side"),
    [
        ("bvlc_alexnet", "alexnet", 227),
        ("vgg19", "vgg19", 224),
        ("inception_v1", "googlenet", 224),
        ("squeezenet", "squeezenet", 224),
        ("resnet50", "resnet50", 224),
    ],
)
def test_params_and_macs_are_those_of_the_onnx_wheel(graph: str, name: str, side: int) -> None:
    with torch.device("meta"):
        cost = count(rounding_down(zoo.build(name)), (3, side, side))
    assert (cost.params, cost.macs) == counted(graph, side)


def rounding_down(module: nn.Module) -> nn.Module:
    """`module` with poolings as in the wheel's files, which lost Caffe's rounding up."""
    for layer in module.modules():
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = False
    return module


def test_googlenet_has_the_feature_maps_of_its_paper() -> None:
    cost = cost_of("googlenet", (3, 224, 224))
    sides = list(dict.fromkeys(layer.output_shape[-1] for layer in cost.layers[:-1]))
    assert sides == [112, 56, 28, 14, 7]  # arXiv 1409.4842, table 1
    assert cost.macs == pytest.approx(1.5e9, rel=0.06)  # "1.5 billion multiply-adds"
    with torch.device("meta"):
        down = count(rounding_down(zoo.build("googlenet")), (3, 224, 224))
    assert round(down.macs / 1e9, 2) == 1.43  # arXiv 1703.09039, table II


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        ("squeezenet", "squeezenet"),
        ("inception_v1", "googlenet"),
        pytest.param("resnet50", "resnet50", marks=pytest.mark.slow),
        pytest.param("bvlc_alexnet", "alexnet", marks=pytest.mark.slow),
    ],
)
def test_outputs_are_those_of_the_onnx_wheel(graph: str, name: str) -> None:
    """The same weights in both: groups, normalization, strides and concatenations must agree."""
    torch.manual_seed(0)
    module = rounding_down(zoo.build(name)).eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    image = torch.randn(1, *zoo.entry(name).input_shape)
    with torch.no_grad():
        expected = torch.softmax(module(image), 1).numpy()
    assert expected.max() > 0.01  # not the flat answer of a dead network
    found = run_with_weights(graph, module, image)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("side", [28, 32])
def test_small_images_train_forward_and_backward(name: str, side: int) -> None:
    torch.manual_seed(0)
    channels = 1 if side == 28 else 3
    module = zoo.build(name, classes=7, in_channels=channels, width=0.125, image=side)
    images = torch.randn(2, channels, side, side)
    logits = module(images)
    assert logits.shape == (2, 7)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 6])).backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_side_from_the_smallest_builds_and_runs(name: str) -> None:
    smallest = zoo.entry(name).smallest_image
    for side in sorted({smallest, 47, 48, 66, 67, 70, 71}):
        if side >= smallest:
            cost = cost_of(name, (2, side, side), image=side, in_channels=2, width=0.1, classes=3)
            assert cost.layers[-1].output_shape[1] == 3
    with pytest.raises(
        UserError, match=f"image={smallest - 1} is out of range; give {smallest} to"
    ):
        zoo.build(name, image=smallest - 1)


@pytest.mark.parametrize("name", zoo.names())
def test_width_scales_parameters_about_quadratically(name: str) -> None:
    arguments = {"image": 32, "in_channels": 3, "classes": 10}
    whole = cost_of(name, (3, 32, 32), **arguments)
    half = cost_of(name, (3, 32, 32), width=0.5, **arguments)
    assert 3.5 < whole.params / half.params < 4.1
    assert cost_of(name, (3, 32, 32), width=1 / 64, **arguments).params < half.params


@pytest.mark.parametrize("name", zoo.names())
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    def built(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return zoo.build(name, width=0.1, image=32).state_dict()

    first, again, other = built(1), built(1), built(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_activations_keep_their_size_through_a_new_network(name: str) -> None:
    """He initialization: the logits of random images neither vanish nor explode."""
    torch.manual_seed(0)
    module = zoo.build(name, in_channels=3, width=0.25, image=32)  # training: batch statistics
    with torch.no_grad():
        spread = module(torch.randn(16, 3, 32, 32)).std().item()
    assert 0.05 < spread < 50


def test_normalization_and_batch_norm_can_be_chosen() -> None:
    with torch.device("meta"):
        for name in ("alexnet", "googlenet"):
            assert sum(is_lrn(layer) for layer in zoo.build(name).modules()) == 2
            assert not any(is_lrn(layer) for layer in zoo.build(name, lrn=False).modules())
        normalized = zoo.build("vgg16", batch_norm=True)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in normalized.modules()) == 13


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter that writes opset 13
def test_local_response_normalization_is_one_node_in_onnx(name: str) -> None:
    torch.manual_seed(0)
    module = zoo.build(name, width=0.1, image=32, classes=5).eval()
    image = 10 * torch.randn(1, 3, 32, 32)  # large, so that normalization changes much
    buffer = io.BytesIO()
    torch.onnx.export(module, (image,), buffer, input_names=["x"], opset_version=13, dynamo=False)
    kinds = [node.op_type for node in onnx.load_from_string(buffer.getvalue()).graph.node]
    assert kinds.count("LRN") == 2
    assert not {"If", "Shape", "AveragePool", "Pad"} & set(kinds)
    session = onnxruntime.InferenceSession(buffer.getvalue())
    with torch.no_grad():
        expected = module(image).numpy()
    assert session.run(None, {"x": image.numpy()})[0] == pytest.approx(expected, abs=1e-4)


def is_lrn(layer: nn.Module) -> bool:
    return isinstance(layer, nn.LocalResponseNorm)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("lenet", {}, 'no network "lenet" in the zoo; did you mean "lenet5"'),
        ("lenet5", {"imag": 28}, 'lenet5 has no argument "imag"; did you mean "image"'),
        ("vgg16", {"lrn": True}, 'vgg16 has no argument "lrn"; known: classes, in_channels'),
        ("lenet5", {"classes": 0}, "classes=0 is out of range; give 1 to 100000"),
        ("lenet5", {"classes": True}, "classes=True is not of type int"),
        ("lenet5", {"classes": "10"}, "classes='10' is not of type int"),
        ("lenet5", {"width": float("nan")}, "width=nan is out of range"),
        ("vgg16", {"image": 10**9}, r"image=1e\+09 is out of range; give 4 to 1024"),
        ("squeezenet", {"version": "1.2"}, 'no version "1.2"; give 1.0 or 1.1'),
        ("alexnet", {"dropout": 1.0}, "dropout=1 is out of range; give 0 to 0.9"),
    ],
)
def test_a_wrong_name_or_argument_is_one_line(
    name: str, arguments: dict[str, zoo.Argument], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        zoo.build(name, **arguments)
