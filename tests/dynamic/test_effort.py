"""DyVEDeep: knobs change what they may, count what they do, and pay or are rejected."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.dynamic.effort.candidates import changes, merge
from edgesynth.dynamic.effort.exact import exact_operations
from edgesynth.dynamic.effort.execution import EffortModule
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork, with_knobs
from edgesynth.dynamic.effort.settings import restore, settings_of
from edgesynth.dynamic.effort.trials import OPERATIONS, TIME
from edgesynth.dynamic.effort.tuner import judge, loss_bound, tune
from edgesynth.operators.backends import native
from edgesynth.operators.effort_cpu import CpuEffortConv
from edgesynth.operators.effort_spec import EXACT, PREDICTED
from kernel_builds import build

pytestmark = pytest.mark.timeout(1200)  # the first test may build the kernels


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    build("host")
    native.open_library.cache_clear()


@st.composite
def layers(
    draw: st.DrawFn, channels: int = 5, filters: tuple[int, int] = (1, 8)
) -> tuple[EffortModule, torch.Tensor]:
    """A convolution with ReLU of any geometry, and an input of which half is 0, none negative.

    channels: of a group, at most; filters: of a group.
    """
    group = draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    module = nn.Sequential(
        nn.Conv2d(
            group * draw(st.integers(2, channels)),
            group * draw(st.integers(*filters)),
            kernel,
            stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
            padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
            dilation=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
            groups=group,
        ),
        nn.ReLU(),
    )
    seed = draw(st.integers(0, 1 << 30))
    generator = torch.Generator().manual_seed(seed)
    convolution = module[0]
    for parameter in convolution.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    size = draw(st.tuples(st.integers(7, 14), st.integers(7, 14)))
    x = torch.randn(2, convolution.in_channels, *size, generator=generator).relu()
    (effort,) = with_knobs(module).modules.values()
    return effort, x


def ran(module: EffortModule, knobs: Knobs, x: torch.Tensor) -> tuple[torch.Tensor, Tally]:
    module.set(knobs)
    module.tally = Tally()
    y = module(x)
    return y, module.tally


@settings(max_examples=40, deadline=None)
@given(layers())
def test_knobs_off_is_the_dense_layer_and_exact_saturation_is_knobs_off(
    drawn: tuple[EffortModule, torch.Tensor],
) -> None:
    module, x = drawn
    off, counted = ran(module, Knobs(), x)
    torch.testing.assert_close(off, module.dense(x), rtol=1e-4, atol=1e-4)
    assert counted.products == counted.dense == counted.executed and counted.checks == 0
    exact, _ = ran(module, Knobs(EXACT, 1), x)
    assert torch.equal(exact, off)
    never = Knobs(PREDICTED, 1, (-3e38,), sample_period=2, sample_below=-3e38)
    assert torch.equal(ran(module, never, x)[0], off)


@settings(max_examples=40, deadline=None)
@given(layers())
def test_the_compiled_operator_counts_what_the_reference_counts(
    drawn: tuple[EffortModule, torch.Tensor],
) -> None:
    module, x = drawn
    knobs = Knobs(PREDICTED, 1, (0.1234567,), 0.9876543, 2, 2.3456789, 1.3456789)
    y, counted = ran(module, knobs, x)
    expected, tally = module._reference(x)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    for name in ("dense", "products", "checks"):
        assert getattr(counted, name) == getattr(tally, name), name


@settings(max_examples=30, deadline=None)
@given(layers(channels=40, filters=(16, 120)), st.integers(0, 1))
def test_zeros_left_out_change_nothing(
    drawn: tuple[EffortModule, torch.Tensor], level: int
) -> None:
    """By this machine's own vectors: the kernels' tests are compiled for any machine."""
    module, x = drawn
    module.set(Knobs(channels=module.layer.channels - 1))
    operator = CpuEffortConv(module.attributes)
    all_of_it, _ = operator.run(x, level)
    y, counts = operator.run(x, level, skips_zeros=True, counts=True)
    torch.testing.assert_close(y, all_of_it, rtol=1e-4, atol=1e-4)
    assert counts is not None and counts.executed == counts.nonzero < counts.products
    assert torch.equal(operator.run(x[1:], level, skips_zeros=True)[0], y[1:])


def test_a_scalar_machine_in_exact_mode_stops_where_the_sum_cannot_rise() -> None:
    """Worked out by hand: weights 2, -1, -1, -1 on inputs of 1; 8 looks, so one per weight."""
    attributes = {
        "weight_shape": (1, 4, 1, 1),
        "weights": np.array([-1, 2, -1, -1], np.float32),
        "bias": np.zeros(1, np.float32),
        "pads": (0, 0, 0, 0), "strides": (1, 1), "dilations": (1, 1), "group": 1,
    }  # fmt: skip
    products, checks = exact_operations(torch.ones(1, 4, 1, 1), attributes, looks=3)
    assert (products, checks) == (3, 1 + 2)  # 2, then 1, then 0: the last weight is left out
    products, _ = exact_operations(torch.zeros(1, 4, 1, 1), attributes, looks=3)
    assert products == 1  # nothing above 0 after the only positive weight


def test_exact_mode_saves_operations_on_random_layers() -> None:
    """Check D2: identical outputs, and less than all operations, looking included."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    module = nn.Sequential(nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU())
    (effort,) = with_knobs(module).modules.values()
    assert effort.layer.positive and effort.layer.rectified
    x = torch.rand(2, 16, 12, 12, generator=generator)
    exact, counted = ran(effort, Knobs(EXACT, 4), x)
    assert torch.equal(exact, ran(effort, Knobs(), x)[0])
    assert counted.operations < counted.dense


