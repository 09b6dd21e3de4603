"""The search space of any network: what it offers, and that all that it offers runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Edit
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.export.session import Session
from edgesynth.hardware.counting import count
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.generative.inherit import fit_window, grow
from edgesynth.synthesis.generative.layout import Drawing
from edgesynth.synthesis.generative.space import (
    Gene,
    Space,
    SpaceOptions,
    check_kinds,
    derive_space,
    identity_of,
)
from small_networks import ALL, Mobile, Plain, Residual, network

SPECS = ("lenet5", "resnet20:width=0.5", "yolov2:width=0.0625")


def zoo(spec: str) -> Network:
    torch.manual_seed(0)
    side = {"lenet5": 28, "yolov2": 32}.get(spec.partition(":")[0], 8)
    return resolve(spec, input_shape=(1, side, side))


PROTOTYPES = [*(network(kind) for kind in ALL), *map(zoo, SPECS)]


@pytest.fixture(scope="module", params=PROTOTYPES, ids=lambda each: each.name)
def derived(request: pytest.FixtureRequest) -> tuple[Network, Space, Drawing]:
    space = derive_space(request.param)
    return request.param, space, Drawing(request.param, space)


def test_every_network_of_the_space_runs_and_costs_what_was_counted(derived) -> None:
    prototype, space, drawing = derived
    random = np.random.default_rng(1)
    corners = [space.smallest, np.ones(len(space.genes))]
    for point in [*corners, random.random(len(space.genes))]:
        layout = drawing.lay_out(space.choice(point))
        made = grow(prototype, layout, seed=0)
        cost = count(made.module, prototype.description.input_shape)
        figures = drawing.figures(layout)
        assert (cost.params, cost.macs) == (figures.params, figures.macs)
        assert made.description.edits == layout.edits


def test_the_prototypes_own_choice_gives_the_prototype(derived) -> None:
    prototype, space, drawing = derived
    values = drawing.lay_out({}), drawing.lay_out(own_choice(space))
    image = torch.randn(2, *prototype.description.input_shape)
    prototype.module.eval()
    assert values[0].edits == ()
    if prototype.name not in ("inception", "plain"):  # odd widths become even
        assert values[1].edits == ()
    same = grow(prototype, values[0], seed=0)
    assert torch.equal(same.module(image), prototype.module(image))


def own_choice(space: Space) -> dict:
    own: dict = {"grouping": lambda gene: 1, "branch": lambda gene: 1}
    own["depth"] = lambda gene: gene.options[-1]
    own["kernel"] = lambda gene: next(
        side for name, side in space.kernels.items() if space.stages[name] == gene.stage
    )
    return {gene.name: own[gene.kind](gene) if gene.options else 1.0 for gene in space.genes}


def test_stages_and_genes_of_a_residual_network() -> None:
    space = derive_space(zoo("resnet20:width=0.5"))
    assert space.sides == ((8, 8), (4, 4), (2, 2), (1, 1))
    kinds = [gene.name for gene in space.genes]
    assert kinds == [
        f"s{stage}.{kind}"
        for stage in (1, 2, 3)
        for kind in ("width", "expansion", "depth", "kernel", "grouping", "branch")
        if (stage, kind) != (1, "branch")
    ]
    assert space.branches == {"layer2.0.downsample": 1, "layer3.0.downsample": 2}
    assert space.companions == {"layer2.0.conv2": "layer2.0.bn2", "layer3.0.conv2": "layer3.0.bn2"}
    assert list(space.units)[:4] == ["layer1.0", "layer1.1", "layer1.2", "layer2.0.conv2"]
    assert "layer1.0.conv1" in space.inner and "layer1.0.conv2" not in space.inner


def test_blocks_are_left_out_from_the_last_one_on() -> None:
    prototype = zoo("resnet20:width=0.5")
    space = derive_space(prototype, SpaceOptions(vary=("depth",)))
    choice = {"s1.depth": 1, "s2.depth": 3, "s3.depth": 0}
    layout = Drawing(prototype, space).lay_out(choice)
    gone = [edit.layer for edit in layout.edits if edit.skip]
    assert gone == [
        "layer1.1", "layer1.2", "layer3.0.conv2", "layer3.0.bn2", "layer3.1", "layer3.2",
    ]  # fmt: skip
    assert layout.edits == tuple(Edit(name, skip=True) for name in gone)


def test_widths_come_in_multiples() -> None:
    prototype = zoo("resnet20:width=0.5")
    space = derive_space(prototype, SpaceOptions(vary=("width", "expansion"), round_to=8))
    random = np.random.default_rng(0)
    for point in random.random((2, len(space.genes))):
        made = grow(prototype, Drawing(prototype, space).lay_out(space.choice(point)), seed=0)
        wide = [m.out_channels for m in made.module.modules() if isinstance(m, nn.Conv2d)]
        assert all(width % 8 == 0 for width in wide)


def test_narrower_networks_keep_the_strongest_filters() -> None:
    prototype = network(Plain)
    with torch.no_grad():
        prototype.module.c1.weight[[1, 5]] *= 10
    space = derive_space(prototype, SpaceOptions(vary=("width",), narrowest=0.25))
    made = grow(
        prototype,
        Drawing(prototype, space).lay_out({"s1.width": 0.25, "s2.width": 1.0, "s3.width": 1.0}),
        seed=0,
    )
    assert torch.equal(made.module.c1.weight, prototype.module.c1.weight[[1, 5]])
    assert torch.equal(made.module.c2.weight, prototype.module.c2.weight[:, [1, 5]])


def test_wider_networks_hold_the_prototype_and_fresh_filters() -> None:
    prototype = network(Residual)
    space = derive_space(prototype, SpaceOptions(vary=("width",)))
    made = grow(prototype, Drawing(prototype, space).lay_out({"s1.width": 1.25}), seed=3)
    assert made.module.stem.out_channels == 10
    assert torch.equal(made.module.stem.weight[:8], prototype.module.stem.weight)
    assert made.module.stem.weight[8:].abs().min() > 0
    again = grow(prototype, Drawing(prototype, space).lay_out({"s1.width": 1.25}), seed=3)
    other = grow(prototype, Drawing(prototype, space).lay_out({"s1.width": 1.25}), seed=4)
    assert torch.equal(again.module.stem.weight, made.module.stem.weight)
    assert not torch.equal(other.module.stem.weight, made.module.stem.weight)
    fresh = grow(
        prototype, Drawing(prototype, space).lay_out({"s1.width": 1.25}), seed=3, inherit=False
    )
    assert not torch.equal(fresh.module.stem.weight[:8], prototype.module.stem.weight)


def test_a_separable_convolution_inherits_the_nearest_weights() -> None:
    torch.manual_seed(0)
    prototype = network(Residual)
    window, mix = torch.randn(6, 3, 3), torch.randn(8, 6)
    prototype.module.outer.weight.data = mix[:, :, None, None] * window
    space = derive_space(prototype, SpaceOptions(vary=("grouping",)))
    assert space.groupable == ("inner", "outer")
    layout = Drawing(prototype, space).lay_out({"s1.grouping": "separable"})
    made = grow(prototype, layout, seed=0)
    image = torch.randn(2, 6, 12, 12)
    assert torch.allclose(made.module.outer(image), prototype.module.outer(image), atol=1e-4)


def test_a_frozen_network_is_told_so() -> None:
    single = network(Plain)
    single.module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 5))
    with pytest.raises(UserError, match="nothing in it can be changed"):
        derive_space(single)


def test_what_was_grouped_never_becomes_wider() -> None:
    prototype = network(Mobile)
    space = derive_space(prototype)
    layout = Drawing(prototype, space).lay_out(space.choice(np.ones(len(space.genes))))
    assert grow(prototype, layout, seed=0).module.grouped.out_channels == 12


def test_a_narrowed_prototype_is_described_from_its_architecture_on(tmp_path: Path) -> None:
    prototype = zoo("lenet5")
    space = derive_space(prototype, SpaceOptions(vary=("width",)))
    half = {gene.name: 0.5 for gene in space.genes}
    first = grow(prototype, Drawing(prototype, space).lay_out(half), seed=0)
    again = derive_space(first, SpaceOptions(vary=("width",)))
    second = grow(first, Drawing(first, again).lay_out(half), seed=0)
    edgenet.save(second, tmp_path / "n.edgenet")
    image = torch.randn(1, 1, 28, 28)
    loaded = edgenet.load(tmp_path / "n.edgenet")
    assert torch.equal(loaded.module(image), second.module(image))
    assert loaded.module.fc1.out_features == 126  # 500 / 4, even


def test_windows_are_folded_into_their_middle_and_framed() -> None:
    weight = torch.arange(25.0).reshape(1, 1, 5, 5)
    smaller = fit_window(weight, (3, 3))  # what is outside goes to the nearest place inside
    assert smaller.sum() == weight.sum()
    assert smaller[0, 0, 0, 0] == 0 + 1 + 5 + 6 and smaller[0, 0, 1, 1] == 12
    assert torch.equal(fit_window(weight[:, :, 1:4, 1:4], (5, 5))[:, :, 1:4, 1:4],
                       weight[:, :, 1:4, 1:4])  # fmt: skip


def test_weights_behind_maps_of_another_size_are_interpolated() -> None:
    prototype = network(Plain)
    with torch.no_grad():  # every channel has one weight all over its maps
        prototype.module.f1.weight.copy_(torch.arange(10.0).repeat_interleave(16).expand(14, -1))
    space = derive_space(prototype, SpaceOptions(vary=("kernel",)))
    changed = {gene.name: 1 if gene.stage == 0 else 3 for gene in space.genes}
    child = grow(prototype, Drawing(prototype, space).lay_out(changed), seed=0)
    weight = child.module.get_submodule("f1").weight.reshape(14, 10, -1)
    assert weight.shape[2] != 16
    assert torch.allclose(weight.sum(2), 16 * torch.arange(10.0).expand(14, -1))
    assert torch.equal(child.module.get_submodule("f1").bias, prototype.module.f1.bias)


def test_coordinates_and_values_belong_together() -> None:
    width = Gene("s1.width", 0, "width", 0.1, 1.25)
    depth = Gene("s1.depth", 0, "depth", options=(0, 1, 2, 3))
    assert width.value(0.0) == 0.1 and width.value(1.0) == 1.25 and width.value(7.0) == 1.25
    assert width.value(width.coordinate(0.5)) == pytest.approx(0.5, rel=1e-3)
    assert [depth.value(u) for u in (0.0, 0.26, 0.5, 0.99, 1.0)] == [0, 1, 2, 3, 3]
    assert all(depth.value(depth.coordinate(option)) == option for option in depth.options)
    one, other = {"a": 1.0, "b": 2}, {"b": 2, "a": 1.0}
    assert identity_of(one) == identity_of(other) != identity_of({"a": 1.0, "b": 3})


def test_kinds_are_named() -> None:
    assert check_kinds("width, depth") == ("width", "depth")
    with pytest.raises(UserError, match='did you mean "width"'):
        check_kinds("widht")


def test_a_shortcut_that_is_left_out_is_in_no_exported_file() -> None:
    prototype = zoo("resnet20:width=0.5")
    space = derive_space(prototype, SpaceOptions(vary=("branch",)))
    layout = Drawing(prototype, space).lay_out({"s2.branch": 0, "s3.branch": 1})
    assert layout.edits == (Edit("layer2.0.downsample", mute=True),)
    made = grow(prototype, layout, seed=0)
    model = export_module(made.module, made.example_input(), opset=13, ir_version=7).model
    adds = [node for node in model.graph.node if node.op_type == "Add"]
    assert len(adds) == 9 - 1  # nine blocks, one of them without its addition
    image = torch.randn(1, 1, 8, 8)
    session = Session(serialize(model), "muted")
    (found,) = session.run({"input": image.numpy()}).values()
    with torch.no_grad():
        assert np.allclose(found, made.module(image).numpy(), atol=1e-4)
