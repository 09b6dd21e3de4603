"""A user's own network goes through synthesis whatever the genome, and is what its mask says."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Kept, parse_ranges
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.dense import DenseCost
from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.genes import genes_of
from edgesynth.synthesis.genome import ENCODINGS, Genome
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.synthesis.shrink import mask_clusters, shrink
from small_networks import Plain, network

SHAPE = (3, 16, 16)
ENVIRONMENTS = (
    "0.7",
    "synapses=0.5",
    "macs=0.6",
    "params=0.6",
    "latency=0.7@tx2",
    "synapses=0.5:global",
    "macs=0.6:global",
    "synapses=0.4,clusters=0.9",
    "params=0.7,synapses=0.3",
    "0.6,block1=0.9,stem=1",
)


class Block(nn.Module):
    """Expand, depthwise, project, and add."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.depth = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.project = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.norm1(self.expand(x)))
        y = self.act(self.norm2(self.depth(y)))
        return x + self.norm3(self.project(y))


class Own(nn.Module):
    """Residual blocks with depthwise convolutions, a concatenation, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.block1 = Block(16, 32)
        self.block2 = Block(16, 24)
        self.wide = nn.Conv2d(16, 24, 3, padding=1)
        self.thin = nn.Conv2d(16, 12, 1)
        self.fuse = nn.Conv2d(36, 20, 1)
        self.hidden = nn.Linear(20 * 16, 40)
        self.head = nn.Linear(40, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block2(self.block1(torch.relu(self.stem(x))))
        x = torch.cat([torch.sigmoid(self.wide(x)), self.thin(x)], dim=1)
        x = nn.functional.max_pool2d(torch.relu(self.fuse(x)), 2)
        return self.head(torch.relu(self.hidden(x.flatten(1))))


def own() -> Network:
    torch.manual_seed(5)
    module = Own()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
            nn.init.normal_(layer.running_mean)
            nn.init.normal_(layer.bias)
    description = msgspec.structs.replace(
        network(Plain).description, name="own", input_shape=SHAPE, classes=tuple("abcdefg")
    )
    return Network(module.eval(), description)


def masked_twin(parent: Network, child: Network) -> Network:
    """`parent` with all that `child` lacks masked: the slow way to the same outputs."""
    channels = trace_channels(parent.module, parent.example_input(2))
    dead: set[int] = set()
    for name, labels in channels.outputs.items():
        kept = child.description.kept.get(name, Kept()).outputs
        if kept is not None:
            gone = np.setdiff1d(np.arange(len(labels)), parse_ranges(kept, len(labels)))
            dead.update(labels[gone].tolist())
    twin = mask_clusters(parent, channels, dead)
    for key, mask in child.masks.items():
        kept_of = child.description.kept.get(key.removesuffix(".weight"), Kept())
        weight = twin.module.get_parameter(key)
        rows, columns = (
            torch.arange(size) if side is None else torch.tensor(parse_ranges(side, 1 << 20))
            for side, size in (
                (kept_of.outputs, weight.shape[0]),
                (kept_of.inputs, weight.shape[1]),
            )
        )
        if mask.shape[1] == 1 and weight.shape[1] == 1:  # depthwise
            columns = torch.zeros(1, dtype=torch.int64)
        whole = torch.zeros(weight.shape, dtype=torch.bool)
        whole[rows[:, None], columns] = mask
        weight.data *= whole
    return twin


@pytest.mark.parametrize("round_to", [1, 4])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_shrunken_equals_masked(encoding: str, environment: str, round_to: int) -> None:
    try:
        genome = Genome(parse_environment(environment), encoding, 2.0, round_to)
    except UserError as error:  # refused in one line, with what to do instead
        assert encoding != "both"
        assert "take the encoding" in str(error)
        return
    parent = own()
    costs = {"latency@tx2": lambda n: 0.1 + count(n.module, SHAPE).macs / 1e6}
    child = synthesize([parent], genome, (4, 2, 1), costs)
    assert live_synapses(child) < live_synapses(parent)
    torch.manual_seed(0)
    images = torch.randn(8, *SHAPE)
    with torch.no_grad():
        found, expected = child.module(images), masked_twin(parent, child).module(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for layer in child.module.modules():
        if isinstance(layer, nn.Conv2d) and round_to > 1:
            assert layer.out_channels % round_to == 0


def test_what_is_left_dense_is_counted_without_building_it() -> None:
    parent = own()
    channels = trace_channels(parent.module, parent.example_input(2))
    dense = DenseCost(parent, channels, genes_of(parent, channels))
    dead = np.zeros(channels.size, dtype=bool)
    for _, labels in channels.families():
        dead[labels[:: 3 if len(labels) > 3 else 2]] = True
    cost = count(shrink(parent, channels, np.flatnonzero(dead).tolist()).module, SHAPE)
    assert dense.of("macs", dead) == cost.macs
    assert dense.of("params", dead) == cost.params
    assert cost.macs < 0.6 * count(parent.module, SHAPE).macs


def test_generation_after_generation_it_still_is_a_network() -> None:
    """E6: parameters and MACs really fall, and a dead synapse stays dead."""
    parent = own()
    first = count(parent.module, SHAPE)
    for generation in range(2, 7):
        genome = Genome(parse_environment("macs=0.7,synapses=0.6"), "both", 1.0, 2)
        child = synthesize([parent], genome, (1, generation, 1))
        before, after = count(parent.module, SHAPE), count(child.module, SHAPE)
        assert after.macs <= 0.7 * before.macs
        assert after.params < before.params
        parent = child
    assert count(parent.module, SHAPE).macs < 0.17 * first.macs
    with torch.no_grad():
        assert parent.module(parent.example_input(2)).shape == (2, 7)