def blobs(n: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Images of a bright spot in one of four corners, on noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (n,), generator=generator)
    x = 0.5 * torch.rand(n, 1, 16, 16, generator=generator)
    for image, label in zip(x, labels, strict=True):
        top, left = 8 * (int(label) // 2), 8 * (int(label) % 2)
        image[:, top : top + 8, left : left + 8] += 0.3
    return x, labels.numpy()


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 4),
    )  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    x, labels = blobs(256, 1)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), torch.from_numpy(labels)).backward()
        optimizer.step()
    return module.eval()


def network_of(trained: nn.Module) -> EffortNetwork:
    return with_knobs(trained)


def test_normalization_is_folded_and_the_network_computes_the_same(trained: nn.Module) -> None:
    network = network_of(trained)
    assert list(network.modules) == ["0", "4"]
    first, second = network.layers
    assert (first.rectified, first.positive) == (True, False)
    assert (second.rectified, second.positive) == (True, True)
    x, _ = blobs(20, 2)
    torch.testing.assert_close(network.module(x), trained(x), rtol=1e-4, atol=1e-4)


def test_tuning_saves_operations_within_the_bound(trained: nn.Module) -> None:
    network = network_of(trained)
    x, labels = blobs(300, 3)
    tuned = tune(network, x, labels, max_loss=0.01, trial_images=32)
    assert tuned.before.accuracy > 0.95
    assert tuned.before.accuracy - tuned.after.accuracy <= 0.01
    assert tuned.after.operations < 0.8 * tuned.before.operations
    again = judge(network, x, labels)
    assert again.operations == tuned.after.operations, "the network is left as it was tuned"
    assert tuned.knobs and all(not knobs.off for knobs in tuned.knobs.values())
    reasons = {each["reason"] for each in tuned.rejected}
    assert "costs more than it saves" in reasons


def test_tuning_for_time_counts_what_vectors_do(trained: nn.Module) -> None:
    network = network_of(trained)
    x, labels = blobs(300, 3)
    tuned = tune(network, x, labels, max_loss=0.01, trial_images=32, objective=TIME)
    assert tuned.after.total.work < 0.9 * tuned.before.total.work
    assert tuned.before.accuracy - tuned.after.accuracy <= 0.01


