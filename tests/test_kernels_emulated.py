"""The kernels on this machine's processor, under AddressSanitizer and UBSan, without a GPU."""

from __future__ import annotations

import ctypes
import re

import pytest

from kernel_builds import OPERATORS, build, run

pytestmark = pytest.mark.timeout(1200)  # the first test builds the kernels


@pytest.mark.parametrize("program", ["emulation", *OPERATORS])
def test_against_the_reference(program: str) -> None:
    """Every shape and type, threads in forward, reverse and random order."""
    output = run(build("asan") / f"{program}_test")
    assert re.search(r"^[1-9]\d* tests, 0 failed$", output, re.MULTILINE), output


@pytest.mark.parametrize("operator", OPERATORS)
def test_benchmarks_check_what_they_time(operator: str) -> None:
    output = run(build("asan") / f"{operator}_benchmark", "--smoke")
    assert " right\n" in output


def test_the_library_for_python_names_errors() -> None:
    """What its operators compute is held against the references in test_operator_kernels.py."""
    library = ctypes.CDLL(str(build("host") / "libedgesynth_kernels_host.so"))
    library.es_host_error_name.restype = ctypes.c_char_p
    status = library.es_host_set_order(ctypes.c_int32(3), ctypes.c_uint64(0))
    assert library.es_host_error_name(status) == b"cudaErrorInvalidValue"
    assert library.es_host_set_order(ctypes.c_int32(0), ctypes.c_uint64(0)) == 0
