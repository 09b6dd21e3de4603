"""The predicted figures of the sparse kernels: written down, and consistent with themselves."""

from __future__ import annotations

import sys

import pytest

from kernel_builds import KERNELS

sys.path.insert(0, str(KERNELS / "sparse"))

import sparse_roofline as roofline


def test_readme_has_the_table_that_the_script_prints() -> None:
    assert roofline.table() in (KERNELS / "README.md").read_text()


def test_predictions_follow_from_the_counts() -> None:
    layers = {layer.name: layer for layer in roofline.layers()}
    tx2 = roofline.board("tx2")
    # AlexNet fc6 by hand: 37.7 M weights, 90 % of them zero, 4 bytes each, DRAM at 70 %.
    fc6 = layers["AlexNet fc6"]
    bytes_at_90 = 4 * 9216 * 4096 * 0.1
    assert roofline.seconds(fc6, 0.9, tx2) == pytest.approx(bytes_at_90 / 59.7e9 / 0.7, rel=0.03)
    # No convolution passes a fifth of the half2 peak.
    for layer in layers.values():
        if layer.size != (1, 1):
            done = roofline.work(layer, 0.9)
            assert done.macs / done.accesses <= 0.2 * tx2.macs_per_clock * 1.0001
        seconds = [roofline.seconds(layer, sparsity, tx2) for sparsity in (0.5, 0.8, 0.9, 0.99)]
        assert seconds == sorted(seconds, reverse=True)
