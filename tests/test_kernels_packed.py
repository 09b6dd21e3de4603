"""EsPackedLinear and EsPackedConv beyond what all operators share: codes, rooflines, rivals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import packed_roofline
from edgesynth.operators import run
from edgesynth.operators.backends import native
from edgesynth.operators.packing import pack
from kernel_builds import KERNELS, build
from layers import read_layers


@pytest.fixture(scope="module")
def library() -> Iterator[None]:
    build("host")
    native.open_library.cache_clear()
    yield
    native.open_library.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_kernels_unpack_the_codes_that_packing_packs(
    library: None, bits: int, dtype: torch.dtype
) -> None:
    """A unit vector picks one column, with scale 1: the code itself, in both operators."""
    low = 1 << (bits - 1)
    columns = 2 * low + 3  # every code, and no whole number of words
    codes = (np.arange(5 * columns).reshape(5, columns) * 5 % (2 * low) - low).astype(np.int8)
    attributes = {
        "words": pack(codes, bits).ravel(),
        "scales": np.ones(5, np.float32),
        "bits": bits,
        "bias": np.zeros(5, np.float32),
    }
    expected = torch.from_numpy(codes.T.copy()).to(dtype)
    units = torch.eye(columns, dtype=dtype)
    linear = {**attributes, "weight_shape": (5, columns)}
    for first in range(0, columns, 41):  # a batch for the kernel of large ones
        some = slice(first, first + 41)
        (found,) = run("EsPackedLinear", (units[some],), linear, backend="host")
        assert torch.equal(found, expected[some])
    for first in range(0, min(columns, 12), 3):  # and those of small ones
        some = slice(first, first + 3)
        (found,) = run("EsPackedLinear", (units[some],), linear, backend="host")
        assert torch.equal(found, expected[some])
        (found,) = run("EsPackedLinear", (units[first : first + 1],), linear, backend="host")
        assert torch.equal(found, expected[first : first + 1])
    conv = {**attributes, "weight_shape": (5, columns, 1, 1)}
    image = units.t().reshape(1, columns, 1, columns)  # pixel i has the unit vector i
    (found,) = run("EsPackedConv", (image,), conv, backend="host")
    assert torch.equal(found.reshape(5, columns).t(), expected)


def test_the_layers_are_those_of_the_papers() -> None:
    layers = {each.name: each for each in read_layers()}
    assert layers["AlexNet conv1"].output == (55, 55)
    assert layers["AlexNet conv2"].macs == 223_948_800  # two groups
    assert layers["VGG-16 fc6"].columns * layers["VGG-16 fc6"].filters == 102_760_448
    assert layers["ResNet-50 conv1"].output == (112, 112)
    assert {each.split()[0] for each in layers} == {
        "AlexNet", "VGG-16", "GoogLeNet", "ResNet-50", "YOLOv2",
    }  # fmt: skip


def test_the_rooflines_in_the_readme_are_the_computed_ones() -> None:
    text = packed_roofline.README.read_text("utf-8")
    assert packed_roofline.with_tables(text) == text, "python kernels/packed_roofline.py --write"


def test_rooflines_follow_from_bytes_and_the_boards() -> None:
    tx1 = packed_roofline.load_board("tx1")
    fc7 = next(each for each in read_layers() if each.name == "AlexNet fc7")
    # 4096 x 4096 codes of 4 bits, 8 in a word; scale and bias; x and y in fp16.
    assert packed_roofline.packed_bytes(fc7, 4) == 4096 * 512 * 4 + 4096 * 8 + 2 * 8192
    time = packed_roofline.packed_time(tx1, fc7, 4)
    assert time.bound == "memory"
    assert time.us == pytest.approx(8_437_760 / 25_600)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_dense_rivals_need_a_gpu() -> None:
    done = subprocess.run(
        [sys.executable, KERNELS / "packed" / "packed_libraries.py", "unused"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "skipped: PyTorch sees no NVIDIA GPU on this machine\n"
