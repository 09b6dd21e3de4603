"""YOLOX s, m and l (Ge et al. 2021), as exported for the rows: raw heads, four classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
        nn.SiLU(),
    )


class Bottleneck(nn.Module):
    def __init__(self, width: int, shortcut: bool) -> None:
        super().__init__()
        self.body, self.shortcut = (
            nn.Sequential(conv(width, width, 1), conv(width, width, 3)),
            shortcut,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x if self.shortcut else self.body(x)


class Csp(nn.Module):
    def __init__(self, c_in: int, c_out: int, count: int, shortcut: bool) -> None:
        super().__init__()
        half = c_out // 2
        self.left, self.right = conv(c_in, half, 1), conv(c_in, half, 1)
        self.body = nn.Sequential(*[Bottleneck(half, shortcut) for _ in range(count)])
        self.join = conv(c_out, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.cat([self.body(self.left(x)), self.right(x)], 1))


class Focus(nn.Module):
    """The four phases of every 2x2 square as channels."""

    def __init__(self, c_out: int) -> None:
        super().__init__()
        self.conv = conv(12, c_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        phases = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.conv(torch.cat(phases, 1))


class PyramidPool(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = conv(width, width // 2, 1), conv(width * 2, width, 1)
        self.pools = nn.ModuleList([nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.cat([x, *[pool(x) for pool in self.pools]], 1))


class Head(nn.Module):
    """Class, box and objectness of one scale."""

    def __init__(self, c_in: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = conv(c_in, width, 1)
        self.kinds = nn.Sequential(conv(width, width, 3), conv(width, width, 3))
        self.boxes = nn.Sequential(conv(width, width, 3), conv(width, width, 3))
        self.kind, self.box = nn.Conv2d(width, classes, 1), nn.Conv2d(width, 4, 1)
        self.objectness = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        kinds, boxes = self.kinds(x), self.boxes(x)
        return torch.cat([self.box(boxes), self.objectness(boxes), self.kind(kinds)], 1)


class YoloX(nn.Module):
    def __init__(self, depth: float, width: float, classes: int) -> None:
        super().__init__()
        base, count = int(64 * width), max(round(3 * depth), 1)
        c3, c4, c5 = 4 * base, 8 * base, 16 * base
        self.stem = nn.Sequential(
            Focus(base), conv(base, 2 * base, 3, 2), Csp(2 * base, 2 * base, count, True)
        )
        self.dark3 = nn.Sequential(conv(2 * base, c3, 3, 2), Csp(c3, c3, 3 * count, True))
        self.dark4 = nn.Sequential(conv(c3, c4, 3, 2), Csp(c4, c4, 3 * count, True))
        self.dark5 = nn.Sequential(conv(c4, c5, 3, 2), PyramidPool(c5), Csp(c5, c5, count, False))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral5, self.up4 = conv(c5, c4, 1), Csp(2 * c4, c4, count, False)
        self.lateral4, self.up3 = conv(c4, c3, 1), Csp(2 * c3, c3, count, False)
        self.down3, self.out4 = conv(c3, c3, 3, 2), Csp(2 * c3, c4, count, False)
        self.down4, self.out5 = conv(c4, c4, 3, 2), Csp(2 * c4, c5, count, False)
        self.heads = nn.ModuleList([Head(c, int(256 * width), classes) for c in (c3, c4, c5)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x3 = self.dark3(self.stem(x))
        x4 = self.dark4(x3)
        top = self.lateral5(self.dark5(x4))
        middle = self.lateral4(self.up4(torch.cat([self.up(top), x4], 1)))
        out3 = self.up3(torch.cat([self.up(middle), x3], 1))
        out4 = self.out4(torch.cat([self.down3(out3), middle], 1))
        out5 = self.out5(torch.cat([self.down4(out4), top], 1))
        return tuple(h(o) for h, o in zip(self.heads, (out3, out4, out5), strict=True))


def yolox(size: str, classes: int) -> nn.Module:
    """640x640; `size` is "s", "m" or "l"."""
    depth, width = {"s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}[size]
    return YoloX(depth, width, classes)
