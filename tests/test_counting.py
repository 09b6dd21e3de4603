"""Counting: torch's own counter as oracle, and a module that is left as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgesynth.core.errors import UserError
from edgesynth.hardware.counting import count
from edgesynth.networks import zoo


def oracle(module: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates by torch: it counts each as two operations."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, *input_shape))
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", zoo.names())
def test_the_zoo_counts_as_torch_counts(name: str) -> None:
    entry = zoo.entry(name)
    with torch.device("meta"):
        module = zoo.build(name)
        cost = count(module, entry.input_shape)
        assert cost.macs == oracle(module, entry.input_shape)
    assert sum(layer.params for layer in cost.layers) <= cost.params


class Odd(nn.Module):
    """What users bring: transposed, grouped, shared and functional layers, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)
        self.shared = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.kernel = nn.Parameter(torch.randn(5, 4, 1, 1))
        self.linear = nn.Linear(17, 17)
        self.attention = nn.MultiheadAttention(17, 1, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shared(self.shared(self.up(x)))
        x = torch.nn.functional.conv2d(x, self.kernel)
        x = self.linear(x).flatten(1, 2)
        attended: torch.Tensor = self.attention(x, x, x)[0]
        return attended


def test_shared_functional_and_transposed_layers() -> None:
    module = Odd()
    cost = count(module, (6, 8, 8))
    assert cost.macs == oracle(module, (6, 8, 8))
    by_name = [(each.name, each.kind, each.params, each.macs) for each in cost.layers[:5]]
    assert by_name == [
        ("up", "ConvTranspose2d", 6 * 2 * 9 + 4, 8 * 8 * 6 * 2 * 9),
        ("shared", "Conv2d", 4 * 9 + 4, 17 * 17 * 4 * 9),
        ("shared", "Conv2d", 0, 17 * 17 * 4 * 9),  # its parameters are counted once
        ("", "Odd", 20, 17 * 17 * 5 * 4),
        ("linear", "Linear", 17 * 17 + 17, 5 * 17 * 17 * 17),
    ]


def test_size_counts_running_statistics_but_no_counters() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 2, bias=False), nn.BatchNorm2d(3))
    assert count(module, (1, 4, 4)).params == 12 + 6
    assert count(module, (1, 4, 4)).size_bytes == 4 * (12 + 6 + 6)  # mean and variance


def test_a_replaced_layer_is_counted_as_it_is_now() -> None:
    module = zoo.build("lenet5")
    module.conv1 = nn.Conv2d(1, 7, 5)
    module.conv2 = nn.Conv2d(7, 11, 5)
    module.fc1 = nn.Linear(11 * 16, 20)
    module.fc2 = nn.Linear(20, 10)
    cost = count(module, (1, 28, 28))
    assert cost.macs == 24 * 24 * 7 * 25 + 64 * 11 * 7 * 25 + 176 * 20 + 200
    assert cost.macs == oracle(module, (1, 28, 28))


def test_the_module_and_the_random_state_are_left_alone() -> None:
    module = zoo.build("vgg16", image=32, width=0.1, batch_norm=True, classes=10)
    module.train()
    module.features[1].eval()  # a frozen normalization
    modes = [each.training for each in module.modules()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.get_rng_state()
    count(module, (3, 32, 32))
    assert [each.training for each in module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())
    assert torch.is_grad_enabled()


class Noisy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x)


def test_a_module_that_draws_random_numbers_does_not_move_the_generator() -> None:
    random = torch.get_rng_state()
    assert count(Noisy(), (1, 2, 2)).macs == 0
    assert torch.equal(torch.get_rng_state(), random)


def test_an_input_that_does_not_fit_is_one_line_and_leaves_no_hooks() -> None:
    module = zoo.build("lenet5")
    with pytest.raises(UserError, match="LeNet5 cannot run an input of 3x28x28: ") as caught:
        count(module, (3, 28, 28))
    assert "\n" not in str(caught.value)
    assert not module.conv1._forward_hooks
    assert module.training


def test_importing_it_loads_no_torch() -> None:
    code = "import sys, edgesynth.hardware.counting; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
