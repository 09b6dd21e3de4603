"""The kernels on this machine's processor, under AddressSanitizer and UBSan, without a GPU."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

from kernel_builds import OPERATORS, build, run


@pytest.mark.parametrize("program", ["emulation", *OPERATORS])
def test_against_the_reference(program: str) -> None:
    """Every shape and type, threads in forward, reverse and random order."""
    output = run(build("asan") / f"{program}_test")
    assert re.search(r"^[1-9]\d* tests, 0 failed$", output, re.MULTILINE), output


@pytest.mark.parametrize("operator", OPERATORS)
def test_benchmarks_check_what_they_time(operator: str) -> None:
    output = run(build("asan") / f"{operator}_benchmark", "--smoke")
    assert " right\n" in output


def test_exit_gate_from_python() -> None:
    library = ctypes.CDLL(str(build("host") / "libedgesynth_kernels_host.so"))
    logits = np.array([[0, 4, 0], [1, 1.1, 1], [9, 0, 0]], np.float16)
    threshold = np.array([0.9], np.float32)
    integers = np.zeros((3, 3), np.int32)
    confidence, count = np.zeros(3, np.float32), np.zeros(1, np.int32)

    def pointer(array: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)

    status = library.es_exit_gate_host(
        pointer(logits), pointer(threshold), None, ctypes.c_float(0), 3, 3, 1, 0,
        pointer(integers[0]), pointer(integers[1]), pointer(confidence),
        pointer(integers[2]), pointer(count),
    )  # fmt: skip
    wide = np.exp(logits.astype(np.float64))
    assert status == 0
    np.testing.assert_array_equal(integers, [[1, 0, 1], [1, 1, 0], [1, -1, -1]])
    np.testing.assert_allclose(confidence, (wide / wide.sum(1, keepdims=True)).max(1), rtol=1e-6)
    assert count[0] == 1


def test_a_refused_call_says_why() -> None:
    library = ctypes.CDLL(str(build("host") / "libedgesynth_kernels_host.so"))
    library.es_host_error_name.restype = ctypes.c_char_p
    status = library.es_exit_gate_host(*[None] * 3, ctypes.c_float(0), 1, 0, 0, 0, *[None] * 5)
    assert library.es_host_error_name(status) == b"cudaErrorInvalidValue"
