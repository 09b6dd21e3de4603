"""From a darknet configuration to a module: networks of YOLOv2's kind.

Convolutions, poolings, routes, reorg, shortcuts, and one region layer at the end. What such a
section means is said in darknet's src/parser.c and the layer's own source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from edgesynth.networks.darknet_config import Section, parse_config
from edgesynth.networks.layers import initialize
from edgesynth.networks.region_head import MAX_ANCHORS, RegionHead
from edgesynth.networks.reorg import GROUP, Reorg

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(0.1),
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "logistic": nn.Sigmoid,
}
_MAX_SECTIONS = 1000
_MAX_WEIGHTS = 1 << 30
"""Of one network: 4 GiB. Configurations also come from files of strangers."""
_IMAGE = -1
"""Number of the layer that is the image."""


class DarknetNetwork(nn.Module):
    """The network of a configuration; `head` is its region layer."""

    head: RegionHead

    def __init__(self, cfg: str, file: str = "the configuration") -> None:
        """`cfg`: the text of the file, which `file` names in messages.

        Raises UserError naming file, line and section of what cannot be built.
        """
        super().__init__()
        plan = _Plan(parse_config(cfg, file))
        self.input_shape = plan.input_shape
        self.layers = nn.ModuleList(plan.layers)
        self._sources = plan.sources
        self.head = plan.head
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raw output (n, anchors * (5 + classes), rows, columns) of images (n, c, h, w)."""
        outputs = {_IMAGE: x}
        for number, (layer, sources) in enumerate(zip(self.layers, self._sources, strict=True)):
            outputs[number] = layer(*(outputs[source] for source in sources))
        return outputs[len(self.layers) - 1]


class Concatenation(nn.Module):
    """darknet's route."""

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        """Feature maps of equal sides, joined along the channels."""
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


class Addition(nn.Module):
    """darknet's shortcut."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The sum of two feature maps of one shape."""
        result: torch.Tensor = self.activation(x + other)
        return result


class PoolInPlace(nn.Module):
    """Maximum over 2 x 2 pixels without stride; beyond the right and lower edge is nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps of the same shape."""
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)


@dataclass(frozen=True)
class _Maps:
    """The feature maps that leave a layer."""

    channels: int
    stride: int
    """Pixels of the image per pixel of the map."""


