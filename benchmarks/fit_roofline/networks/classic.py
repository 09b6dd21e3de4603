"""AlexNet, VGG, GoogLeNet and SqueezeNet as the Caffe model zoo defines them.

Widths: Krizhevsky et al. 2012 (BVLC AlexNet), Simonyan & Zisserman 2014, Szegedy et al. 2014
(BVLC GoogLeNet, without the training-only classifiers), Iandola et al. 2016. Caffe rounds the size
of a pooled map up, hence `ceil_mode`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class _Lrn(torch.autograd.Function):
    """One ONNX node: torch itself exports its normalization as eight."""

    @staticmethod
    def forward(context, x: Tensor, size: int) -> Tensor:
        return nn.functional.local_response_norm(x, size)

    @staticmethod
    def symbolic(graph, x, size: int):
        return graph.op("LRN", x, size_i=size).setType(x.type())


class LocalResponseNorm(nn.Module):
    """Across five channels, as in AlexNet and GoogLeNet."""

    def forward(self, x: Tensor) -> Tensor:
        return _Lrn.apply(x, 5)


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1, pad: int = 0, groups: int = 1):
    """Convolution with bias, then ReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, kernel, stride, pad, groups=groups), nn.ReLU())


def pool(kernel: int = 3, stride: int = 2, pad: int = 0) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, stride, pad, ceil_mode=True)


def classifier(*widths: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Flatten()]
    for c_in, c_out in pairwise(widths[:-1]):
        layers += [nn.Linear(c_in, c_out), nn.ReLU(), nn.Dropout()]
    return [*layers, nn.Linear(widths[-2], widths[-1]), nn.Softmax(dim=1)]


def alexnet() -> nn.Module:
    """227x227; groups of two in conv2, conv4 and conv5."""
    return nn.Sequential(
        conv(3, 96, 11, 4),
        LocalResponseNorm(),
        pool(),
        conv(96, 256, 5, pad=2, groups=2),
        LocalResponseNorm(),
        pool(),
        conv(256, 384, 3, pad=1),
        conv(384, 384, 3, pad=1, groups=2),
        conv(384, 256, 3, pad=1, groups=2),
        pool(),
        *classifier(256 * 6 * 6, 4096, 4096, 1000),
    )


def vgg(depths: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            layers.append(conv(c_in, width, 3, pad=1))
            c_in = width
        layers.append(pool(2))
    return nn.Sequential(*layers, *classifier(512 * 7 * 7, 4096, 4096, 1000))


class Inception(nn.Module):
    def __init__(self, c_in: int, c1: int, r3: int, c3: int, r5: int, c5: int, proj: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(c_in, c1, 1),
                nn.Sequential(conv(c_in, r3, 1), conv(r3, c3, 3, pad=1)),
                nn.Sequential(conv(c_in, r5, 1), conv(r5, c5, 5, pad=2)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(c_in, proj, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def googlenet() -> nn.Module:
    return nn.Sequential(
        conv(3, 64, 7, 2, 3),
        pool(),
        LocalResponseNorm(),
        conv(64, 64, 1),
        conv(64, 192, 3, pad=1),
        LocalResponseNorm(),
        pool(),
        Inception(192, 64, 96, 128, 16, 32, 32),
        Inception(256, 128, 128, 192, 32, 96, 64),
        pool(),
        Inception(480, 192, 96, 208, 16, 48, 64),
        Inception(512, 160, 112, 224, 24, 64, 64),
        Inception(512, 128, 128, 256, 24, 64, 64),
        Inception(512, 112, 144, 288, 32, 64, 64),
        Inception(528, 256, 160, 320, 32, 128, 128),
        pool(),
        Inception(832, 256, 160, 320, 32, 128, 128),
        Inception(832, 384, 192, 384, 48, 128, 128),
        nn.AvgPool2d(7),
        *classifier(1024, 1000),
    )


class Fire(nn.Module):
    def __init__(self, c_in: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = conv(c_in, squeeze, 1)
        self.one, self.three = conv(squeeze, expand, 1), conv(squeeze, expand, 3, pad=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.one(x), self.three(x)], 1)


_FIRES = (
    (128, 16, 64),
    (128, 32, 128),
    (256, 32, 128),
    (256, 48, 192),
    (384, 48, 192),
    (384, 64, 256),
    (512, 64, 256),
)


def _squeezenet(stem: nn.Module, first: int, pool_before: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = [stem, pool(), Fire(first, 16, 64)]
    for index, widths in enumerate(_FIRES, start=3):
        if index in pool_before:
            layers.append(pool())
        layers.append(Fire(*widths))
    return nn.Sequential(
        *layers, conv(512, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(dim=1)
    )


def squeezenet10() -> nn.Module:
    """227x227; 7x7 stem of 96 channels, pooling after fire 4 and 8."""
    return _squeezenet(conv(3, 96, 7, 2), 96, (5, 9))


def squeezenet11() -> nn.Module:
    """227x227; 3x3 stem of 64 channels, pooling after fire 3 and 5."""
    return _squeezenet(conv(3, 64, 3, 2), 64, (4, 6))
