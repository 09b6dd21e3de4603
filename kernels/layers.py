"""The layers of testing/layers.h, which benchmarks time and rooflines predict."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "deploy"))

from edgesynth.hardware.kernel_roofline import Layer as Layer

HEADER = Path(__file__).resolve().parent / "testing" / "layers.h"
_ROW = re.compile(r'\{"([^"]+)",\s*\{([^;]*?)\}\},\n')


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