@dataclass
class _Plan:
    """Goes through the sections once and keeps what each of them gives to the next."""

    sections: Sequence[Section]
    layers: list[nn.Module] = field(default_factory=list)
    sources: list[tuple[int, ...]] = field(default_factory=list)
    maps: dict[int, _Maps] = field(default_factory=dict)
    weights: int = 0

    def __post_init__(self) -> None:
        net, body, last = self.sections[0], self.sections[1:-1], self.sections[-1]
        self.input_shape = (
            net.whole("channels", 3, least=1, most=1024),
            net.whole("height", 416, least=1, most=1 << 14),
            net.whole("width", 416, least=1, most=1 << 14),
        )
        if last.name != "region":
            raise last.refuse(
                "the last section is not [region]; networks of YOLOv2's kind are read, "
                "not classifiers and not [yolo] heads"
            )
        if len(body) > _MAX_SECTIONS:
            raise last.refuse(f"there are more than {_MAX_SECTIONS} sections")
        self.maps[_IMAGE] = _Maps(self.input_shape[0], 1)
        for number, section in enumerate(body):
            if section.name not in _BUILDERS:
                known = " ".join(f"[{name}]" for name in sorted({*_BUILDERS, "region"}))
                raise section.refuse(f"this layer is not known; known are {known}")
            layer, sources, maps = _BUILDERS[section.name](self, section, number)
            self.layers.append(layer)
            self.sources.append(sources)
            self.maps[number] = maps
        self.head = self._region(last, self.maps[len(body) - 1])

    def convolution(self, section: Section, number: int) -> _Built:
        """[convolutional]"""
        before = self.maps[number - 1]
        filters = section.whole("filters", 1, least=1)
        size = section.whole("size", 1, least=1, most=31)
        stride = section.whole("stride", 1, least=1, most=8)
        groups = section.whole("groups", 1, least=1)
        padding = section.whole("padding", 0, most=31)
        padding = size // 2 if section.whole("pad", 0) else padding
        normalized = bool(section.whole("batch_normalize", 0))
        if before.channels % groups or filters % groups:
            raise section.refuse(
                f"groups={groups} does not divide {before.channels} channels and {filters} filters"
            )
        self.weights += before.channels // groups * filters * size * size
        if self.weights > _MAX_WEIGHTS:
            raise section.refuse(f"the network has more than {_MAX_WEIGHTS:,} weights")
        layers: list[nn.Module] = [
            nn.Conv2d(
                before.channels, filters, size, stride, padding, groups=groups, bias=not normalized
            )
        ]
        layers += [nn.BatchNorm2d(filters)] if normalized else []
        layers.append(_activation(section, "logistic"))
        return nn.Sequential(*layers), (number - 1,), _Maps(filters, before.stride * stride)

    def pooling(self, section: Section, number: int) -> _Built:
        """[maxpool]: as many pixels are added as keep the side without a stride."""
        stride = section.whole("stride", 1, least=1, most=8)
        size = section.whole("size", stride, least=1, most=31)
        if section.whole("padding", size - 1) != size - 1:
            raise section.refuse(f"padding= other than size - 1 = {size - 1} is not known")
        before = self.maps[number - 1]
        layer: nn.Module
        if size % 2:
            layer = nn.MaxPool2d(size, stride, padding=size // 2)
        elif (size, stride) == (2, 2):
            layer = nn.MaxPool2d(2, 2, ceil_mode=True)
        elif (size, stride) == (2, 1):
            layer = PoolInPlace()
        else:
            raise section.refuse(f"size={size} with stride={stride} is not known")
        return layer, (number - 1,), _Maps(before.channels, before.stride * stride)

    def route(self, section: Section, number: int) -> _Built:
        """[route]"""
        sources = tuple(
            self._layer(section, "layers", place, number) for place in section.wholes("layers")
        )
        strides = {self.maps[source].stride for source in sources}
        if len(strides) > 1:
            raise section.refuse("the layers that are joined differ in their sides", "layers")
        channels = sum(self.maps[source].channels for source in sources)
        return Concatenation(), sources, _Maps(channels, strides.pop())

    def reorg(self, section: Section, number: int) -> _Built:
        """[reorg]"""
        before = self.maps[number - 1]
        if section.whole("stride", 1) != 2 or section.whole("reverse", 0):
            raise section.refuse("only stride=2 forwards is known")
        if before.channels % GROUP:
            raise section.refuse(f"{before.channels} channels are not a multiple of {GROUP}")
        return Reorg(), (number - 1,), _Maps(before.channels * GROUP, before.stride * 2)

    def shortcut(self, section: Section, number: int) -> _Built:
        """[shortcut]"""
        other = self._layer(section, "from", section.whole("from", least=-9999), number)
        if self.maps[other] != self.maps[number - 1]:
            raise section.refuse("the layers that are added differ in their shapes", "from")
        addition = Addition(_activation(section, "linear"))
        return addition, (number - 1, other), self.maps[other]

    def dropout(self, section: Section, number: int) -> _Built:
        """[dropout]"""
        share = section.number("probability", 0.5)
        if share >= 1:
            raise section.refuse(f"probability={share:g} leaves nothing", "probability")
        return nn.Dropout(share), (number - 1,), self.maps[number - 1]

    def _layer(self, section: Section, option: str, place: int, number: int) -> int:
        """The number of the layer at `place`: from 0, or counted back from here."""
        source = number + place if place < 0 else place
        if not 0 <= source < number:
            raise section.refuse(f"{option}={place} is no layer before this one", option)
        return source

    def _region(self, section: Section, maps: _Maps) -> RegionHead:
        if "tree" in section.options or not section.whole("softmax", 0):
            raise section.refuse("only classes that exclude each other (softmax=1) are known")
        classes = section.whole("classes", 20, least=1)
        count = section.whole("num", 1, least=1, most=MAX_ANCHORS)
        sides = section.numbers("anchors")
        if len(sides) != 2 * count or not all(sides):
            raise section.refuse(
                f"num={count} anchors are {2 * count} sides above 0, not {len(sides)}", "anchors"
            )
        if section.whole("coords", 4) != 4 or maps.channels != count * (5 + classes):
            raise section.refuse(
                f"{count} anchors and {classes} classes need {count * (5 + classes)} filters in "
                f"the layer before, which has {maps.channels}"
            )
        return RegionHead(
            classes=classes,
            stride=maps.stride,
            anchors=tuple(zip(sides[::2], sides[1::2], strict=True)),
            object_scale=section.number("object_scale", 1),
            noobject_scale=section.number("noobject_scale", 1),
            class_scale=section.number("class_scale", 1),
            coord_scale=section.number("coord_scale", 1),
            thresh=section.number("thresh", 0.5),
            rescore=bool(section.whole("rescore", 0)),
        )


_Built = tuple[nn.Module, tuple[int, ...], _Maps]

_BUILDERS: dict[str, Callable[[_Plan, Section, int], _Built]] = {
    "convolutional": _Plan.convolution,
    "conv": _Plan.convolution,
    "maxpool": _Plan.pooling,
    "max": _Plan.pooling,
    "route": _Plan.route,
    "reorg": _Plan.reorg,
    "shortcut": _Plan.shortcut,
    "dropout": _Plan.dropout,
}


def _activation(section: Section, default: str) -> nn.Module:
    name = section.text("activation", default)
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise section.refuse(f'activation "{name}" is not known, known are {known}', "activation")
    return _ACTIVATIONS[name]()
