"""Two parents: clusters meet where they are the same channel of the common ancestor."""

from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import parse_ranges
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.synthesis.mating import unite
from edgesynth.synthesis.shrink import shrink
from small_networks import ALL, Mobile, Plain, Residual, network

PAPER = Genome(Environment("factor", 0.7))
GENTLE = Genome(Environment("synapses", 0.6))


def couple(kind: type[nn.Module]) -> list[Network]:
    ancestor = network(kind)
    parents = [synthesize([ancestor], PAPER, (seed, 2, 1)) for seed in (1, 2)]
    for parent in parents:  # as training would
        for parameter in parent.module.parameters():
            parameter.data += 0.01 * torch.randn_like(parameter)
        parent.apply_masks()
    return parents


def without(ancestor: Network, layer: str, channels: list[int]) -> Network:
    found = trace_channels(ancestor.module, ancestor.example_input(2))
    return shrink(ancestor, found, found.outputs[layer][channels].tolist())


def test_channels_meet_by_their_place_in_the_ancestor() -> None:
    """c1 has 8 filters: the mother lacks 0 and 1, the father 1 and 7."""
    ancestor = network(Plain)
    mother, father = without(ancestor, "c1", [0, 1]), without(ancestor, "c1", [1, 7])
    father.module.get_parameter("c1.weight").data *= 0.5
    mother.module.get_parameter("c1.bias").data += 1
    body, carriers = unite([mother, father])
    assert body.description.kept["c1"].outputs == "0,2-7"
    assert body.description.kept["c2"].inputs == "0,2-7"
    own = ancestor.module.get_parameter("c1.weight")
    found = body.module.get_parameter("c1.weight")
    assert torch.equal(found[0], 0.5 * own[0])  # only the father has it
    assert torch.equal(found[6], own[7])  # only the mother has it
    assert torch.equal(carriers[0].masks["c1.weight"][:, 0, 0, 0], torch.arange(7) > 0)
    assert torch.equal(carriers[1].masks["c1.weight"][:, 0, 0, 0], torch.arange(7) < 6)
    bias = ancestor.module.get_parameter("c1.bias")
    torch.testing.assert_close(
        body.module.get_parameter("c1.bias")[:2], bias[[0, 2]] + torch.tensor([0, 0.5])
    )
    with torch.no_grad():
        assert body.module(body.example_input(2)).shape == (2, 5)


def test_a_synapse_comes_from_the_parent_where_it_is_relatively_stronger() -> None:
    ancestor = network(Plain)
    mother, father = copy.deepcopy(ancestor), copy.deepcopy(ancestor)
    first, second = torch.zeros(5, 14), torch.zeros(5, 14)
    first[0, :3] = torch.tensor([2.0, 1.0, 0.2])  # 1, 0.5, 0.1 of its strongest
    second[0, :3] = torch.tensor([0.1, -0.3, -0.4])  # 0.25, 0.75, 1 of its strongest
    mother.module.get_parameter("f2.weight").data = first
    father.module.get_parameter("f2.weight").data = second
    found = unite([mother, father])[0].module.get_parameter("f2.weight")[0, :3]
    torch.testing.assert_close(found, torch.tensor([2.0, -0.3, -0.4]))


def test_twins_have_the_offspring_of_one_parent() -> None:
    parent = couple(Residual)[0]
    one = synthesize([parent], GENTLE, (5, 3, 1)).module.state_dict()
    two = synthesize([parent, parent], GENTLE, (5, 3, 1)).module.state_dict()
    assert all(torch.equal(one[name], tensor) for name, tensor in two.items())


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("genome", [GENTLE, PAPER, Genome(GENTLE.environment, "synapse", 4.0, 2)])
def test_offspring_of_two_are_sound(kind: type[nn.Module], genome: Genome) -> None:
    parents = couple(kind)
    before = [copy.deepcopy(parent.module.state_dict()) for parent in parents]
    child = synthesize(parents, genome, (5, 3, 1))
    again = synthesize(parents, genome, (5, 3, 1)).module.state_dict()
    assert all(torch.equal(again[name], t) for name, t in child.module.state_dict().items())
    for parent, state in zip(parents, before, strict=True):
        assert all(torch.equal(state[name], t) for name, t in parent.module.state_dict().items())
    if genome.environment.kind == "synapses":
        assert live_synapses(child) <= 0.6 * live_synapses(parents[0]) + 70  # of the classifier
    for name, kept in child.description.kept.items():
        either = set()
        for parent in parents:
            theirs = parent.description.kept.get(name)
            own = None if theirs is None else theirs.outputs
            either |= set(range(64)) if own is None else set(parse_ranges(own, 64))
        if kept.outputs is not None:
            assert set(parse_ranges(kept.outputs, 64)) <= either
    with torch.no_grad():
        assert child.module(child.example_input(3)).isfinite().all()


def test_offspring_of_two_are_kept_and_read_back(tmp_path: Path) -> None:
    child = synthesize(couple(Mobile), GENTLE, (5, 3, 1))
    folder = tmp_path / "child.edgenet"
    edgenet.save(child, folder)
    read = edgenet.load(folder, trust=["small_networks:Mobile"])
    images = torch.randn(2, 3, 12, 12)
    with torch.no_grad():
        assert torch.equal(read.module(images), child.module(images))


def test_strangers_are_refused() -> None:
    with pytest.raises(UserError, match="cannot have offspring: their architecture differs"):
        synthesize([network(Plain), network(Residual)], GENTLE, (0,))
    other = network(Plain)
    other.description = msgspec.structs.replace(other.description, classes=tuple("vwxyz"))
    with pytest.raises(UserError, match="their classes differs"):
        synthesize([network(Plain), other], GENTLE, (0,))
    with pytest.raises(UserError, match="one or two parents, not 3"):
        synthesize([network(Plain)] * 3, GENTLE, (0,))
