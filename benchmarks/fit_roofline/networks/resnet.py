"""ResNet (He et al. 2015) in both forms that the rows use.

`stride_first` is the original of the Caffe model zoo: the first 1x1 of a bottleneck strides. The
later form ("v1.5", torchvision and netspresso) strides in the 3x3.
"""

from __future__ import annotations

from torch import Tensor, nn


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
    ]


class Residual(nn.Module):
    """`body(x) + shortcut(x)`, then ReLU."""

    def __init__(self, body: list[nn.Module], shortcut: list[nn.Module]) -> None:
        super().__init__()
        self.shortcut, self.body = nn.Sequential(*shortcut), nn.Sequential(*body)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def _block(c_in: int, width: int, stride: int, deep: bool, stride_first: bool) -> Residual:
    c_out = width * 4 if deep else width
    if deep:
        first, second = (stride, 1) if stride_first else (1, stride)
        body = [*conv_bn(c_in, width, 1, first), nn.ReLU(), *conv_bn(width, width, 3, second)]
        body += [nn.ReLU(), *conv_bn(width, c_out, 1)]
    else:
        body = [*conv_bn(c_in, width, 3, stride), nn.ReLU(), *conv_bn(width, width, 3)]
    plain = stride == 1 and c_in == c_out
    return Residual(body, [] if plain else conv_bn(c_in, c_out, 1, stride))


def resnet(depth: int, classes: int, stride_first: bool = False, softmax: bool = False):
    """ResNet-`depth` at 224x224."""
    counts = {
        18: (2, 2, 2, 2),
        34: (3, 4, 6, 3),
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
    }[depth]
    deep = depth >= 50
    layers = [*conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    c_in = 64
    for stage, (count, width) in enumerate(zip(counts, (64, 128, 256, 512), strict=True)):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(_block(c_in, width, stride, deep, stride_first))
            c_in = width * 4 if deep else width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, classes)]
    return nn.Sequential(*layers, *([nn.Softmax(dim=1)] if softmax else []))
