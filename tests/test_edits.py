"""Networks whose layers were made anew: saved, read again, and refused when they make no sense."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Edit
from edgesynth.networks import edgenet
from edgesynth.networks.edits import apply_edits
from small_networks import Plain, Residual, network

TRUST = ("small_networks:Plain",)


def test_sizes_windows_and_groups() -> None:
    module = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.PReLU(8))
    edits = [
        Edit("0", outputs=12, kernel=5, groups=2),
        Edit("1", outputs=12),
        Edit("2", outputs=12),
    ]
    apply_edits(module, edits)
    assert module[0].weight.shape == (12, 2, 5, 5) and module[0].padding == (2, 2)
    assert module(torch.zeros(1, 4, 9, 9)).shape == (1, 12, 9, 9)


def test_a_window_without_padding_leaves_a_larger_map() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 5))
    apply_edits(module, [Edit("0", kernel=3)])
    assert module(torch.zeros(1, 1, 9, 9)).shape == (1, 2, 7, 7)


def test_what_is_left_out_and_what_is_taken_apart() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, bias=False))
    apply_edits(module, [Edit("0", skip=True), Edit("1", separable=True)])
    image = torch.randn(1, 4, 9, 9)
    assert torch.equal(module[0](image), image)
    assert module(image).shape == (1, 6, 4, 4)
    assert [tuple(p.shape) for p in module.parameters()] == [(4, 1, 3, 3), (6, 4, 1, 1)]


def test_a_changed_network_is_read_as_it_was_saved(tmp_path: Path) -> None:
    changed = network(Plain)
    edits = (Edit("c2", outputs=6), Edit("f1", inputs=6 * 4 * 4))
    apply_edits(changed.module, edits)
    for parameter in changed.module.parameters():
        nn.init.normal_(parameter)
    changed.description = msgspec.structs.replace(changed.description, edits=edits)
    edgenet.save(changed, tmp_path / "n.edgenet")
    again = edgenet.load(tmp_path / "n.edgenet", trust=TRUST)
    image = torch.randn(2, 3, 12, 12)
    assert torch.equal(again.module(image), changed.module.eval()(image))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (Edit("nowhere", outputs=2), 'there is no layer "nowhere"'),
        (Edit("", skip=True), "there is no layer"),
        (Edit("c1", outputs=1 << 20), "out of range"),
        (Edit("c1", outputs=1 << 16, inputs=1 << 16, kernel=31), "more than a layer may have"),
        (Edit("c1", outputs=7, groups=3), "not whole in each of 3 groups"),
        (Edit("c1", kernel=0), "out of range"),
        (Edit("f1", separable=True), "cannot be made separable"),
    ],
)
def test_a_hostile_file_is_refused(edit: Edit, reason: str, tmp_path: Path) -> None:
    hostile = network(Plain)
    hostile.description = msgspec.structs.replace(hostile.description, edits=(edit,))
    edgenet.save(hostile, tmp_path / "n.edgenet")
    with pytest.raises(UserError, match=reason):
        edgenet.load(tmp_path / "n.edgenet", trust=TRUST)


def test_what_has_no_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="a ReLU cannot be resized"):
        apply_edits(network(Residual).module, [Edit("relu", outputs=2)])
