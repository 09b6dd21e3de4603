"""The zoo: networks by name, with the figures that were published for them.

Every builder takes `classes`, `in_channels`, `width` (multiplies all inner channel counts; 0.5
makes a small network) and `image` (shorter side of the input in pixels: small inputs get the
small-image variant). Some take more: `dropout`, `lrn`, `batch_norm`, `version`, `stride`. Weights
start from He initialization with torch's global generator.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from edgesynth.core.errors import UserError, nearest
from edgesynth.networks.alexnet import AlexNet
from edgesynth.networks.detectnet import DetectNet
from edgesynth.networks.googlenet import GoogLeNet
from edgesynth.networks.lenet import LeNet5
from edgesynth.networks.overfeat import OverFeat
from edgesynth.networks.refinenet import RefineNet
from edgesynth.networks.resnet import ResNet20, ResNet50
from edgesynth.networks.squeezenet import SqueezeNet
from edgesynth.networks.vgg import vgg16, vgg19
from edgesynth.networks.yolov2 import YOLOv2

Argument = int | float | str | bool


@dataclass(frozen=True)
class Entry:
    """One network of the zoo as its paper has it."""

    name: str
    builder: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: int
    paper: str
    params: int
    """Trainable parameters with the default arguments."""
    macs: int
    """Multiply-accumulates of convolutions and linear layers, one image, default arguments."""
    source: str
    """Where the two figures were published, or how they follow from what was."""
    smallest_image: int
    """Side in pixels of the smallest square input that the builder accepts."""


_IMAGENET = (3, 224, 224)

_ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="lenet5",
            builder=LeNet5,
            input_shape=(1, 28, 28),
            classes=10,
            paper="LeCun et al. 1998; Caffe examples/mnist/lenet.prototxt",
            params=431_080,
            macs=2_293_000,
            source="431K parameters: arXiv 1506.02626, table 3; MACs by hand from the prototxt",
            smallest_image=4,
        ),
        Entry(
            name="alexnet",
            builder=AlexNet,
            input_shape=(3, 227, 227),
            classes=1000,
            paper="Krizhevsky et al., NIPS 2012; Caffe models/bvlc_alexnet",
            params=60_965_224,
            macs=724_406_816,
            source="onnx wheel, light_bvlc_alexnet; 61M and 724M in arXiv 1703.09039, table II",
            smallest_image=15,
        ),
        Entry(
            name="vgg16",
            builder=vgg16,
            input_shape=_IMAGENET,
            classes=1000,
            paper="arXiv 1409.1556, configuration D",
            params=138_357_544,
            macs=15_470_264_320,
            source="docs.pytorch.org/vision, vgg16: 138357544 parameters, 15.47 G",
            smallest_image=4,
        ),
        Entry(
            name="vgg19",
            builder=vgg19,
            input_shape=_IMAGENET,
            classes=1000,
            paper="arXiv 1409.1556, configuration E",
            params=143_667_240,
            macs=19_632_062_464,
            source="onnx wheel, light_vgg19; docs.pytorch.org/vision, vgg19: 19.63 G",
            smallest_image=4,
        ),
        Entry(
            name="overfeat",
            builder=OverFeat,
            input_shape=(3, 231, 231),
            classes=1000,
            paper="arXiv 1312.6229, fast model",
            params=145_920_872,
            macs=2_801_403_904,
            source="arXiv 1312.6229: 145 million parameters, 2,810 million connections",
            smallest_image=16,
        ),
        Entry(
            name="googlenet",
            builder=GoogLeNet,
            input_shape=_IMAGENET,
            classes=1000,
            paper="arXiv 1409.4842",
            params=6_998_552,
            macs=1_582_671_872,
            source="onnx wheel, light_inception_v1, with the feature maps of the paper's table 1",
            smallest_image=8,
        ),
        Entry(
            name="detectnet",
            builder=DetectNet,
            input_shape=(3, 384, 1248),
            classes=1,
            paper="NVIDIA DIGITS 4; Caffe examples/kitti/detectnet_network.prototxt",
            params=5_978_677,
            macs=18_605_223_936,
            source="googlenet without its classifier, and 1 x 1 heads; MACs by hand from the file",
            smallest_image=8,
        ),
        Entry(
            name="squeezenet",
            builder=SqueezeNet,
            input_shape=_IMAGENET,
            classes=1000,
            paper="arXiv 1602.07360, version 1.1",
            params=1_235_496,
            macs=349_151_936,
            source="onnx wheel, light_squeezenet; docs.pytorch.org/vision, squeezenet1_1: 0.35 G",
            smallest_image=8,
        ),
        Entry(
            name="resnet50",
            builder=ResNet50,
            input_shape=_IMAGENET,
            classes=1000,
            paper="arXiv 1512.03385, stride in the 3 x 3 convolutions",
            params=25_557_032,
            macs=4_089_184_256,
            source="onnx wheel, light_resnet50; docs.pytorch.org/vision, resnet50: 4.09 G",
            smallest_image=4,
        ),
        Entry(
            name="resnet20",
            builder=ResNet20,
            input_shape=(3, 32, 32),
            classes=10,
            paper="arXiv 1512.03385, section 4.2, with option B shortcuts",
            params=272_474,
            macs=40_813_184,
            source="0.27M parameters: arXiv 1512.03385, table 6; MACs by hand from the paper",
            smallest_image=4,
        ),
        Entry(
            name="refinenet",
            builder=RefineNet,
            input_shape=(3, 360, 480),
            classes=11,
            paper="arXiv 1611.06612, with ResNet-18 as encoder and 256 channels on every path",
            params=34_461_771,
            macs=85_367_070_720,
            source="by hand: ResNet-18 without its classifier, and four refinement blocks; the "
            "paper's own, with ResNet-101, has about 118 million parameters",
            smallest_image=32,
        ),
        Entry(
            name="yolov2",
            builder=YOLOv2,
            input_shape=(3, 416, 416),
            classes=20,
            paper="arXiv 1612.08242; darknet cfg/yolov2-voc.cfg",
            params=50_655_389,
            macs=14_680_167_424,
            source="by hand from the cfg; darknet's own count for 608 pixels and 80 classes is "
            "62.94 billion operations, twice our 31,469,126,656",
            smallest_image=32,
        ),
    )
}

_LIMITS: dict[str, tuple[float, float]] = {
    "classes": (1, 100_000),
    "in_channels": (1, 1024),
    "width": (1 / 64, 8.0),
    "dropout": (0.0, 0.9),
    "stride": (0, 32),
}


def names() -> list[str]:
    """Every name that `build` knows."""
    return list(_ENTRIES)


def entry(name: str) -> Entry:
    """The default shape and published figures of `name`; UserError when it is unknown."""
    if name not in _ENTRIES:
        raise UserError(f'no network "{name}" in the zoo; {nearest(name, names())}')
    return _ENTRIES[name]


def build(name: str, **arguments: Argument) -> nn.Module:
    """The module of `name` with fresh weights; see the module's docstring for the arguments.

    Raises UserError when the name or an argument is unknown or out of range.
    """
    found = entry(name)
    known = inspect.signature(found.builder).parameters
    for argument, value in arguments.items():
        if argument not in known:
            raise UserError(
                f'{name} has no argument "{argument}"; {nearest(argument, list(known))}'
            )
        _check(found, argument, value, known[argument].default)
    return found.builder(**arguments)


def _check(found: Entry, argument: str, value: Argument, default: Argument) -> None:
    """Refuse what cannot be built, before it asks for memory: arguments also come from files."""
    kind = type(default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UserError(
            f"{found.name}: {argument}={value!r} is not of type {kind.__name__}, as {default!r} is"
        )
    limits = {**_LIMITS, "image": (found.smallest_image, 1024)}
    if argument in limits and not isinstance(value, str):
        low, high = limits[argument]
        if not low <= value <= high:
            raise UserError(
                f"{found.name}: {argument}={value:g} is out of range; give {low:g} to {high:g}"
            )
