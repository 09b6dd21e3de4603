"""MobileNetV3 (Howard et al. 2019) and MixNet (Tan & Le 2019), three classes as in the rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "hswish": nn.Hardswish, "swish": nn.SiLU}


def conv_bn(c_in: int, c_out: int, kernel: int, act: str = "", stride: int = 1, groups: int = 1):
    layers = [
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]
    return nn.Sequential(*layers, *([ACTIVATIONS[act]()] if act else []))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int, inner: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            inner,
            nn.Conv2d(squeezed, channels, 1),
            gate,
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x)


class Inverted(nn.Module):
    """Adds its input where `body` keeps the shape."""

    def __init__(self, body: list[nn.Module], residual: bool) -> None:
        super().__init__()
        self.body, self.residual = nn.Sequential(*body), residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return y + x if self.residual else y


def divisible(value: float) -> int:
    """Nearest multiple of 8 that is not more than 10 % lower."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


# kernel, expanded width, output width, squeeze-and-excitation, activation, stride
_SMALL = [
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hswish", 2),
    (5, 240, 40, True, "hswish", 1),
    (5, 240, 40, True, "hswish", 1),
    (5, 120, 48, True, "hswish", 1),
    (5, 144, 48, True, "hswish", 1),
    (5, 288, 96, True, "hswish", 2),
    (5, 576, 96, True, "hswish", 1),
    (5, 576, 96, True, "hswish", 1),
]
_LARGE = [
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hswish", 2),
    (3, 200, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 184, 80, False, "hswish", 1),
    (3, 480, 112, True, "hswish", 1),
    (3, 672, 112, True, "hswish", 1),
    (5, 672, 160, True, "hswish", 2),
    (5, 960, 160, True, "hswish", 1),
    (5, 960, 160, True, "hswish", 1),
]


def mobilenet_v3(size: str, classes: int) -> nn.Module:
    """`size` is "small" or "large"; 224x224."""
    rows, hidden = {"small": (_SMALL, 1024), "large": (_LARGE, 1280)}[size]
    layers: list[nn.Module] = [conv_bn(3, 16, 3, "hswish", 2)]
    c_in = 16
    for kernel, wide, c_out, squeeze, act, stride in rows:
        body = [] if wide == c_in else [conv_bn(c_in, wide, 1, act)]
        body.append(conv_bn(wide, wide, kernel, act, stride, groups=wide))
        if squeeze:
            narrow = divisible(wide // 4)
            body.append(SqueezeExcite(wide, narrow, nn.ReLU(), nn.Hardsigmoid()))
        body.append(conv_bn(wide, c_out, 1))
        layers.append(Inverted(body, stride == 1 and c_in == c_out))
        c_in = c_out
    last = 6 * c_in
    layers += [conv_bn(c_in, last, 1, "hswish"), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(last, hidden), nn.Hardswish(), nn.Linear(hidden, classes)]
    return nn.Sequential(*layers)


class Mixed(nn.Module):
    """Equal slices of the channels, each through its own convolution."""

    def __init__(self, convolutions: list[nn.Module]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.convolutions) == 1:
            return self.convolutions[0](x)
        parts = torch.chunk(x, len(self.convolutions), dim=1)
        return torch.cat([c(p) for c, p in zip(self.convolutions, parts, strict=True)], 1)


def _pointwise(c_in: int, c_out: int, parts: int) -> Mixed:
    return Mixed([nn.Conv2d(c_in // parts, c_out // parts, 1, bias=False) for _ in range(parts)])


def _depthwise(channels: int, kernels: tuple[int, ...], stride: int) -> Mixed:
    width = channels // len(kernels)
    return Mixed(
        [nn.Conv2d(width, width, k, stride, k // 2, groups=width, bias=False) for k in kernels]
    )


# expansion, width, repeats, depthwise kernels, parts of expand and project, stride, act, squeeze
_MIX_S = [
    (1, 16, 1, (3,), 1, 1, 1, "relu", 0),
    (6, 24, 1, (3,), 2, 2, 2, "relu", 0),
    (3, 24, 1, (3,), 2, 2, 1, "relu", 0),
    (6, 40, 1, (3, 5, 7), 1, 1, 2, "swish", 2),
    (6, 40, 3, (3, 5), 2, 2, 1, "swish", 2),
    (6, 80, 1, (3, 5, 7), 1, 2, 2, "swish", 4),
    (6, 80, 2, (3, 5), 1, 2, 1, "swish", 4),
    (6, 120, 1, (3, 5, 7), 2, 2, 1, "swish", 2),
    (3, 120, 2, (3, 5, 7, 9), 2, 2, 1, "swish", 2),
    (6, 200, 1, (3, 5, 7, 9, 11), 1, 1, 2, "swish", 2),
    (6, 200, 2, (3, 5, 7, 9), 1, 2, 1, "swish", 2),
]
_MIX_M = [
    (1, 24, 1, (3,), 1, 1, 1, "relu", 0),
    (6, 32, 1, (3, 5, 7), 2, 2, 2, "relu", 0),
    (3, 32, 1, (3,), 2, 2, 1, "relu", 0),
    (6, 40, 1, (3, 5, 7, 9), 1, 1, 2, "swish", 2),
    (6, 40, 3, (3, 5), 2, 2, 1, "swish", 2),
    (6, 80, 1, (3, 5, 7), 1, 1, 2, "swish", 4),
    (6, 80, 3, (3, 5, 7, 9), 2, 2, 1, "swish", 4),
    (6, 120, 1, (3,), 1, 1, 1, "swish", 2),
    (3, 120, 3, (3, 5, 7, 9), 2, 2, 1, "swish", 2),
    (6, 200, 1, (3, 5, 7, 9), 1, 1, 2, "swish", 2),
    (6, 200, 3, (3, 5, 7, 9), 1, 2, 1, "swish", 2),
]


def mixnet(size: str, classes: int) -> nn.Module:
    """`size` is "s", "m" or "l" (m times 1.3); 224x224."""
    rows, stem, scale = {"s": (_MIX_S, 16, 1), "m": (_MIX_M, 24, 1), "l": (_MIX_M, 24, 1.3)}[size]
    c_in = divisible(stem * scale)
    layers: list[nn.Module] = [conv_bn(3, c_in, 3, "relu", 2)]
    for expansion, width, repeats, kernels, up, down, first_stride, act, squeeze in rows:
        c_out = divisible(width * scale) if scale != 1 else width
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            wide = c_in * expansion
            norm = [nn.BatchNorm2d(wide), ACTIVATIONS[act]()]
            body = [] if expansion == 1 else [_pointwise(c_in, wide, up), *norm]
            body += [_depthwise(wide, kernels, stride), nn.BatchNorm2d(wide), ACTIVATIONS[act]()]
            if squeeze:
                inner = ACTIVATIONS[act]()
                body.append(SqueezeExcite(wide, max(1, c_in // squeeze), inner, nn.Sigmoid()))
            body += [_pointwise(wide, c_out, down), nn.BatchNorm2d(c_out)]
            layers.append(Inverted(body, stride == 1 and c_in == c_out))
            c_in = c_out
    layers += [conv_bn(c_in, 1536, 1, "relu"), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1536, classes))
