"""The estimates of the operators' kernels: as kernels/README.md has them, and by hand."""

from __future__ import annotations

import pytest

import packed_roofline
from edgesynth.hardware.board import load_board
from edgesynth.hardware.kernel_roofline import (
    Layer,
    Limits,
    dense_time,
    limits_of,
    packed_bytes,
    packed_time,
    sparse_time,
    sparse_work,
)
from kernel_builds import KERNELS
from layers import read_layers
from sparse import sparse_roofline

LAYERS = {layer.name: layer for layer in read_layers()}
README = (KERNELS / "README.md").read_text("utf-8")


@pytest.fixture(params=["tx1", "tx2"])
def board(request: pytest.FixtureRequest) -> Limits:
    return limits_of(load_board(request.param))


def test_the_tables_in_the_readme_are_the_computed_ones() -> None:
    for script in (packed_roofline, sparse_roofline):
        assert script.with_tables(README) == README, f"python {script.__file__} --write"


def test_limits_are_those_of_the_boards(board: Limits) -> None:
    """2 multiprocessors of 128 lanes; the clocks and bandwidths that the README names."""
    bytes_per_us, mhz = {"tx1": (25_600, 998.4), "tx2": (59_700, 1300.5)}[board.name]
    assert board.bytes_per_us == pytest.approx(bytes_per_us)
    assert board.instructions_per_us == pytest.approx(2 * 128 * mhz)


def test_packed_linear_layers_move_their_words(board: Limits) -> None:
    # 4096 x 4096 codes of 4 bits, 8 in a word; scale and bias; x and y in fp16.
    fc7 = LAYERS["AlexNet fc7"]
    assert packed_bytes(fc7, 4) == 4096 * 512 * 4 + 4096 * 8 + 2 * 8192
    time = packed_time(board, fc7, 4)
    assert time.bound == "memory"
    assert time.us == pytest.approx(8_437_760 / board.bytes_per_us)


def test_sparse_linear_layers_move_four_bytes_a_weight(board: Limits) -> None:
    # AlexNet fc6: 37.7 M weights, 90 % of them zero, value and column of 16 bits each.
    fc6 = LAYERS["AlexNet fc6"]
    time = sparse_time(board, fc6, 0.9)
    assert time is not None
    assert time.memory_us == pytest.approx(4 * 9216 * 4096 * 0.1 / board.bytes_per_us, rel=0.03)


def test_no_sparse_convolution_passes_a_fifth_of_the_half2_peak(board: Limits) -> None:
    for layer in LAYERS.values():
        work = sparse_work(layer, 0.9)
        assert work is not None
        if not layer.is_linear:
            assert work.macs / work.accesses <= 0.2 * 2 * board.lanes * 1.0001
        times = [sparse_time(board, layer, sparsity) for sparsity in (0.5, 0.8, 0.9, 0.99)]
        us = [time.us for time in times if time is not None]
        assert us == sorted(us, reverse=True)


def test_a_dense_layer_takes_the_longer_of_two_times(board: Limits) -> None:
    # 3x3 at stride 1: 2.25 times fewer of the 1,849,688,064 MACs, two in an instruction, at 70 %.
    conv = LAYERS["VGG-16 conv4_2"]
    expected = 1_849_688_064 / 2.25 / 2 / (board.instructions_per_us * 0.7)
    assert dense_time(board, conv).us == pytest.approx(expected)
    strided = LAYERS["ResNet-50 conv1"]
    expected = 118_013_952 / 2 / (board.instructions_per_us * 0.7)
    assert dense_time(board, strided).us == pytest.approx(expected)


def test_layers_of_a_plainer_kernel_have_no_estimate(board: Limits) -> None:
    geometry = ((1, 1), (1, 1, 1, 1), (1, 1))
    assert sparse_time(board, Layer("", 7, 9, 9, 7, 1, (3, 3), *geometry), 0.9) is None
    assert sparse_time(board, Layer("", 16, 9, 9, 16, 16, (3, 3), *geometry), 0.9) is None
    assert sparse_time(board, Layer("", 8, 99, 99, 8, 1, (33, 33), *geometry), 0.9) is None
    assert sparse_time(board, Layer("", 8, 9, 9, 8, 1, (3, 3), *geometry), 0.9) is not None


def test_the_layers_are_those_of_the_papers() -> None:
    assert LAYERS["AlexNet conv1"].output == (55, 55)
    assert LAYERS["AlexNet conv2"].macs == 223_948_800  # two groups
    assert LAYERS["VGG-16 fc6"].weights == 102_760_448
    assert LAYERS["ResNet-50 conv1"].output == (112, 112)
    assert {each.split()[0] for each in LAYERS} == {
        "AlexNet", "VGG-16", "GoogLeNet", "ResNet-50", "YOLOv2",
    }  # fmt: skip
