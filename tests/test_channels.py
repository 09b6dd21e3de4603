"""Which channels live and die together, on structures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.networks import zoo
from edgesynth.synthesis.channels import ChannelMap, trace_channels
from small_networks import SHAPE, Inception, Mobile, Plain, Residual


def trace(module: nn.Module, shape: tuple[int, int, int] = SHAPE) -> ChannelMap:
    return trace_channels(module, torch.zeros(2, *shape))


def families(channels: ChannelMap) -> dict[tuple[str, ...], int]:
    return {layers: len(labels) for layers, labels in channels.families()}


def test_flatten_repeats_a_channel_for_every_pixel() -> None:
    channels = trace(Plain())
    assert families(channels) == {("c1",): 8, ("c2",): 10, ("f1",): 14}
    assert np.array_equal(channels.inputs["f1"], np.repeat(channels.outputs["c2"], 16))


def test_an_addition_ties_its_sides_and_their_normalization() -> None:
    channels = trace(Residual())
    assert families(channels) == {("stem", "outer"): 8, ("inner",): 6}
    assert np.array_equal(channels.outputs["stem"], channels.outputs["outer"])
    assert np.array_equal(channels.followers["norm"], channels.outputs["stem"])


def test_depthwise_grouped_and_gated_channels() -> None:
    channels = trace(Mobile())
    # The multiplier of 2 ties outputs 2i and 2i+1 to input i; the two groups of `grouped` keep the
    # same positions, which ties input i to i+8; so expand's 8 filters are tied in pairs (i, i+4).
    assert families(channels) == {
        ("expand", "depth", "excite"): 4,
        ("squeeze",): 4,
        ("grouped",): 6,
    }
    assert np.array_equal(channels.outputs["depth"][::2], channels.outputs["expand"])
    assert np.array_equal(channels.outputs["grouped"][:6], channels.outputs["grouped"][6:])


def test_a_concatenation_joins_its_parts_in_order() -> None:
    channels = trace(Inception())
    joined = np.concatenate([channels.outputs["a"], channels.outputs["b"]])
    assert np.array_equal(channels.inputs["up"], joined)
    assert np.array_equal(channels.followers["act"], joined)


def test_what_reaches_the_output_and_the_input_is_frozen() -> None:
    channels = trace(Plain())
    assert channels.frozen.issuperset(channels.outputs["f2"].tolist())
    assert channels.frozen.issuperset(channels.inputs["c1"].tolist())
    assert not channels.frozen.intersection(channels.outputs["c2"].tolist())


class _Odd(nn.Module):
    """One convolution whose channels pass `operation`, which may mix or count them."""

    def __init__(self, operation: object) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3)
        self.c2 = nn.LazyConv2d(5, 1)
        self.operation = operation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c2(self.operation(self.c1(x)))  # type: ignore[operator]


@pytest.mark.parametrize(
    "operation",
    [
        nn.LocalResponseNorm(3),  # neighbours enter: removing one shifts the window
        nn.Softmax(dim=1),  # a removed channel changes the sum
        nn.GroupNorm(2, 8),  # groups would change their size
        lambda x: x[:, :4],  # positions are written out
        lambda x: x.view(2, 4, 20, 10),  # widths are written out
        lambda x: x + torch.ones(1, 8, 1, 1),  # a constant per channel that stays wide
        lambda x: x.mean(1, keepdim=True),
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    ],
)
def test_operations_that_do_not_treat_channels_apart_freeze_them(operation: object) -> None:
    module = _Odd(operation)
    module(torch.zeros(2, *SHAPE))
    channels = trace(module)
    assert channels.frozen.issuperset(channels.outputs["c1"].tolist())


def test_tracing_leaves_the_module_as_it_was() -> None:
    module = Residual().train()
    module.norm.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace(module)
    assert module.training
    assert not module.norm.training
    assert module.norm2.training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())


def test_a_layer_used_twice_keeps_one_set_of_channels() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1 = nn.Conv2d(3, 6, 1)
            self.twice = nn.Conv2d(6, 6, 1)
            self.c2 = nn.Conv2d(6, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c2(self.twice(torch.relu(self.twice(self.c1(x)))))

    channels = trace(Shared())
    assert families(channels) == {("c1", "twice"): 6}


def test_every_network_of_the_zoo_has_clusters_to_give() -> None:
    for name in zoo.names():
        image = max(32, zoo.entry(name).smallest_image)
        module = zoo.build(name, classes=10, in_channels=3, image=image, width=0.25)
        channels = trace(module, (3, image, image))
        free = sum(len(labels) for _, labels in channels.families())
        assert free >= 8, name
