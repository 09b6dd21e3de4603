"""YOLOv2: darknet's passthrough, its channels, and its way to ONNX and NVIDIA's parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import count
from edgesynth.networks import edgenet, zoo
from edgesynth.networks.network import Network
from edgesynth.networks.reorg import GROUP, Reorg
from edgesynth.networks.source import resolve
from edgesynth.networks.zoo_spec import parse_zoo_spec
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.shrink import mask_clusters, shrink

SMALL = "yolov2:width=0.125"


def small(image: int = 64, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = resolve(SMALL, input_shape=(1, image, image), classes=("a", "b", "c"))
    for layer in network.module.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as after training
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
    network.module.eval()
    return network


def darknet_reorg(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The loop of darknet's reorg layer for stride 2, index by index."""
    n, c, h, w = x.shape
    flat, out, quarter = x.ravel(), np.zeros(x.size, np.float32), c // 4
    for b, k, j, i in np.ndindex(n, c, h, w):
        column, row = 2 * i + k // quarter % 2, 2 * j + k // quarter // 2
        source = column + 2 * w * (row + 2 * h * (k % quarter + quarter * b))
        out[i + w * (j + h * (k + c * b))] = flat[source]
    return out.reshape(n, 4 * c, h // 2, w // 2)


@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (2, 8, 6, 10), (1, 64, 26, 26)])
def test_reorg_is_darknets(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(Reorg()(torch.from_numpy(x)).numpy(), darknet_reorg(x))


def test_operations_are_those_that_darknet_prints() -> None:
    with torch.device("meta"):
        module = zoo.build("yolov2", classes=80, image=608)
    assert round(2 * count(module, (3, 608, 608)).macs / 1e9, 2) == 62.94


def test_channels_of_the_passthrough_go_in_fours() -> None:
    network = small()
    channels = trace_channels(network.module, network.example_input())
    passed = channels.outputs["passthrough.0"]
    assert not set(passed.tolist()) & channels.frozen
    assert (passed.reshape(-1, GROUP) == passed[::GROUP, None]).all()
    joined = channels.inputs["join.0"]
    assert (joined[: 4 * len(passed)] == np.tile(passed, 4)).all()
    assert (joined[4 * len(passed) :] == channels.outputs["coarse.6.0"]).all()


@pytest.mark.parametrize("seed", range(3))
def test_shrunk_equals_masked_through_reorg_and_concatenation(seed: int) -> None:
    parent = small(seed=seed)
    parent.module.double()
    channels = trace_channels(parent.module, torch.zeros(1, 1, 64, 64, dtype=torch.float64))
    rng = np.random.default_rng(seed)
    dead: set[int] = set()
    for _, labels in channels.families():
        dead |= set(rng.choice(labels, len(labels) // 2, replace=False).tolist())
    masked = mask_clusters(parent, channels, dead)
    parent.module.float()
    masked.module.float()
    child = shrink(parent, channels, dead)
    x = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(child.module(x), masked.module(x), atol=1e-5, rtol=1e-4)
    before = len(channels.outputs["passthrough.0"])
    after = child.module.get_submodule("passthrough.0").out_channels
    assert after == before // 2 == GROUP
    assert count(child.module, (1, 64, 64)).params < count(parent.module, (1, 64, 64)).params / 2


def test_a_shrunk_one_is_read_back(tmp_path: Path) -> None:
    parent = small()
    channels = trace_channels(parent.module, parent.example_input())
    dead = {int(labels[0]) for _, labels in channels.families() if len(labels) > 1}
    child = shrink(parent, channels, dead)
    edgenet.save(child, tmp_path / "child.edgenet")
    again = edgenet.load(tmp_path / "child.edgenet")
    assert again.description.task == "detection"
    x = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.module(x), child.module(x))


@pytest.mark.parametrize(("image", "stride", "cells"), [(96, 8, 12), (160, 16, 10), (288, 32, 9)])
def test_small_images_get_finer_cells(image: int, stride: int, cells: int) -> None:
    network = small(image)
    with torch.no_grad():
        outputs = network.module(network.example_input())
    assert outputs.shape == (1, 5 * (5 + 3), cells, cells)
    assert network.module.head.stride == stride


def test_arguments_follow_the_name() -> None:
    anchors = "1x2/3x4.5"
    network = resolve(
        f"yolov2:width=0.0625,stride=16,anchors={anchors}", input_shape=(3, 96, 96), classes=("a",)
    )
    assert network.name == "yolov2"
    assert network.description.architecture.arguments["anchors"] == anchors
    assert network.module.head.anchors == ((1, 2), (3, 4.5))
    assert parse_zoo_spec("squeezenet:dropout=0.25") == ("squeezenet", {"dropout": 0.25})


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("yolov2:widht=1", 'did you mean "width"'),
        ("yolov2:width=x", "does not give a number"),
        ("yolov2:stride=12", "none of 8, 16 and 32"),
        ("yolov2:classes=3", "comes from the data"),
        ("yolov2:anchors=1x2/0x3", "WIDTHxHEIGHT"),
        ("vgg16:batch_norm=maybe", "neither true nor false"),
    ],
)
def test_wrong_arguments_are_named(spec: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        resolve(spec)


def test_an_image_that_is_no_multiple_of_the_stride() -> None:
    with pytest.raises(UserError, match=r"image=100 is not a multiple of .* 8; take .* 104"):
        resolve("yolov2", input_shape=(1, 100, 100), classes=("a",))
