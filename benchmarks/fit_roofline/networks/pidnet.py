"""PIDNet-S (Xu et al. 2022) as exported for the row: the final head only, 35 classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(c_out)
    )


def bn_conv(c_in: int, c_out: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    """Normalization and ReLU before the convolution."""
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(), conv)


def resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


class Block(nn.Module):
    """Basic (3x3, 3x3) or bottleneck (1x1, 3x3, 1x1 times two) residual block."""

    def __init__(self, c_in: int, width: int, stride: int, deep: bool, relu: bool) -> None:
        super().__init__()
        c_out = 2 * width if deep else width
        if deep:
            body = [conv_bn(c_in, width), nn.ReLU(), conv_bn(width, width, 3, stride), nn.ReLU()]
            body.append(conv_bn(width, c_out))
        else:
            body = [conv_bn(c_in, width, 3, stride), nn.ReLU(), conv_bn(width, width, 3)]
        plain = stride == 1 and c_in == c_out
        self.shortcut = nn.Identity() if plain else conv_bn(c_in, c_out, 1, stride)
        self.body, self.end = nn.Sequential(*body), nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x) + self.shortcut(x))


def stage(c_in: int, width: int, count: int, stride: int = 1, deep: bool = False) -> nn.Module:
    c_out = 2 * width if deep else width
    blocks = [
        Block(
            c_in if i == 0 else c_out,
            width,
            stride if i == 0 else 1,
            deep,
            i < count - 1 and not deep,
        )
        for i in range(count)
    ]
    return nn.Sequential(*blocks)


class Attend(nn.Module):
    """PagFM: mixes the detail branch `x` and the context `y` by their similarity."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.of_x, self.of_y = conv_bn(width, inner), conv_bn(width, inner)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        query = resize(self.of_y(y), x)
        gate = torch.sigmoid(torch.sum(self.of_x(x) * query, dim=1).unsqueeze(1))
        return (1 - gate) * x + gate * resize(y, x)


class PyramidPool(nn.Module):
    """PAPPM: average pools of five sizes, joined by grouped and 1x1 convolutions."""

    def __init__(self, c_in: int, width: int, c_out: int) -> None:
        super().__init__()
        pools = [nn.AvgPool2d(2 * s + 1, s, s) for s in (2, 4, 8)] + [nn.AdaptiveAvgPool2d(1)]
        self.scales = nn.ModuleList([nn.Sequential(p, bn_conv(c_in, width)) for p in pools])
        self.first = bn_conv(c_in, width)
        self.process = bn_conv(4 * width, 4 * width, 3, groups=4)
        self.compress, self.shortcut = bn_conv(5 * width, c_out), bn_conv(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        scales = [resize(scale(x), first) + first for scale in self.scales]
        processed = self.process(torch.cat(scales, 1))
        return self.compress(torch.cat([first, processed], 1)) + self.shortcut(x)


class PidNet(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        w, relu = width, nn.ReLU()
        self.relu = relu
        self.stem = nn.Sequential(conv_bn(3, w, 3, 2), relu, conv_bn(w, w, 3, 2), nn.ReLU())
        self.layer1, self.layer2 = stage(w, w, 2), stage(w, 2 * w, 2, 2)
        self.layer3, self.layer4 = stage(2 * w, 4 * w, 3, 2), stage(4 * w, 8 * w, 3, 2)
        self.layer5 = stage(8 * w, 8 * w, 2, 2, deep=True)
        self.compress3, self.compress4 = conv_bn(4 * w, 2 * w), conv_bn(8 * w, 2 * w)
        self.attend3, self.attend4 = Attend(2 * w, w), Attend(2 * w, w)
        self.detail3, self.detail4 = stage(2 * w, 2 * w, 2), stage(2 * w, 2 * w, 2)
        self.detail5 = stage(2 * w, 2 * w, 1, deep=True)
        self.edge3, self.edge4 = stage(2 * w, w, 1), stage(w, w, 1, deep=True)
        self.edge5 = stage(2 * w, 2 * w, 1, deep=True)
        self.diff3, self.diff4 = conv_bn(4 * w, w, 3), conv_bn(8 * w, 2 * w, 3)
        self.pool = PyramidPool(16 * w, 96, 4 * w)
        self.fuse_p, self.fuse_i = conv_bn(4 * w, 4 * w), conv_bn(4 * w, 4 * w)
        self.head = nn.Sequential(
            bn_conv(4 * w, 128, 3), nn.BatchNorm2d(128), nn.ReLU(), nn.Conv2d(128, classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        relu = self.relu
        x = relu(self.layer2(relu(self.layer1(self.stem(x)))))
        detail, edge = self.detail3(x), self.edge3(x)
        x = relu(self.layer3(x))
        detail = self.attend3(detail, self.compress3(x))
        edge = edge + resize(self.diff3(x), edge)
        x = relu(self.layer4(x))
        detail = self.attend4(self.detail4(relu(detail)), self.compress4(x))
        edge = self.edge4(relu(edge))
        edge = edge + resize(self.diff4(x), edge)
        detail, edge = self.detail5(relu(detail)), self.edge5(relu(edge))
        context = resize(self.pool(self.layer5(x)), edge)
        gate = torch.sigmoid(edge)
        mixed = self.fuse_p((1 - gate) * context + detail)
        return self.head(mixed + self.fuse_i(context + gate * detail))


def pidnet_s(classes: int) -> nn.Module:
    """512x512."""
    return PidNet(32, classes)
