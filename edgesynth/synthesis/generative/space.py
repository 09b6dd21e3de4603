"""The search space of a prototype: which genes it has, and what each may be.

A network of the space is a *choice*: one value per gene. A point of the unit cube, one coordinate
per gene, stands for a choice; generators and rival searches all work on such points.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.network import Edit
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.anatomy import Anatomy, anatomy_of, inner_layers

Point = npt.NDArray[np.float64]
"""One coordinate per gene, each in [0, 1]."""
Value = float | int | str
KERNELS = (1, 3, 5)
GROUPINGS: tuple[Value, ...] = (1, 2, 4, "separable")


class Gene(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one coordinate stands for. Either a range or options."""

    name: str
    """`s2.width`: stage and kind."""
    stage: int
    kind: str
    """`width`, `expansion`, `depth`, `branch`, `kernel`, `grouping` or `precision`."""
    low: float = 0.0
    high: float = 0.0
    """Of a range, which is logarithmic: times the prototype's own."""
    options: tuple[Value, ...] = ()

    def value(self, coordinate: float) -> Value:
        """What `coordinate` in [0, 1] means."""
        u = min(max(float(coordinate), 0.0), 1.0)
        if self.options:
            return self.options[min(int(u * len(self.options)), len(self.options) - 1)]
        return float(round(self.low * (self.high / self.low) ** u, 4))

    def coordinate(self, value: Value) -> float:
        """A coordinate that means `value`."""
        if self.options:
            return (self.options.index(value) + 0.5) / len(self.options)
        share = np.log(float(value) / self.low) / np.log(self.high / self.low)
        return float(np.clip(share, 0.0, 1.0))


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All networks that a generator may make of one prototype."""

    genes: tuple[Gene, ...]
    stages: dict[str, int]
    """Convolution or linear layer -> stage, counted from 0."""
    sides: tuple[tuple[int, int], ...]
    """Stage -> height and width of its feature maps."""
    inner: tuple[str, ...]
    """Layers whose width follows `expansion` on top of `width`."""
    units: dict[str, int]
    """Module that can be left out -> stage, in the order in which they run."""
    companions: dict[str, str]
    """Unit -> the normalization that goes with it."""
    branches: dict[str, int]
    """Module without which an addition keeps a side -> stage."""
    kernels: dict[str, int]
    """Layer whose kernel can be changed -> its own."""
    groupable: tuple[str, ...]
    """Layers that can be grouped or made separable."""
    round_to: int
    """Channels come in multiples of this."""

    def choice(self, point: Sequence[float] | Point) -> dict[str, Value]:
        """The value of every gene at `point`."""
        pairs = zip(self.genes, point, strict=True)
        return {gene.name: gene.value(coordinate) for gene, coordinate in pairs}

    def point(self, choice: dict[str, Value]) -> Point:
        """A point that stands for `choice`."""
        return np.array([gene.coordinate(choice[gene.name]) for gene in self.genes])

    @property
    def smallest(self) -> Point:
        """The point of the cheapest network, or nearly."""
        cheap: dict[str, int] = {
            "grouping": -1,
            "kernel": 0,
            "depth": 0,
            "branch": 0,
            "precision": -1,
        }
        return np.array(
            [
                gene.coordinate(gene.options[cheap[gene.kind]]) if gene.options else 0.0
                for gene in self.genes
            ]
        )


class SpaceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a space is to offer."""

    vary: tuple[str, ...] = ("width", "expansion", "depth", "branch", "kernel", "grouping")
    narrowest: float = 0.1
    widest: float = 1.25
    """Times the prototype's own width."""
    round_to: int = 2
    formats: tuple[str, ...] = ()
    """Of weights, to choose from per stage; none leaves them float32."""


KINDS = ("width", "expansion", "depth", "branch", "kernel", "grouping")


def check_kinds(text: str) -> tuple[str, ...]:
    """Read `width,depth`, what `SpaceOptions.vary` may be; raises UserError for another kind."""
    kinds = tuple(each.strip() for each in text.split(","))
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f'nothing called "{kind}" can be varied; {nearest(kind, list(KINDS))}')
    return kinds


