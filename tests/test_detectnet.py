"""DetectNet: the published file's figures, layer by layer, and its way through the house."""

from __future__ import annotations

import pytest
import torch

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import Cost, count
from edgesynth.networks import zoo
from edgesynth.networks.source import resolve

INCEPTIONS = [  # channels in; 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection; cells
    (192, (64, 96, 128, 16, 32, 32), 48 * 156),
    (256, (128, 128, 192, 32, 96, 64), 48 * 156),
    (480, (192, 96, 208, 16, 48, 64), 24 * 78),
    (512, (160, 112, 224, 24, 64, 64), 24 * 78),
    (512, (128, 128, 256, 24, 64, 64), 24 * 78),
    (512, (112, 144, 288, 32, 64, 64), 24 * 78),
    (528, (256, 160, 320, 32, 128, 128), 24 * 78),
    (832, (256, 160, 320, 32, 128, 128), 24 * 78),
    (832, (384, 192, 384, 48, 128, 128), 24 * 78),
]


def cost_of(input_shape: tuple[int, int, int], **arguments: zoo.Argument) -> Cost:
    with torch.device("meta"):
        return count(zoo.build("detectnet", **arguments), input_shape)


def test_params_and_macs_by_hand_from_the_published_file() -> None:
    """examples/kitti/detectnet_network.prototxt: 1248 x 384, one class, no pool4."""
    layers = [(3 * 49, 64, 192 * 624), (64, 64, 96 * 312), (64 * 9, 192, 96 * 312)]
    for wide, (plain, reduce3, out3, reduce5, out5, projected), cells in INCEPTIONS:
        layers += [(wide, plain, cells), (wide, reduce3, cells), (reduce3 * 9, out3, cells)]
        layers += [(wide, reduce5, cells), (reduce5 * 25, out5, cells), (wide, projected, cells)]
    layers += [(1024, 1, 24 * 78), (1024, 4, 24 * 78)]
    entry = zoo.entry("detectnet")
    assert sum((taps + 1) * filters for taps, filters, _ in layers) == entry.params
    assert sum(taps * filters * cells for taps, filters, cells in layers) == entry.macs
    cost = cost_of(entry.input_shape)
    assert (cost.params, cost.macs) == (entry.params, entry.macs)


def test_the_body_is_googlenets() -> None:
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in zoo.build("googlenet").state_dict().items()}
        own = {name: each.shape for name, each in zoo.build("detectnet").state_dict().items()}
    heads = {"coverage.weight", "coverage.bias", "bboxes.weight", "bboxes.bias"}
    assert own.keys() - heads == shapes.keys() - {"fc.weight", "fc.bias"}
    assert all(own[name] == shapes[name] for name in own.keys() - heads)


@pytest.mark.parametrize(
    ("sides", "arguments", "cells"),
    [
        ((384, 1248), {"image": 384}, (24, 78)),
        ((256, 256), {"image": 256}, (16, 16)),
        ((96, 96), {"image": 96}, (12, 12)),  # stride 8
        ((96, 200), {"image": 96, "stride": 16}, (6, 12)),  # pooling drops the last 8 pixels
        ((96, 96), {"image": 96, "stride": 4}, (24, 24)),
        ((32, 40), {"image": 32}, (8, 10)),  # stride 4
    ],
)
def test_the_grid_suits_the_image(
    sides: tuple[int, int], arguments: dict[str, zoo.Argument], cells: tuple[int, int]
) -> None:
    with torch.device("meta"):
        module = zoo.build("detectnet", classes=3, width=0.1, in_channels=1, **arguments).eval()
        outputs = module(torch.zeros(2, 1, *sides))
    assert outputs["coverage"].shape == (2, 3, *cells)
    assert outputs["bboxes"].shape == (2, 4, *cells)
    settings = module.head.postprocessing()
    assert sides[0] // settings["stride"] == cells[0] and settings["classes"] == 3


def test_coverage_is_a_probability_and_the_stride_is_checked() -> None:
    torch.manual_seed(0)
    module = zoo.build("detectnet", image=32, width=0.1).eval()
    with torch.no_grad():
        coverage = module(100 * torch.randn(1, 3, 32, 32))["coverage"]
    assert 0 <= coverage.min() < coverage.max() <= 1
    with pytest.raises(UserError, match="stride=5 is not 0, 4, 8 or 16 pixels"):
        zoo.build("detectnet", stride=5)


def test_the_shorter_side_decides_about_the_stem() -> None:
    assert resolve("detectnet").module.head.stride == 16
    wide = resolve("detectnet", input_shape=(1, 96, 512), classes=("a", "b"))
    assert wide.description.architecture.arguments["image"] == 96
    tall = resolve("detectnet", input_shape=(1, 512, 96), classes=("a", "b"))
    assert tall.module.head.stride == wide.module.head.stride == 8
