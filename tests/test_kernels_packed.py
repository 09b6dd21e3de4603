"""EsPackedLinear and EsPackedConv beyond what all operators share: codes, rivals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from edgesynth.operators import run
from edgesynth.operators.backends import native
from edgesynth.operators.packing import pack
from kernel_builds import KERNELS, build

pytestmark = pytest.mark.timeout(1200)  # the first test builds the kernels


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_dense_rivals_need_a_gpu() -> None:
    done = subprocess.run(
        [sys.executable, KERNELS / "packed" / "packed_libraries.py", "unused"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "skipped: PyTorch sees no NVIDIA GPU on this machine\n"
