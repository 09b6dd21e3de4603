"""Residual networks (He et al., arXiv 1512.03385): ResNet-50 for ImageNet, ResNet-20 for CIFAR.

Layer names and order are torchvision's, so its checkpoints of `resnet50` load as they are; like it
the stride of a bottleneck is in the 3 x 3 convolution ("version 1.5"). Every shortcut that changes
shape is a 1 x 1 convolution (the paper's option B). ResNet-20 in the paper pads with zero channels
instead (option A, 269,722 parameters), which would tie the forward pass to channel counts.
"""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.networks.layers import SMALL_IMAGE, initialize, scaled


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (n, channels, height / stride, width / stride)."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        result: torch.Tensor = self.relu2(out + self.downsample(x))
        return result


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolution beside a shortcut; four times the channels leave it."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = _shortcut(in_channels, 4 * channels, stride)
        self.relu3 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (n, 4 * channels, height / stride, width / stride)."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        result: torch.Tensor = self.relu3(out + self.downsample(x))
        return result


class ResNet50(nn.Module):
    """16 bottlenecks in four stages; 25,557,032 parameters.

    Small images (below 48 pixels) enter through 3 x 3 filters without stride or pooling.
    """

    def __init__(
        self, classes: int = 1000, in_channels: int = 3, width: float = 1.0, image: int = 224
    ) -> None:
        super().__init__()
        c1, c2, c3, c4 = (scaled(each, width) for each in (64, 128, 256, 512))
        if image < SMALL_IMAGE:
            self.conv1 = nn.Conv2d(in_channels, c1, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, c1, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(c1)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if image >= SMALL_IMAGE else nn.Identity()
        self.layer1 = residual_stage(Bottleneck, c1, c1, 3, stride=1)
        self.layer2 = residual_stage(Bottleneck, 4 * c1, c2, 4, stride=2)
        self.layer3 = residual_stage(Bottleneck, 4 * c2, c3, 6, stride=2)
        self.layer4 = residual_stage(Bottleneck, 4 * c3, c4, 3, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * c4, classes)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: torch.Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


class ResNet20(nn.Module):
    """Nine basic blocks in three stages; 272,474 parameters with option B shortcuts.

    Made for 32 x 32 pixels; the average pooling at its end takes any size.
    """

    def __init__(
        self, classes: int = 10, in_channels: int = 3, width: float = 1.0, image: int = 32
    ) -> None:
        super().__init__()
        c1, c2, c3 = (scaled(each, width) for each in (16, 32, 64))
        self.conv1 = nn.Conv2d(in_channels, c1, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c1)
        self.relu = nn.ReLU()
        self.layer1 = residual_stage(BasicBlock, c1, c1, 3, stride=1)
        self.layer2 = residual_stage(BasicBlock, c1, c2, 3, stride=2)
        self.layer3 = residual_stage(BasicBlock, c2, c3, 3, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(c3, classes)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


def residual_stage(
    block: type[BasicBlock | Bottleneck], in_channels: int, channels: int, blocks: int, stride: int
) -> nn.Sequential:
    """`blocks` blocks at one resolution; the first one applies the stride."""
    layers = [block(in_channels, channels, stride)]
    layers += [block(channels * block.expansion, channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )
