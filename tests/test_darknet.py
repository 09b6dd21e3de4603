"""darknet's configurations and weights: what is written is read, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from edgesynth.core.errors import UserError
from edgesynth.networks import edgenet
from edgesynth.networks.darknet_config import parse_config
from edgesynth.networks.darknet_network import DarknetNetwork
from edgesynth.networks.darknet_weights import load_darknet_weights
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.networks.yolov2 import YOLOv2

TINY = """
[net]
width=64
height=32
channels=1   # grey

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky

[reorg]
stride=2

[route]
layers=-2

[maxpool]
size=2
stride=2

[route]
layers=-1,-3

[convolutional]
filters=14
size=1
stride=1
pad=1
activation=linear

; two anchors of two classes
[region]
anchors = 1,2, 3.5,4
classes=2
coords=4
num=2
softmax=1
object_scale=5
rescore=1
thresh=.6
"""


def yolov2_voc() -> str:
    """cfg/yolov2-voc.cfg, written from its layers."""
    text = ["[net]\nheight=416\nwidth=416\nchannels=3\n"]

    def convolution(filters: int, size: int, *, last: bool = False) -> None:
        normalized = "" if last else "batch_normalize=1\n"
        activation = "linear" if last else "leaky"
        text.append(
            f"[convolutional]\n{normalized}filters={filters}\nsize={size}\nstride=1\npad=1\n"
            f"activation={activation}\n"
        )

    pool = "[maxpool]\nsize=2\nstride=2\n"
    for part in ("32", "64", "128 64 128", "256 128 256", "512 256 512 256 512"):
        for number, filters in enumerate(map(int, part.split())):
            convolution(filters, 1 if number % 2 else 3)
        text.append(pool)
    for number, filters in enumerate((1024, 512, 1024, 512, 1024)):
        convolution(filters, 1 if number % 2 else 3)
    convolution(1024, 3)
    convolution(1024, 3)
    text.append("[route]\nlayers=-9\n")
    convolution(64, 1)
    text.append("[reorg]\nstride=2\n[route]\nlayers=-1,-4\n")
    convolution(1024, 3)
    convolution(125, 1, last=True)
    text.append(
        "[region]\nanchors=1.3221, 1.73145, 3.19275, 4.00944, 5.05587, 8.09892, 9.47112, 4.84053, "
        "11.2364, 10.0071\nbias_match=1\nclasses=20\ncoords=4\nnum=5\nsoftmax=1\njitter=.3\n"
        "rescore=1\nobject_scale=5\nnoobject_scale=1\nclass_scale=1\ncoord_scale=1\nthresh=.6\n"
    )
    return "".join(text)


def darknet_order(module: nn.Module) -> list[torch.Tensor]:
    """Biases, scales, means, variances, filters of every layer."""
    tensors: list[torch.Tensor] = []
    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for layer, behind in zip(layers, [*layers[1:], None], strict=True):
        if not isinstance(layer, nn.Conv2d):
            continue
        if isinstance(behind, nn.BatchNorm2d):
            assert behind.running_mean is not None and behind.running_var is not None
            tensors += [behind.bias, behind.weight, behind.running_mean, behind.running_var]
        else:
            assert layer.bias is not None
            tensors.append(layer.bias)
        tensors.append(layer.weight)
    return tensors


def write_weights(
    path: Path, numbers: npt.NDArray[np.float32], version: tuple[int, int, int] = (0, 2, 0)
) -> Path:
    header = np.array(version, "<i4").tobytes() + np.array([64000], "<i8").tobytes()
    path.write_bytes(header + numbers.astype("<f4").tobytes())
    return path


def size_of(module: nn.Module) -> int:
    return sum(tensor.numel() for tensor in darknet_order(module))


def test_the_cfg_and_the_zoo_are_one_network() -> None:
    with torch.device("meta"):
        ours, theirs = YOLOv2(), DarknetNetwork(yolov2_voc())
    assert [t.shape for t in darknet_order(ours)] == [t.shape for t in darknet_order(theirs)]
    assert size_of(ours) == 50_676_061
    assert ours.head == theirs.head
    assert theirs.input_shape == (3, 416, 416)


def test_one_file_of_weights_serves_both(tmp_path: Path) -> None:
    text = yolov2_voc()
    for filters in (1024, 512, 256, 128, 64, 32):  # an eighth as wide
        text = text.replace(f"filters={filters}\n", f"filters={filters // 8};\n")
    text = text.replace(";\n", "\n")
    (tmp_path / "thin.cfg").write_text(text)
    zoo_network = resolve("yolov2:width=0.125,stride=32", input_shape=(3, 64, 64))
    size = size_of(zoo_network.module)
    numbers = np.random.default_rng(0).uniform(0.01, 0.1, size).astype(np.float32)
    weights = write_weights(tmp_path / "thin.weights", numbers)
    load_darknet_weights(zoo_network.module, weights)
    read = resolve(str(tmp_path / "thin.cfg"), weights=weights, input_shape=(3, 64, 64))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(zoo_network.module.eval()(x), read.module.eval()(x))


def test_what_a_configuration_computes() -> None:
    torch.manual_seed(0)
    module = DarknetNetwork(TINY).eval()
    x = torch.rand(2, 1, 32, 64)
    first = functional.leaky_relu(module.layers[0][1](module.layers[0][0](x)), 0.1)
    joined = torch.cat([functional.max_pool2d(first, 2), module.layers[1](first)], 1)
    torch.testing.assert_close(module(x), module.layers[5](joined))
    assert module.head.anchors == ((1, 2), (3.5, 4))
    assert (module.head.stride, module.head.classes, module.head.thresh) == (2, 2, 0.6)
    assert module.input_shape == (1, 32, 64)


def test_it_is_saved_with_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "tiny.cfg").write_text(TINY)
    network = resolve(str(tmp_path / "tiny.cfg"))
    assert network.name == "tiny" and network.description.task == "detection"
    edgenet.save(network, tmp_path / "tiny.edgenet")
    (tmp_path / "tiny.cfg").unlink()
    again: Network = edgenet.load(tmp_path / "tiny.edgenet")
    x = torch.rand(1, 1, 32, 64)
    with torch.no_grad():
        assert torch.equal(again.module(x), network.module.eval()(x))


convolutions = st.tuples(
    st.integers(1, 6), st.sampled_from([1, 3]), st.booleans(), st.sampled_from(["leaky", "linear"])
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    layers=st.lists(convolutions, min_size=1, max_size=5),
    classes=st.integers(1, 4),
    version=st.sampled_from([(0, 1, 0), (0, 2, 0), (0, 2, 5), (1, 0, 0)]),
    seed=st.integers(0, 999),
)
def test_random_networks_are_read_back(
    tmp_path: Path, layers: list[tuple[int, int, bool, str]], classes: int,
    version: tuple[int, int, int], seed: int,
) -> None:  # fmt: skip
    text = "[net]\nchannels=2\nheight=8\nwidth=8\n"
    for filters, size, normalized, activation in layers:
        text += f"[convolutional]\nfilters={filters}\nsize={size}\npad=1\nactivation={activation}\n"
        text += "batch_normalize=1\n" if normalized else ""
    text += f"[convolutional]\nfilters={5 + classes}\nactivation=linear\n"
    text += f"[region]\nclasses={classes}\nnum=1\nanchors=1,1\nsoftmax=1\n"
    module = DarknetNetwork(text)
    numbers = np.random.default_rng(seed).standard_normal(size_of(module)).astype(np.float32)
    path = write_weights(tmp_path / "x.weights", numbers, version)
    if version == (0, 1, 0):  # 32 bits for the images seen
        data = path.read_bytes()
        path.write_bytes(data[:16] + data[20:])
    header = load_darknet_weights(module, path)
    assert (header.version, header.seen) == (version, 64000)
    found = torch.cat([tensor.detach().flatten() for tensor in darknet_order(module)])
    np.testing.assert_array_equal(found.numpy(), numbers)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    module = DarknetNetwork(TINY)
    size = size_of(module)  # 4 * 8 + 72 of the first layer, then 14 + 14 * 40
    assert size == 4 * 8 + 72 + 14 + 14 * 40
    path = write_weights(tmp_path / "x.weights", np.zeros(size - 600, np.float32))
    with pytest.raises(
        UserError, match=r"600 of 678 floats are missing, it ends in layer layers.0.0"
    ):
        load_darknet_weights(module, path)
    write_weights(path, np.zeros(size + 3, np.float32))
    with pytest.raises(UserError, match="3 floats are left over after the network's 678"):
        load_darknet_weights(module, path)
    path.write_bytes(path.read_bytes()[:-13])
    with pytest.raises(UserError, match="1 of 678 floats are missing"):
        load_darknet_weights(module, path)
    path.write_bytes(b"\x00" * 9)
    with pytest.raises(UserError, match="9 bytes, less than darknet's header"):
        load_darknet_weights(module, path)
    path.write_bytes(b"PK\x03\x04" * 30)
    with pytest.raises(UserError, match="not darknet's"):
        load_darknet_weights(module, path)
    with pytest.raises(UserError, match="cannot be read"):
        load_darknet_weights(module, tmp_path / "none.weights")
    other = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Linear(1, 1))
    with pytest.raises(UserError, match="is a Linear"):
        load_darknet_weights(other, write_weights(path, np.zeros(2, np.float32)))


def test_the_first_layers_alone(tmp_path: Path) -> None:
    """darknet19_448.conv.23 holds the first 23 convolutions, to train a detector from."""
    module = DarknetNetwork(TINY)
    last = module.layers[5][0].weight.clone()
    load_darknet_weights(module, write_weights(tmp_path / "d.conv.1", np.ones(104, np.float32)))
    assert (module.layers[0][0].weight == 1).all()
    assert torch.equal(module.layers[5][0].weight, last)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("size=3", "size=three", r'line 10, \[convolutional\]: size="three" is not a whole number'),
        ("filters=8", "filters=0", r"line 9, \[convolutional\]: filters=0 is not in 1 to"),
        ("activation=leaky", "activation=mish", 'line 13, .*activation "mish" is not known'),
        ("layers=-2", "layers=-9", r"line 19, \[route\]: layers=-9 is no layer before"),
        ("[maxpool]", "[maxpool", "line 21: .* has no closing bracket"),
        ("[maxpool]", "[upsample]", r"line 21, \[upsample\]: this layer is not known; known are"),
        ("layers=-1,-3", "layers=-1,0", "line 26, .*differ in their sides"),
        ("anchors = 1,2, 3.5,4", "anchors=1,2", "num=2 anchors are 4 sides above 0, not 2"),
        ("filters=14", "filters=15", r"\[region\]: 2 anchors and 2 classes need 14 filters"),
        ("softmax=1", "softmax=0", "softmax=1"),
        ("[region]", "[yolo]", r"\[yolo\]: the last section is not \[region\]"),
        ("[net]", "[convolutional]", r"starts with \[convolutional\], not with \[net\]"),
        ("classes=2", "classes", 'line 38: "classes" is not NAME=VALUE'),
        ("num=2", "num=9999", "num=9999 is not in 1 to 64"),
        ("filters=8", "filters=6", "6 channels are not a multiple of 4"),
    ],
)
def test_what_is_wrong_is_named(before: str, after: str, says: str) -> None:
    assert before in TINY
    with pytest.raises(UserError, match=says):
        DarknetNetwork(TINY.replace(before, after, 1), "tiny.cfg")


@given(text=st.text(alphabet="[]=#;\n netcovlrgi0123456789-.,", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, "[net]\nchannels=1\n" + text, TINY + text):
        try:
            parse_config(whole, "x.cfg")
            DarknetNetwork(whole, "x.cfg")
        except UserError as error:
            assert "x.cfg" in str(error)


def test_a_pool_in_place_keeps_the_side() -> None:
    text = TINY.replace("[maxpool]\nsize=2\nstride=2", "[maxpool]\nsize=2\nstride=1")
    text = text.replace("layers=-1,-3", "layers=-1,-2")
    module = DarknetNetwork(text.replace("[reorg]\nstride=2", "[dropout]\nprobability=.5")).eval()
    x = torch.rand(1, 1, 32, 64)
    pooled = module.layers[3](x)
    assert pooled.shape == x.shape
    assert float(pooled[0, 0, -1, -1]) == float(x[0, 0, -1, -1])
    assert module(x).shape == (1, 14, 32, 64)
