"""EfficientFormer-L1 (Li et al. 2022), three classes: convolutions and one attention block."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2), nn.BatchNorm2d(c_out)]


class Mixer(nn.Module):
    """EfficientFormer's convolutional block: average pooling, then a 1x1 bottleneck."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        hidden = [*conv_bn(width, 4 * width, 1), nn.GELU(), *conv_bn(4 * width, width, 1)]
        self.mlp = nn.Sequential(*hidden)
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(width, 1, 1)) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scales[0] * (self.pool(x) - x)
        return x + self.scales[1] * self.mlp(x)


class Attention(nn.Module):
    """Of 49 positions, with a learned bias per pair of them."""

    def __init__(self, width: int, heads: int, key: int, value: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, key), nn.Linear(width, key)
        self.value, self.join = nn.Linear(width, value), nn.Linear(value, width)
        self.scale = (key // heads) ** 0.5
        self.bias = nn.Parameter(torch.zeros(heads, 49, 49))

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self._split(self.query(x)), self._split(self.key(x)), self.value(x)
        scores = query @ key.transpose(-1, -2) / self.scale + self.bias
        mixed = torch.softmax(scores, -1) @ self._split(value)
        return self.join(mixed.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], -1))


class Encoder(nn.Module):
    """Attention and a two-layer perceptron, each after a LayerNorm and beside a residual."""

    def __init__(self, width: int, attention: Attention) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.parts = nn.ModuleList([attention, mlp])
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(width)) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        for norm, part, scale in zip(self.norms, self.parts, self.scales, strict=True):
            x = x + scale * part(norm(x))
        return x


class Tokens(nn.Module):
    """(n, c, h, w) to (n, h*w, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class MeanOfTokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=-2)


def efficientformer_l1(classes: int) -> nn.Module:
    """224x224: widths 48, 96, 224, 448; one attention block at the end."""
    layers = [*conv_bn(3, 24, 3, 2), nn.ReLU(), *conv_bn(24, 48, 3, 2), nn.ReLU()]
    widths = (48, 96, 224, 448)
    for stage, (width, count) in enumerate(zip(widths, (3, 2, 6, 3), strict=True)):
        if stage:
            layers += conv_bn(widths[stage - 1], width, 3, 2)
        layers += [Mixer(width) for _ in range(count)]
    attention = Attention(448, heads=8, key=256, value=1024)
    layers += [Tokens(), Encoder(448, attention), nn.LayerNorm(448)]
    return nn.Sequential(*layers, MeanOfTokens(), nn.Linear(448, classes))
