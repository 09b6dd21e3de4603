"""EfficientFormer-L1 (Li et al. 2022) and ViT-tiny (Dosovitskiy et al. 2020), three classes."""

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
    def __init__(self, width: int, heads: int, key: int, value: int, bias_points: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, key), nn.Linear(width, key)
        self.value, self.join = nn.Linear(width, value), nn.Linear(value, width)
        self.scale = (key // heads) ** 0.5
        shape = (heads, bias_points, bias_points)
        self.bias = nn.Parameter(torch.zeros(shape)) if bias_points else None

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self._split(self.query(x)), self._split(self.key(x)), self.value(x)
        scores = query @ key.transpose(-1, -2) / self.scale
        if self.bias is not None:
            scores = scores + self.bias
        mixed = torch.softmax(scores, -1) @ self._split(value)
        return self.join(mixed.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], -1))


class Encoder(nn.Module):
    """Attention and a two-layer perceptron, each after a LayerNorm and beside a residual."""

    def __init__(self, width: int, attention: Attention, scaled: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.parts = nn.ModuleList([attention, mlp])
        scale = [nn.Parameter(torch.ones(width)) for _ in range(2 if scaled else 0)]
        self.scales = nn.ParameterList(scale)

    def forward(self, x: Tensor) -> Tensor:
        for index, (norm, part) in enumerate(zip(self.norms, self.parts, strict=True)):
            y = part(norm(x))
            x = x + (self.scales[index] * y if len(self.scales) else y)
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
    attention = Attention(448, heads=8, key=256, value=1024, bias_points=49)
    layers += [Tokens(), Encoder(448, attention, scaled=True), nn.LayerNorm(448)]
    return nn.Sequential(*layers, MeanOfTokens(), nn.Linear(448, classes))


class ViT(nn.Module):
    """Patches of 16 by a 17x17 convolution as in netspresso, a class token, twelve blocks."""

    def __init__(self, width: int, heads: int, depth: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 17, 16, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 197, width))
        blocks = [
            Encoder(width, Attention(width, heads, width, width), scaled=False)
            for _ in range(depth)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit_tiny(classes: int) -> nn.Module:
    return ViT(192, 3, 12, classes)
