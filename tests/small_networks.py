"""Small networks, each with one of the structures that make channel surgery hard."""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.core.network import Architecture, NetworkDescription, Preprocessing
from edgesynth.networks.network import Network

SHAPE = (3, 12, 12)


class Plain(nn.Module):
    """Convolutions, pooling, and a flatten before the linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3)
        self.c2 = nn.Conv2d(8, 10, 3)
        self.f1 = nn.Linear(10 * 4 * 4, 14)
        self.f2 = nn.Linear(14, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.c1(x))
        x = nn.functional.max_pool2d(self.c2(x), 2)
        x = torch.relu(self.f1(x.view(x.size(0), -1)))
        return self.f2(nn.functional.dropout(x, 0.1, self.training))


class Residual(nn.Module):
    """BatchNorm and an addition that ties two convolutions and an in-place ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.inner = nn.Conv2d(8, 6, 3, padding=1)
        self.outer = nn.Conv2d(6, 8, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.stem(x)))
        y = self.norm2(self.outer(self.relu(self.inner(x))))
        y += x
        return self.head(self.relu(y).mean((2, 3)))


class Mobile(nn.Module):
    """Depthwise with a multiplier, grouped, pointwise, and squeeze-and-excite gating."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 8, 1)
        self.depth = nn.Conv2d(8, 16, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(16)
        self.squeeze = nn.Conv2d(16, 4, 1)
        self.excite = nn.Conv2d(4, 16, 1)
        self.grouped = nn.Conv2d(16, 12, 3, groups=2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.norm(self.depth(self.expand(x))))
        gate = torch.relu(self.squeeze(nn.functional.adaptive_avg_pool2d(x, 1)))
        x = x * torch.sigmoid(self.excite(gate))
        x = nn.functional.adaptive_avg_pool2d(torch.tanh(self.grouped(x)), 1)
        return self.head(torch.flatten(x, 1))


class Inception(nn.Module):
    """Branches joined by concatenation; sigmoid, so that a dead filter is not simply zero."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 6, 1)
        self.b = nn.Conv2d(3, 7, 3, padding=1)
        self.act = nn.PReLU(13)
        self.up = nn.ConvTranspose2d(13, 9, 2, stride=2)
        self.c = nn.Conv2d(9, 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([torch.sigmoid(self.a(x)), self.b(x)], 1)
        x = self.up(self.act(x))
        return self.c(x).amax(dim=(-2, -1))


ALL = (Plain, Residual, Mobile, Inception)


def network(kind: type[nn.Module], seed: int = 0) -> Network:
    """`kind` with random weights and statistics, in evaluation mode."""
    torch.manual_seed(seed)
    module = kind()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    description = NetworkDescription(
        name=kind.__name__.lower(),
        architecture=Architecture(f"factory:small_networks:{kind.__name__}"),
        input_shape=SHAPE,
        classes=tuple("abcde"),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )
    return Network(module.eval(), description)