@settings(max_examples=30, deadline=None)
@given(layers(channels=40, filters=(16, 60)), st.sampled_from([0.1, 0.5, 1.5, 9.0]))
def test_small_inputs_count_as_zero(
    drawn: tuple[EffortModule, torch.Tensor], threshold: float
) -> None:
    module, x = drawn
    x = x - 0.3  # of both signs
    y, counted = ran(module, Knobs(input_threshold=threshold), x)
    without = torch.where(x.abs() < threshold, 0.0, x)
    torch.testing.assert_close(y, module.dense(without), rtol=1e-4, atol=1e-4)
    assert counted.products == counted.dense and counted.checks == 0
    assert counted.nonzero == ran(module, Knobs(), without)[1].nonzero


@pytest.mark.parametrize(("objective", "pays"), [(TIME, True), (OPERATIONS, False)])
def test_thresholds_save_time_and_no_operations(
    trained: nn.Module, objective: str, pays: bool
) -> None:
    network = network_of(trained)
    x, labels = blobs(300, 3)
    tuned = tune(network, x, labels, max_loss=0.05, objective=objective, only=("threshold",))
    assert bool(tuned.knobs) == pays
    assert tuned.after.total.nonzero <= tuned.before.total.nonzero
    assert tuned.after.operations == tuned.before.operations


def test_what_may_not_be_lost_is_not(trained: nn.Module) -> None:
    network = network_of(trained)
    x, labels = blobs(100, 4)
    tuned = tune(network, x, labels, max_loss=0.0, trial_images=16)
    assert tuned.after.accuracy >= tuned.before.accuracy


def test_thresholds_lose_no_more_than_they_may(trained: nn.Module) -> None:
    """A setting found on images, on the same images: at most its share of the outputs is gone."""
    network = network_of(trained)
    x, _ = blobs(64, 5)
    module = network.modules["4"]
    seen = trained[:4](x).detach()
    dense = module.dense(seen)
    for name, knobs in changes(module, seen):
        if name == "SPET" and knobs.saturation == PREDICTED:
            y, _ = ran(module, knobs, seen)
            assert float(y.sum()) >= (1 - 0.08) * float(dense.sum()) - 1e-3


def test_settings_come_back_from_json(trained: nn.Module) -> None:
    network, other = network_of(trained), network_of(trained)
    knobs = Knobs(PREDICTED, 3, (0.5,) * 16, 0.25, 2, 1.5, 0.75, 6, 0.125)
    network.modules["4"].set(knobs)
    network.modules["4"].order = np.array([3, 1, 0, 2, 7, 6, 5, 4], np.int32)
    written = json.loads(json.dumps(settings_of(network)))
    assert list(written) == ["4"]
    restore(other, written)
    assert other.modules["4"].knobs == knobs and other.modules["0"].knobs.off
    x, _ = blobs(5, 6)
    assert torch.equal(network.module(x), other.module(x))
    with pytest.raises(UserError, match="knobs for 9"):
        restore(other, {"9": {}})
    with pytest.raises(UserError, match="knobs of 4"):
        restore(other, {"4": {"SPET": {"mode": "sometimes"}}})


def test_knobs_of_different_kinds_add_up() -> None:
    spet, sdss = Knobs(PREDICTED, 3, (1.0,)), Knobs(sample_period=2, sample_below=1.0)
    both = merge(merge(Knobs(), ("SPET", spet)), ("SDSS", sdss))
    assert both == replace(spet, sample_period=2, sample_below=1.0)
    assert both.names == ("SPET", "SDSS") and set(both.document()) == {"SPET", "SDSS"}
    assert merge(both, ("effort", Knobs(channels=5))).level == 1
    assert merge(both, ("threshold", Knobs(input_threshold=0.5))) == replace(
        both, input_threshold=0.5
    )


def test_the_bound_counts_what_was_lost_and_how_sure_that_is() -> None:
    before, after = np.array([True] * 90 + [False] * 10), np.array([True] * 88 + [False] * 12)
    assert loss_bound(before, after, 0.0) == pytest.approx(0.02)
    assert loss_bound(before, after, 1.0) == pytest.approx(0.02 + np.sqrt(2) / 100)


def test_a_network_without_convolutions_is_refused() -> None:
    with pytest.raises(UserError, match="no convolution"):
        with_knobs(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
