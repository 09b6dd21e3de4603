"""EsEffortConv beyond what all operators share: what it leaves out, and what that could bring."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from edgesynth.core.errors import UserError
from edgesynth.hardware.board import load_board
from edgesynth.hardware.kernel_roofline import dense_time, effort_time, limits_of
from edgesynth.operators import run
from edgesynth.operators.backends import native
from edgesynth.operators.effort_reference import effort_conv
from edgesynth.operators.effort_spec import EFFORT_CONV
from kernel_builds import KERNELS, build
from layers import read_layers
from operator_cases import effort_cases

README = KERNELS / "README.md"


@pytest.fixture(scope="module")
def library() -> Iterator[None]:
    build("host")
    native.open_library.cache_clear()
    yield
    native.open_library.cache_clear()


@pytest.mark.timeout(1200)
def test_shortcuts_that_never_fire_change_no_bit(library: None) -> None:
    for case in effort_cases(seed=3)[::8]:
        off = {name: case.attributes[name] for name in case.attributes if name not in (
            "saturation", "prefix_channels", "similarity", "sample_period", "sample_below",
            "sample_within", "input_threshold",
        )}  # fmt: skip
        never = {**off, "sample_period": 2, "sample_below": -1e30, "sample_within": 0.0}
        if case.attributes["weight_shape"][1] > 1:
            never |= {"saturation": 2, "prefix_channels": 1}
            never["prefix_thresholds"] = np.full(1, -1e30, np.float32)
        (dense,) = run("EsEffortConv", case.inputs, off, backend="host")
        (found,) = run("EsEffortConv", case.inputs, never, backend="host")
        assert torch.equal(dense, found), str(case)


@pytest.mark.timeout(1200)
def test_exact_saturation_changes_no_bit(library: None) -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((9, 6, 3, 3)).astype(np.float32)
    weights[:, 2:] = -np.abs(weights[:, 2:])
    attributes = {
        "weight_shape": weights.shape,
        "weights": weights.ravel(),
        "bias": rng.standard_normal(9).astype(np.float32),
        "channel_order": np.arange(6, dtype=np.int32),
        "level_channels": np.array([6], np.int32),
        "prefix_thresholds": np.zeros(1, np.float32),
        "activation": 1,
    }
    x = torch.rand(2, 6, 11, 10, generator=torch.Generator().manual_seed(0))
    inputs = (x, torch.zeros(1, dtype=torch.int32))
    (dense,) = run("EsEffortConv", inputs, attributes, backend="host")
    for prefix in (1, 2, 4):
        exact = {**attributes, "saturation": 1, "prefix_channels": prefix}
        (found,) = run("EsEffortConv", inputs, exact, backend="host")
        assert torch.equal(dense, found)


def test_counts_are_those_of_a_scalar_machine() -> None:
    """Worked out by hand: 2 filters, 4 x 4 outputs, windows of 2 channels x 4 numbers."""
    attributes = {
        "weight_shape": (2, 2, 2, 2),
        "weights": np.ones(16, np.float32),
        "bias": np.zeros(2, np.float32),
        "channel_order": np.arange(2, dtype=np.int32),
        "level_channels": np.array([2, 1], np.int32),
        "prefix_thresholds": np.array([-1.0, 100.0], np.float32),
        "activation": 1,
    }
    x = torch.ones(1, 2, 5, 5)

    def counted(level: int = 0, **knobs: object) -> tuple[int, int]:
        whole = EFFORT_CONV.complete({**attributes, **knobs})
        counts = effort_conv((x, torch.tensor([level], dtype=torch.int32)), whole)[1]
        assert counts.dense == 2 * 16 * 8
        assert counts.operations == counts.products + counts.checks
        return counts.products, counts.checks

    assert counted() == (256, 0)
    assert counted(level=1) == (128, 0)
    # the second filter stops after one of two channels; each output is compared once
    assert counted(saturation=2, prefix_channels=1) == (128 + 64, 32)
    # all windows are flat: one product each; 14 operations per window and channel, for all filters
    assert counted(similarity=0.0) == (64, 2 * 16 * 14)
    # 4 samples are computed and looked at (13), 12 outputs of each filter are filled (6)
    assert counted(sample_period=2, sample_below=9.0, sample_within=1.0) == (
        2 * 4 * 8,
        2 * (4 * 13 + 12 * 6),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channel_order": np.array([0, 0], np.int32)}, "every number from 0 to 1 once"),
        ({"level_channels": np.array([1], np.int32)}, "begin with all 2"),
        ({"level_channels": np.array([2, 2], np.int32)}, "descend strictly"),
        ({"prefix_thresholds": np.zeros(2, np.float32)}, "2 prefix_thresholds: 1 or 3"),
        ({"saturation": 1}, "prefix_channels must lie between 1 and 1"),
        ({"saturation": 2, "prefix_channels": 2}, "prefix_channels must lie between"),
        ({"saturation": 2, "prefix_channels": 1, "activation": 0}, "goes with activation 1"),
        ({"sample_period": 9}, "is 9, allowed: 1 to 8"),
        ({"weights": np.ones(5, np.float32)}, "5 weights where weight_shape has 6"),
    ],
)
def test_wrong_attributes_are_named(change: dict[str, object], message: str) -> None:
    good = {
        "weight_shape": (3, 2, 1, 1),
        "weights": np.ones(6, np.float32),
        "bias": np.zeros(3, np.float32),
        "channel_order": np.arange(2, dtype=np.int32),
        "level_channels": np.array([2], np.int32),
        "prefix_thresholds": np.zeros(1, np.float32),
        "activation": 1,
    }
    EFFORT_CONV.complete(good)
    with pytest.raises(UserError, match=message):
        EFFORT_CONV.complete({**good, **change})


def test_the_roofline_in_the_readme_is_the_computed_one() -> None:
    script = KERNELS / "effort" / "effort_roofline.py"
    printed = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True
    ).stdout
    (written,) = re.findall(
        r"<!-- effort_roofline.py: begin -->\n(.*?)<!--", README.read_text(), re.S
    )
    assert printed.rstrip() == written.rstrip(), f"python {script} --write"


def test_the_roofline_follows_from_what_is_left() -> None:
    layers = {layer.name: layer for layer in read_layers()}
    on = limits_of(load_board("tx1"))
    large = layers["VGG-16 conv3_2"]
    whole, half = effort_time(on, large, 1.0), effort_time(on, large, 0.5)
    assert whole.arithmetic_us == pytest.approx(2 * half.arithmetic_us)
    assert whole.memory_us == half.memory_us == dense_time(on, large).memory_us
    # 49 tiles of 8 x 8, 8 blocks of filters, 2304 columns; 4 warps of 14.5 and 20 instructions
    warps = 49 * 8 * 2304 * (4 * 14.5 + 20)
    assert whole.arithmetic_us == pytest.approx(warps * 32 / (256 * 998.4 * 0.9))
    tiny = layers["ResNet-50 5 3x3 of 128x128"]
    assert effort_time(on, tiny, 1.0).arithmetic_us == pytest.approx(
        16 * 4608 * (4 * 14.5 + 20) * 32 / (256 * 998.4 * 0.9)
    )
