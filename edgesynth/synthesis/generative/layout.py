"""From a choice of genes to the edits of a network, and the network itself.

Structure comes first (modules left out, separable and grouped convolutions, kernels), then the
channels of what is left are traced again and every family of clusters gets its new number.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from edgesynth.core.network import Edit
from edgesynth.hardware.counting import count
from edgesynth.networks.edits import apply_edits
from edgesynth.networks.narrow import is_depthwise, widths
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, Labels, trace_channels
from edgesynth.synthesis.generative.anatomy import bones_of, refitting
from edgesynth.synthesis.generative.space import Space, Value
from edgesynth.synthesis.rounding import cluster_multiple, rounded

Sources = npt.NDArray[np.int64]
"""Of each new channel the old one that it inherits from, -1 for one that is new."""

_MOST_STRUCTURES = 512


@dataclass
class Layout:
    """What becomes of a prototype under one choice."""

    structure: list[Edit] = field(default_factory=list)
    sizes: list[Edit] = field(default_factory=list)
    inputs: dict[str, Sources] = field(default_factory=dict)
    """Layer -> where its input channels come from."""
    outputs: dict[str, Sources] = field(default_factory=dict)
    """Layer, normalization or PReLU -> where its output channels come from."""
    maps: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Layer behind a flatten whose maps have another size than the prototype's -> channels, and
    inputs of the layer before any width was changed."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        return (*self.structure, *self.sizes)


@dataclass(frozen=True)
class Structure:
    """A prototype after its structure was edited, before any width was."""

    module: nn.Module
    refits: list[Edit]
    channels: ChannelMap
    pixels: dict[str, int]
    """Convolution or linear layer -> values of one output channel, over all of its runs."""
    other_params: int
    other_macs: int
    """Of what is no layer with channels."""
    ranks: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    """Producers of a family -> its clusters, the strongest first."""


@dataclass(frozen=True)
class Figures:
    """What a laid-out network costs, counted without making it."""

    params: int
    macs: int
    layers: int
    """Convolutions and linear layers: kernels that are launched, nearly."""


class Drawing:
    """Lays networks of one space out; what several choices share is worked out once."""

    def __init__(self, prototype: Network, space: Space) -> None:
        self._prototype, self._space = prototype, space
        self._bones, self._example = bones_of(prototype)
        self._structures: dict[tuple[Edit, ...], Structure] = {}

    def lay_out(self, choice: Mapping[str, Value]) -> Layout:
        """The layout of `choice`; families give their strongest clusters on.

        A choice without any gene is the prototype itself.
        """
        groups: dict[str, int] = {}
        genes = _by_stage(self._space, choice) if choice else {}
        wanted = _structure(self._space, genes, groups) if choice else []
        known = self._structure(wanted)
        layout = Layout([*wanted, *known.refits])
        kept = self._families(known, genes, groups) if choice else {}
        for name in {edit.layer for edit in known.refits} & known.channels.inputs.keys():
            labels = known.channels.inputs[name]
            layout.maps[name] = len(np.unique(labels)), len(labels)
        for name, labels in known.channels.outputs.items():
            layout.inputs[name] = carried(known.channels.inputs[name], kept)
            layout.outputs[name] = carried(labels, kept)
        for name, labels in known.channels.followers.items():
            layout.outputs[name] = carried(labels, kept)
        layout.sizes = _sizes(known.module, layout, groups)
        return layout

    def figures(self, layout: Layout) -> Figures:
        """What the network of `layout` costs; the same that `hardware.counting` finds."""
        known = self._structure(layout.structure)
        layers = dict(known.module.named_modules())
        groups = {edit.layer: edit.groups for edit in layout.sizes if edit.groups}
        params, macs = known.other_params, known.other_macs
        for name, outputs in layout.outputs.items():
            layer, inputs = layers[name], layout.inputs.get(name)
            count_in = 0 if inputs is None else len(inputs)
            own = _costs(layer, count_in, len(outputs), groups.get(name), known.pixels.get(name, 0))
            params, macs = params + own[0], macs + own[1]
        return Figures(params, macs, len(known.channels.outputs))

    def _structure(self, edits: list[Edit]) -> Structure:
        key = tuple(edit for edit in edits if edit.inputs is None)  # what refitting found is not
        if key not in self._structures:
            module = copy.deepcopy(self._bones)
            apply_edits(module, key)
            pixels: dict[str, int] = {}
            with _counting_pixels(module, pixels), refitting(module) as refits, torch.no_grad():
                module(self._example)
            channels = trace_channels(module, self._example, on_values=True)
            whole = count(module, self._prototype.description.input_shape)
            params, macs = whole.params, whole.macs
            for name, (wide_in, wide_out) in _widths(channels).items():
                layer = module.get_submodule(name)
                own = _costs(layer, wide_in, wide_out, None, pixels.get(name, 0))
                params, macs = params - own[0], macs - own[1]
            bare = module.to("meta")  # its sizes are wanted, not its values
            if len(self._structures) == _MOST_STRUCTURES:
                del self._structures[next(iter(self._structures))]
            self._structures[key] = Structure(bare, list(refits), channels, pixels, params, macs)
        return self._structures[key]

    def _families(
        self, known: Structure, genes: dict[int, dict[str, Value]], groups: dict[str, int]
    ) -> dict[int, list[int]]:
        """Cluster -> what stands in its place: itself, nothing, or itself and new ones (-1)."""
        channels, layers = known.channels, dict(known.module.named_modules())
        replaced: dict[int, list[int]] = {}
        for producers, labels in channels.families():
            stage, inner = self._role(producers)
            if stage is None:
                continue
            factor = float(genes[stage].get("width", 1.0))
            factor *= float(genes[stage].get("expansion", 1.0)) if inner else 1.0
            multiple = cluster_multiple(channels, producers, labels, self._space.round_to)
            for name, divisor in groups.items():
                if _touches(channels, name, labels):
                    multiple = math.lcm(multiple, divisor)
            number = rounded(round(factor * len(labels)), 1 << 16, multiple)
            if self._grouped_already(layers, channels, labels):
                number = min(number, len(labels))
            if producers not in known.ranks:
                known.ranks[producers] = self._strongest(producers, channels, labels)
            strongest = known.ranks[producers]
            living = {int(label) for label in strongest[:number]}
            extra = number - len(living)
            for label in labels.tolist():
                replaced[label] = [label] if label in living else []
            if extra > 0:
                replaced[int(labels[-1])] += [-1] * extra
        return replaced

    def _role(self, producers: tuple[str, ...]) -> tuple[int | None, bool]:
        """Stage and whether the width is an inner one; of a separable layer, its own."""
        for producer in producers:
            name = producer
            if name not in self._space.stages:
                name = producer.rpartition(".")[0]
            if name in self._space.stages:
                return self._space.stages[name], name in self._space.inner
        return None, False

    def _strongest(
        self, producers: tuple[str, ...], channels: ChannelMap, labels: Labels
    ) -> list[int]:
        """Clusters of a family by the weights that make them in the prototype, strongest first."""
        values = dict(self._prototype.module.named_modules())
        strength = dict.fromkeys(labels.tolist(), 0.0)
        for name in producers:
            layer = values.get(name)
            if layer is None or widths(layer) is None:  # a separable layer's: no weights yet
                layer = values.get(name.rpartition(".")[0])
            if layer is None or len(channels.outputs[name]) != (widths(layer) or (0, 0))[1]:
                continue
            weight = layer.get_parameter("weight").detach()
            rows = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
            norms = rows.flatten(1).norm(dim=1) / (rows[0].numel() ** 0.5)
            for label, norm in zip(channels.outputs[name].tolist(), norms.tolist(), strict=True):
                if label in strength:
                    strength[label] += norm
        return sorted(strength, key=lambda label: (-strength[label], label))

    @staticmethod
    def _grouped_already(
        layers: Mapping[str, nn.Module], channels: ChannelMap, labels: Labels
    ) -> bool:
        """Whether a grouped convolution of the prototype reads or makes the family: it can become
        narrower, but not wider."""
        return any(
            getattr(layers[name], "groups", 1) > 1
            and not is_depthwise(layers[name])
            and _touches(channels, name, labels)
            for name in channels.outputs
        )


def _by_stage(space: Space, choice: Mapping[str, Value]) -> dict[int, dict[str, Value]]:
    genes: dict[int, dict[str, Value]] = {stage: {} for stage in range(len(space.sides))}
    for gene in space.genes:
        genes[gene.stage][gene.kind] = choice[gene.name]
    return genes


def _structure(
    space: Space, genes: dict[int, dict[str, Value]], groups: dict[str, int]
) -> list[Edit]:
    """Edits of depth, kernels and separable layers; fills in `groups` for grouped ones."""
    skipped: list[str] = []
    for stage, own in genes.items():
        mine = [name for name, at in space.units.items() if at == stage]
        for unit in mine[int(own.get("depth", len(mine))) :]:
            skipped += [unit, *([space.companions[unit]] if unit in space.companions else [])]
    silent = [name for name, at in space.branches.items() if not genes[at].get("branch", 1)]
    edits = [Edit(name, skip=True) for name in skipped]
    edits += [Edit(name, mute=True) for name in silent]
    for name, stage in space.stages.items():
        if any(name == gone or name.startswith(gone + ".") for gone in (*skipped, *silent)):
            continue
        side = space.kernels.get(name)
        wanted = int(genes[stage].get("kernel", side or 0))
        if side is not None and wanted != side:
            edits.append(Edit(name, kernel=wanted))
        grouping = genes[stage].get("grouping", 1)
        if name in space.groupable and wanted != 1:
            if grouping == "separable":
                edits.append(Edit(name, separable=True))
            elif int(grouping) > 1:
                groups[name] = int(grouping)
    return edits


def _widths(channels: ChannelMap) -> dict[str, tuple[int, int]]:
    """Layer, normalization or PReLU -> its input channels (0 for those with one side), outputs."""
    sizes = {name: (0, len(labels)) for name, labels in channels.followers.items()}
    return sizes | {
        name: (len(channels.inputs[name]), len(labels)) for name, labels in channels.outputs.items()
    }


def _costs(
    layer: nn.Module, inputs: int, outputs: int, groups: int | None, pixels: int
) -> tuple[int, int]:
    """Parameters and MACs of `layer` with so many channels, `pixels` values of each output."""
    if not inputs:  # a normalization or PReLU
        return outputs * len(list(layer.parameters(recurse=False))), 0
    window = math.prod(getattr(layer, "kernel_size", (1,)))
    groups = inputs if is_depthwise(layer) else groups or int(getattr(layer, "groups", 1))
    weights = inputs // groups * outputs * window
    if isinstance(layer, nn.ConvTranspose2d):  # every pixel of the input meets one filter
        pixels = pixels // math.prod(layer.stride)
    biases = 0 if getattr(layer, "bias", None) is None else outputs
    return weights + biases, weights * pixels


@contextmanager
def _counting_pixels(module: nn.Module, pixels: dict[str, int]) -> Iterator[None]:
    """Fills in `pixels` while `module` runs, see `Structure`."""

    def note(name: str) -> Callable[..., None]:
        def add(layer: nn.Module, _: object, output: torch.Tensor) -> None:
            wide_out = (widths(layer) or (0, 1))[1]
            pixels[name] = pixels.get(name, 0) + output.numel() // max(wide_out, 1)

        return add

    handles = [
        layer.register_forward_hook(note(name))
        for name, layer in module.named_modules()
        if isinstance(layer, _ConvNd | nn.Linear)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _touches(channels: ChannelMap, layer: str, labels: Labels) -> bool:
    family = set(labels.tolist())
    sides = (channels.inputs[layer], channels.outputs[layer])
    return any(family & set(side.tolist()) for side in sides)


def carried(labels: Labels, replaced: Mapping[int, list[int]]) -> Sources:
    """The channels of one side of a layer after its clusters were replaced, as places before.

    A new cluster comes behind the last one of its family, and as often as that one in a row: a
    flatten repeats a cluster for every pixel, a concatenation has others behind it.
    """
    sources: list[int] = []
    place = 0
    while place < len(labels):
        label = int(labels[place])
        run = 1
        while place + run < len(labels) and labels[place + run] == label:
            run += 1
        for stand_in in replaced.get(label, [label]):
            sources += [-1] * run if stand_in < 0 else range(place, place + run)
        place += run
    return np.array(sources, dtype=np.int64)


def _sizes(module: nn.Module, layout: Layout, groups: Mapping[str, int]) -> list[Edit]:
    """One edit for every layer whose channels change in number."""
    layers = dict(module.named_modules())
    edits = []
    for name, outputs in layout.outputs.items():
        layer, inputs = layers[name], layout.inputs.get(name)
        wide_in, wide_out = widths(layer) or (0, 0)
        count_in = wide_in if inputs is None else len(inputs)
        grouped = len(inputs) if inputs is not None and is_depthwise(layer) else groups.get(name)
        if (count_in, len(outputs)) == (wide_in, wide_out) and grouped in (
            None, getattr(layer, "groups", 1),
        ):  # fmt: skip
            continue
        edits.append(
            Edit(
                name,
                inputs=None if inputs is None else len(inputs),
                outputs=len(outputs),
                groups=grouped,
            )
        )
    return edits
