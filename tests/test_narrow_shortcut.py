"""Narrow residual networks train: in channels last, torch's kernels would corrupt memory."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from edgesynth.tasks.layout import preferred_layout

PROGRAM = """
import torch
from edgesynth.networks.zoo import build
from edgesynth.tasks.layout import preferred_layout, set_layout
torch.set_num_threads(1)
module = build("resnet20", in_channels=1, width=0.25, image=16)
layout = preferred_layout(module, (1, 16, 16))
set_layout(module, layout)
for _ in range(6):
    images = torch.randn(8, 1, 16, 16).to(memory_format=layout)
    module(images).square().sum().backward()
print("trained")
"""


def test_a_narrow_shortcut_keeps_the_layout_that_is_safe() -> None:
    narrow = nn.Sequential(nn.Conv2d(4, 8, 1, stride=2))
    assert preferred_layout(narrow, (4, 8, 8)) == torch.contiguous_format
    wide = nn.Sequential(nn.Conv2d(16, 32, 1, stride=2))
    assert preferred_layout(wide, (16, 8, 8)) == torch.channels_last
    dense = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2))
    assert preferred_layout(dense, (4, 8, 8)) == torch.channels_last


def test_a_narrow_residual_network_survives_its_training() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
