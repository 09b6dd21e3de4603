"""The layers of testing/layers.h, which benchmarks time and rooflines predict."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEADER = Path(__file__).resolve().parent / "testing" / "layers.h"
_ROW = re.compile(r'\{"([^"]+)",\s*\{([^;]*?)\}\},\n')


@dataclass(frozen=True)
class Layer:
    """A convolution of one sample; a linear layer has one pixel. Pairs are down, right."""

    name: str
    channels: int
    height: int
    width: int
    filters: int
    group: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    dilations: tuple[int, int]

    @property
    def is_linear(self) -> bool:
        """True for a matrix times a vector."""
        return (self.height, self.width) == (1, 1)

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the result."""
        down, right = (
            (side + self.pads[axis] + self.pads[axis + 2] - self._window(axis))
            // self.strides[axis]
            + 1
            for axis, side in enumerate((self.height, self.width))
        )
        return down, right

    @property
    def pixels(self) -> int:
        """Of the result."""
        return self.output[0] * self.output[1]

    @property
    def columns(self) -> int:
        """Weights of one filter."""
        return self.channels // self.group * self.kernel[0] * self.kernel[1]

    @property
    def activations(self) -> int:
        """Numbers read and written besides the weights."""
        return self.channels * self.height * self.width + self.filters * self.pixels

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.filters * self.columns * self.pixels

    def _window(self, axis: int) -> int:
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1


def read_layers(header: Path = HEADER) -> list[Layer]:
    """All of them, in the order of the header."""
    layers = []
    for name, numbers in _ROW.findall(header.read_text("utf-8")):
        n = [int(word) for word in re.findall(r"\d+", numbers)]
        if len(n) != 16 or n[0] != 1:
            raise ValueError(f'{header}: "{name}" is not one sample with 15 further numbers')
        channels, height, width, filters, group = n[1:6]
        layers.append(
            Layer(
                name,
                channels,
                height,
                width,
                filters,
                group,
                kernel=(n[6], n[7]),
                strides=(n[8], n[9]),
                pads=(n[10], n[11], n[12], n[13]),
                dilations=(n[14], n[15]),
            )
        )
    return layers
