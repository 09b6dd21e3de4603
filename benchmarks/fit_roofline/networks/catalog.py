"""Every network of the calibration rows, by the name of its layer table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from . import attention, classic, mobile, pidnet, resnet, yolox


@dataclass(frozen=True)
class Entry:
    build: Callable[[], nn.Module]
    size: int
    """Height and width of the input in pixels."""


CATALOG: dict[str, Entry] = {
    "alexnet": Entry(classic.alexnet, 227),
    "vgg16": Entry(lambda: classic.vgg((2, 2, 3, 3, 3)), 224),
    "vgg19": Entry(lambda: classic.vgg((2, 2, 4, 4, 4)), 224),
    "googlenet": Entry(classic.googlenet, 224),
    "squeezenet-1.0": Entry(classic.squeezenet10, 227),
    "squeezenet-1.1": Entry(classic.squeezenet11, 227),
    "resnet18-caffe": Entry(lambda: resnet.resnet(18, 1000, True, True), 224),
    "resnet50-caffe": Entry(lambda: resnet.resnet(50, 1000, True, True), 224),
    "resnet101-caffe": Entry(lambda: resnet.resnet(101, 1000, True, True), 224),
    "resnet152-caffe": Entry(lambda: resnet.resnet(152, 1000, True, True), 224),
    "resnet18": Entry(lambda: resnet.resnet(18, 3), 224),
    "resnet34": Entry(lambda: resnet.resnet(34, 3), 224),
    "resnet50": Entry(lambda: resnet.resnet(50, 3), 224),
    "mobilenetv3-small": Entry(lambda: mobile.mobilenet_v3("small", 3), 224),
    "mobilenetv3-large": Entry(lambda: mobile.mobilenet_v3("large", 3), 224),
    "mixnet-s": Entry(lambda: mobile.mixnet("s", 3), 224),
    "mixnet-m": Entry(lambda: mobile.mixnet("m", 3), 224),
    "mixnet-l": Entry(lambda: mobile.mixnet("l", 3), 224),
    "efficientformer-l1": Entry(lambda: attention.efficientformer_l1(3), 224),
    "pidnet-s": Entry(lambda: pidnet.pidnet_s(35), 512),
    "yolox-s": Entry(lambda: yolox.yolox("s", 4), 640),
    "yolox-m": Entry(lambda: yolox.yolox("m", 4), 640),
    "yolox-l": Entry(lambda: yolox.yolox("l", 4), 640),
}
