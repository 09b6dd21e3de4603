"""What a network is made of, as a generator sees it: stages, and what can be changed in each.

The network runs once. Layers whose output has the same height and width are one stage. A module
that gives back the shape it was given can be left out; what does not run without it, stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgesynth.core.network import Edit
from edgesynth.hardware.counting import count
from edgesynth.networks.edits import apply_edits
from edgesynth.networks.narrow import is_depthwise, widths
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, trace_channels
from edgesynth.synthesis.skeleton import LOOKS_AT_VALUES, skeleton

SMALL_MACS = 200_000_000
"""Up to here a network is run as it is to see its shapes."""


@dataclass
class Anatomy:
    """One network, taken apart."""

    bones: nn.Module
    """Without values where it runs so, else a copy."""
    example: torch.Tensor
    """An input of `bones`, one image."""
    given: object
    """Shapes of the outputs."""
    channels: ChannelMap
    stages: dict[str, int] = field(default_factory=dict)
    """Convolution or linear layer -> its stage, in the order in which they run."""
    sides: list[tuple[int, int]] = field(default_factory=list)
    """Stage -> height and width of what its layers give; (1, 1) for linear layers."""
    units: dict[str, int] = field(default_factory=dict)
    """Module that can be left out -> its stage, in the order in which they run."""
    companions: dict[str, str] = field(default_factory=dict)
    """Unit -> the normalization behind it, which goes with it."""
    branches: dict[str, int] = field(default_factory=dict)
    """Module without which an addition keeps a side -> its stage: a shortcut."""

    def runs_with(self, edits: list[Edit]) -> bool:
        """Whether the network still runs, and gives what it gave in shape."""
        module = copy.deepcopy(self.bones)
        try:
            apply_edits(module, edits)
            with refitting(module), torch.no_grad():
                return _shapes(module(self.example)) == self.given
        except (RuntimeError, ValueError, IndexError, TypeError):
            return False

    def without(self, unit: str) -> list[Edit]:
        """The edits that leave `unit` out."""
        names = [unit, *([self.companions[unit]] if unit in self.companions else [])]
        return [Edit(name, skip=True) for name in names]

    def convolutions(self, stage: int) -> dict[str, nn.Conv2d]:
        """Those of `stage` that have a window and are neither grouped nor transposed."""
        layers = dict(self.bones.named_modules())
        found = {name: layers[name] for name, own in self.stages.items() if own == stage}
        return {
            name: layer
            for name, layer in found.items()
            if type(layer) is nn.Conv2d and layer.groups == 1 and min(layer.kernel_size) > 1
        }


def anatomy_of(network: Network) -> Anatomy:
    """Take `network` apart; it stays as it was."""
    bones, example = bones_of(network)
    with torch.no_grad():
        given = _shapes(bones(example))
    found = Anatomy(bones, example, given, trace_channels(bones, example, on_values=True))
    runs = _watch(bones, example)
    _find_stages(found, runs)
    _find_units(found, runs)
    _find_branches(found, runs)
    return found


def bones_of(network: Network) -> tuple[nn.Module, torch.Tensor]:
    """A copy of the module and an input of it, one image.

    A large network goes without values, where it runs so; a small one runs faster with them.
    """
    example = network.example_input()
    if count(network.module, network.description.input_shape).macs <= SMALL_MACS:
        return copy.deepcopy(network.module).eval(), example
    bones, example = skeleton(network.module).eval(), example.to("meta")
    try:
        with torch.no_grad():
            bones(example)
    except LOOKS_AT_VALUES:
        return copy.deepcopy(network.module).eval(), network.example_input()
    return bones, example


@dataclass
class _Run:
    """What went into a module and what came out, when it ran once with one tensor each."""

    taken: tuple[int, ...] | None
    given: tuple[int, ...] | None
    times: int = 1
    source: object = None
    result: object = None
    """What went in and came out; kept, so that it can be told apart."""


def _watch(module: nn.Module, example: torch.Tensor) -> dict[str, _Run]:
    """Every module that ran, by name, in the order in which they began."""
    runs: dict[str, _Run] = {}

    def before(name: str) -> Callable[..., None]:
        def note(_: nn.Module, inputs: tuple[object, ...]) -> None:
            if name in runs:
                runs[name].times += 1
            else:
                only = inputs[0] if len(inputs) == 1 else None
                runs[name] = _Run(_shape(only), None, source=only)

        return note

    def after(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: object, output: object) -> None:
            runs[name].given, runs[name].result = _shape(output), output

        return note

    handles = []
    for name, part in module.named_modules():
        handles.append(part.register_forward_pre_hook(before(name)))
        handles.append(part.register_forward_hook(after(name)))
    try:
        with torch.no_grad():
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    return runs


def _find_stages(found: Anatomy, runs: dict[str, _Run]) -> None:
    for name, run in runs.items():
        if name in found.channels.outputs and run.given is not None:
            side = (run.given[2], run.given[3]) if len(run.given) == 4 else (1, 1)
            if side not in found.sides:
                found.sides.append(side)
            found.stages[name] = found.sides.index(side)


def _find_units(found: Anatomy, runs: dict[str, _Run]) -> None:
    modules = dict(found.bones.named_modules())
    order = list(runs)

    def candidate(name: str) -> bool:
        run = runs.get(name)
        return (
            run is not None
            and run.times == 1
            and run.taken is not None
            and run.taken == run.given
            and any(layer in found.stages for layer in _inside(name, found.stages))
            and found.runs_with([Edit(name, skip=True)])
        )

    def look(name: str) -> Iterator[str]:
        children = [f"{name}.{each}".lstrip(".") for each, _ in modules[name].named_children()]
        weighted = [child for child in children if list(_inside(child, found.stages))]
        if name and candidate(name):
            apart = len(weighted) > 1 and isinstance(modules[name], nn.Sequential)
            if not (apart and all(map(candidate, weighted))):
                yield name
                return
        for child in weighted:
            yield from look(child)

    for name in sorted(look(""), key=order.index):
        first = next(iter(_inside(name, found.stages)))
        found.units[name] = found.stages[first]
        for other, run in runs.items():
            if isinstance(modules[other], _BatchNorm) and run.source is runs[name].result:
                found.companions[name] = other


def _find_branches(found: Anatomy, runs: dict[str, _Run]) -> None:
    """Shortcuts and other sides of additions that can be silent, all at once and without units."""
    modules = dict(found.bones.named_modules())
    chosen = [edit for name in found.units for edit in found.without(name)]

    def look(name: str) -> None:
        for child, _ in modules[name].named_children():
            full = f"{name}.{child}".lstrip(".")
            layers = list(_inside(full, found.stages))
            if not layers or full in found.units or full not in runs:
                continue
            mute = Edit(full, mute=True)
            if (
                runs[full].times == 1
                and found.runs_with([mute])
                and found.runs_with([*chosen, mute])
            ):
                chosen.append(mute)
                found.branches[full] = found.stages[layers[0]]
            else:
                look(full)

    look("")


def _inside(name: str, layers: dict[str, int]) -> Iterator[str]:
    """The layers that `name` is or holds."""
    return (layer for layer in layers if layer == name or layer.startswith(name + "."))


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None


def _shapes(value: object) -> object:
    """Shapes of everything inside nested tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        return [_shapes(each) for each in value.values()]
    if isinstance(value, (tuple, list)):
        return [_shapes(each) for each in value]
    return None


