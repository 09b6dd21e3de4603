"""Physical shrink gives what masking gives, on every structure and for any choice of clusters."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import count
from edgesynth.networks import zoo
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import ChannelMap, trace_channels
from edgesynth.synthesis.shrink import mask_clusters, shrink
from small_networks import ALL, SHAPE, Plain, Residual, network


def channels_of(parent: Network) -> ChannelMap:
    return trace_channels(parent.module, parent.example_input(2))


def some_of_each(channels: ChannelMap, share: float, seed: int) -> set[int]:
    """A random `share` of every family, never a whole one."""
    rng = np.random.default_rng(seed)
    dead: set[int] = set()
    for _, labels in channels.families():
        number = min(round(share * len(labels)), len(labels) - 1)
        dead.update(rng.choice(labels, number, replace=False).tolist())
    return dead


def outputs(of: Network, seed: int = 1) -> torch.Tensor:
    torch.manual_seed(seed)
    with torch.no_grad():
        return of.module(torch.randn(4, *of.description.input_shape))


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(ALL), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_shrunk_equals_masked(kind: type[nn.Module], share: float, seed: int) -> None:
    parent = network(kind, seed % 7)
    channels = channels_of(parent)
    dead = some_of_each(channels, share, seed)
    masked = mask_clusters(parent, channels, dead)
    torch.testing.assert_close(
        outputs(shrink(parent, channels, dead)), outputs(masked), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet20", "resnet50", "squeezenet"])
def test_shrunk_equals_masked_on_the_zoo(name: str) -> None:
    image = max(32, zoo.entry(name).smallest_image)
    torch.manual_seed(3)
    shape = (3, image, image)
    module = zoo.build(name, classes=5, in_channels=3, image=image, width=0.25).eval()
    description = msgspec.structs.replace(network(Plain).description, input_shape=shape)
    parent = Network(module, description)
    channels = channels_of(parent)
    dead = some_of_each(channels, 0.5, 0)
    child = shrink(parent, channels, dead)
    masked = mask_clusters(parent, channels, dead)
    torch.testing.assert_close(outputs(child), outputs(masked), atol=1e-5, rtol=1e-4)
    assert count(child.module, shape).params < 0.75 * count(module, shape).params


def test_sizes_follow_by_hand() -> None:
    """Plain: 8-10-14-5 on 12x12; without 4, 5 and 7 channels: 4-5-7-5."""
    parent = network(Plain)
    channels = channels_of(parent)
    labels = channels.outputs
    dead = {*labels["c1"][:4].tolist(), *labels["c2"][:5].tolist(), *labels["f1"][:7].tolist()}
    child = shrink(parent, channels, dead)
    weights = 3 * 4 * 9 + 4 * 5 * 9 + 5 * 16 * 7 + 7 * 5
    cost = count(child.module, SHAPE)
    assert cost.params == weights + 4 + 5 + 7 + 5
    assert cost.macs == 100 * 3 * 4 * 9 + 64 * 4 * 5 * 9 + 5 * 16 * 7 + 7 * 5
    assert child.description.kept["c2"].inputs == "4-7"
    assert child.description.kept["c2"].outputs == "5-9"


def test_shrinking_twice_keeps_counting_in_the_architectures_own_channels() -> None:
    parent = network(Plain)
    channels = channels_of(parent)
    once = shrink(parent, channels, set(channels.outputs["c1"][[0, 2]].tolist()))
    again = channels_of(once)
    twice = shrink(once, again, set(again.outputs["c1"][[0]].tolist()))
    assert once.description.kept["c1"].outputs == "1,3-7"
    assert twice.description.kept["c1"].outputs == "3-7"


def test_masks_are_narrowed_with_their_weights() -> None:
    parent = network(Residual)
    torch.manual_seed(0)
    parent.masks = {"outer.weight": torch.rand(8, 6, 3, 3) > 0.5}
    parent.apply_masks()
    channels = channels_of(parent)
    dead = {*channels.outputs["stem"][:3].tolist(), *channels.outputs["inner"][4:].tolist()}
    child = shrink(parent, channels, dead)
    assert torch.equal(child.masks["outer.weight"], parent.masks["outer.weight"][3:, :4])


def test_the_parent_is_left_whole() -> None:
    parent = network(Residual)
    before = outputs(parent)
    channels = channels_of(parent)
    shrink(parent, channels, some_of_each(channels, 0.5, 0))
    assert torch.equal(outputs(parent), before)


def test_losing_a_whole_layer_is_refused_by_name() -> None:
    parent = network(Plain)
    channels = channels_of(parent)
    with pytest.raises(UserError, match="layer c1 would lose every channel"):
        shrink(parent, channels, set(channels.outputs["c1"].tolist()))
