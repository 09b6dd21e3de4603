"""LeNet-5 as Caffe ships it (examples/mnist/lenet.prototxt): 20 and 50 filters, 500 units.

After LeCun et al., "Gradient-based learning applied to document recognition", 1998. Like the
networks of the compression papers under this name it has a ReLU behind every layer but the last,
where Caffe's file has one behind the first linear layer only; the counts are the same.
"""

from __future__ import annotations

import torch
from torch import nn

from edgesynth.networks.layers import initialize, scaled, side_behind

_SMALLEST_UNPADDED = 16  # 16 -> 12 -> 6 -> 2 -> 1


class LeNet5(nn.Module):
    """Two 5 x 5 convolutions with pooling, two linear layers; input side 4 or more.

    Below 16 pixels (`digits` has 8) the convolutions are padded by 2, else nothing would be left.
    """

    def __init__(
        self, classes: int = 10, in_channels: int = 1, width: float = 1.0, image: int = 28
    ) -> None:
        super().__init__()
        first, second, hidden = (scaled(channels, width) for channels in (20, 50, 500))
        padding = 0 if image >= _SMALLEST_UNPADDED else 2
        self.conv1 = nn.Conv2d(in_channels, first, 5, padding=padding)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=padding)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        side = side_behind([self.conv1, self.pool1, self.conv2, self.pool2], image)
        self.fc1 = nn.Linear(second * side * side, hidden)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(hidden, classes)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, height, width)."""
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        logits: torch.Tensor = self.fc2(self.relu3(self.fc1(torch.flatten(x, 1))))
        return logits