@contextmanager
def refitting(module: nn.Module) -> Iterator[list[Edit]]:
    """Linear layers take as many inputs as come, while `module` runs; yields the edits that say so.

    Another kernel without padding leaves other feature maps to be flattened.
    """
    edits: list[Edit] = []

    def fit(name: str) -> Callable[..., None]:
        def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            assert isinstance(layer, nn.Linear)  # noqa: S101 (hooks are put on no other)
            came = inputs[0].shape[-1]
            if came != layer.in_features and inputs[0].dim() == 2:
                edits.append(Edit(name, inputs=came))
                layer.in_features = came
                empty = torch.zeros(layer.out_features, came, device=layer.weight.device)
                layer.weight = nn.Parameter(empty)

        return note

    handles = [
        layer.register_forward_pre_hook(fit(name))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        yield edits
    finally:
        for handle in handles:
            handle.remove()


def inner_layers(found: Anatomy) -> list[str]:
    """Layers whose width is an inner one: of a bottleneck or an expansion, not of the feature maps
    that a stage hands on.

    In a stage with residual additions that is what no addition ties; elsewhere, a 1 x 1 convolution
    to fewer channels.
    """
    layers = dict(found.bones.named_modules())
    tied = _tied_by_additions(found, layers)
    trunks = {found.stages[name] for name in tied if name in found.stages}
    inner = []
    for name, stage in found.stages.items():
        layer = layers[name]
        wide_in, wide_out = widths(layer) or (0, 0)
        squeezes = type(layer) is nn.Conv2d and max(layer.kernel_size) == 1 and wide_out < wide_in
        if (name not in tied) if stage in trunks else squeezes:
            inner.append(name)
    return inner


def _tied_by_additions(found: Anatomy, layers: dict[str, nn.Module]) -> set[str]:
    """Layers that share an output cluster with another layer which is not depthwise."""
    tied: set[str] = set()
    for producers, _ in found.channels.families():
        dense = [name for name in producers if not is_depthwise(layers[name])]
        if len(dense) > 1:
            tied.update(producers)
    return tied