def derive_space(prototype: Network, options: SpaceOptions | None = None) -> Space:
    """The space of `prototype`: what can be changed is found by running it; the rest stays.

    Raises UserError when nothing can be changed.
    """
    options = options or SpaceOptions()
    found = anatomy_of(prototype)
    kernels = _kernels(found) if "kernel" in options.vary else {}
    groupable = _groupable(found) if "grouping" in options.vary else ()
    units = found.units if "depth" in options.vary else {}
    branches = found.branches if "branch" in options.vary else {}
    changeable = {
        name for producers, _ in found.channels.families() for name in producers
    } & found.stages.keys()
    inner = tuple(name for name in inner_layers(found) if name in changeable)
    genes: list[Gene] = []
    for stage in range(len(found.sides)):
        here = [name for name in changeable if found.stages[name] == stage]
        genes += _widths(stage, here, inner, options)
        genes += _structure(stage, found, units, kernels, groupable)
        if stage in branches.values():
            genes.append(Gene(f"s{stage + 1}.branch", stage, "branch", options=(0, 1)))
        if options.formats and stage in found.stages.values():
            genes.append(Gene(f"s{stage + 1}.precision", stage, "precision",
                              options=options.formats))  # fmt: skip
    genes = [gene for gene in genes if not gene.options or len(gene.options) > 1]
    if not genes:
        raise UserError(f"{prototype.name}: nothing in it can be changed; every layer is tied to "
                        "its output or to a function that is not known")  # fmt: skip
    return Space(
        genes=tuple(genes),
        stages=dict(found.stages),
        sides=tuple(found.sides),
        inner=inner,
        units=dict(units),
        companions={unit: norm for unit, norm in found.companions.items() if unit in units},
        branches=dict(branches),
        kernels=kernels,
        groupable=groupable,
        round_to=options.round_to,
    )


def _widths(
    stage: int, here: list[str], inner: tuple[str, ...], options: SpaceOptions
) -> list[Gene]:
    low, high = options.narrowest, options.widest
    genes = []
    if here and "width" in options.vary:
        genes.append(Gene(f"s{stage + 1}.width", stage, "width", low, high))
    both = {name in inner for name in here} == {True, False}
    if both and "expansion" in options.vary:
        genes.append(Gene(f"s{stage + 1}.expansion", stage, "expansion", 0.25, 2.0))
    return genes


def _structure(
    stage: int,
    found: Anatomy,
    units: dict[str, int],
    kernels: dict[str, int],
    groupable: tuple[str, ...],
) -> list[Gene]:
    """The genes of depth, kernel and grouping; options with which nothing runs are left out."""
    prefix, genes = f"s{stage + 1}.", []
    mine = [name for name, own in units.items() if own == stage]
    depths = [
        kept
        for kept in range(len(mine) + 1)
        if found.runs_with([edit for name in mine[kept:] for edit in found.without(name)])
    ]
    genes.append(Gene(prefix + "depth", stage, "depth", options=tuple(depths)))
    windows = [name for name in kernels if found.stages[name] == stage]
    own = {kernels[name] for name in windows}
    sides = [
        side
        for side in sorted({*KERNELS, *own})
        if side in own or found.runs_with([Edit(name, kernel=side) for name in windows])
    ]
    genes.append(Gene(prefix + "kernel", stage, "kernel", options=tuple(sides if windows else ())))
    if any(found.stages[name] == stage for name in groupable):
        genes.append(Gene(prefix + "grouping", stage, "grouping", options=GROUPINGS))
    return [gene for gene in genes if gene.options]


def _kernels(found: Anatomy) -> dict[str, int]:
    """Layers with the most common square window of their stage, and its side."""
    sides: dict[str, int] = {}
    for stage in range(len(found.sides)):
        square = {
            name: layer.kernel_size[0]
            for name, layer in found.convolutions(stage).items()
            if layer.kernel_size[0] == layer.kernel_size[1] and layer.kernel_size[0] % 2
            and not isinstance(layer.padding, str)
        }  # fmt: skip
        common = Counter(square.values()).most_common(1)
        sides |= {name: side for name, side in square.items() if common and side == common[0][0]}
    return {name: sides[name] for name in found.stages if name in sides}


def _groupable(found: Anatomy) -> tuple[str, ...]:
    """Dense convolutions with a window whose inputs and outputs are both free."""
    names = []
    for name in found.stages:
        if name not in found.convolutions(found.stages[name]):
            continue
        labels = {*found.channels.inputs[name].tolist(), *found.channels.outputs[name].tolist()}
        if not labels & found.channels.frozen:
            names.append(name)
    return tuple(names)


def identity_of(choice: dict[str, Value]) -> str:
    """A short name of `choice`, the same for the same values."""
    text = msgspec.json.encode(dict(sorted(choice.items())))
    return hashlib.sha256(text).hexdigest()[:12]
