"""The kernels, built for this machine's CPU, against the references: the backend `host`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgesynth.core.errors import MissingError, UserError
from edgesynth.operators import OPERATORS, run
from edgesynth.operators.backends import native
from edgesynth.operators.entries import HEADER, entry_name, header
from edgesynth.operators.specs import VARIANTS, operator_named
from kernel_builds import build
from operator_cases import Case, all_cases
from operator_comparison import assert_equal

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.timeout(1200)  # the first test builds the kernels


@pytest.fixture(scope="module")
def library() -> Iterator[native.Library]:
    build("host")
    native.open_library.cache_clear()
    yield native.open_library("host")
    native.open_library.cache_clear()


def in_half(case: Case) -> Case:
    """The case with activations in half precision."""
    inputs = tuple(
        x.half() if len(spec.dtypes) > 1 else x
        for x, spec in zip(
            case.inputs, operator_named(case.variant).inputs_of(case.variant), strict=True
        )
    )
    return replace(case, inputs=inputs)


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_compute_what_the_references_do(library: native.Library, variant: str) -> None:
    if not hasattr(library.library, entry_name(operator_named(variant))):
        pytest.skip(f"the kernel of {variant} is not in the library yet")
    for case in all_cases(seed=4):
        if case.variant != variant:
            continue
        for each in (case, in_half(case)):
            expected = run(variant, each.inputs, each.attributes)
            assert_equal(each, expected, run(variant, each.inputs, each.attributes, backend="host"))


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_threads_does_not_matter(library: native.Library, order: int) -> None:
    library.set_order(order, seed=7)
    try:
        for case in {case.variant: case for case in all_cases()}.values():
            if hasattr(library.library, entry_name(operator_named(case.variant))):
                expected = run(case.variant, case.inputs, case.attributes)
                found = run(case.variant, case.inputs, case.attributes, backend="host")
                assert_equal(case, expected, found)
    finally:
        library.set_order(0)


def test_the_declarations_say_what_the_specs_say() -> None:
    written = (ROOT / HEADER).read_text("utf-8")
    assert written == header(), "write it again: python -m edgesynth.operators.fields"
    assert [entry_name(each) for each in OPERATORS.values()] == [
        "es_sparse_linear_host", "es_sparse_conv_host", "es_packed_linear_host",
        "es_packed_conv_host", "es_effort_conv_host", "es_exit_gate_host",
    ]  # fmt: skip


def test_a_missing_library_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_BUILD", tmp_path)
    native.open_library.cache_clear()
    case = all_cases()[0]
    try:
        with pytest.raises(
            MissingError, match=r"cmake -S kernels -B .* -DES_EMULATION=ON"
        ) as raised:
            run(case.variant, case.inputs, case.attributes, backend="host")
        assert "\n" not in str(raised.value)
        broken = tmp_path / "libedgesynth_kernels_host.so"
        broken.write_bytes(b"no library")
        monkeypatch.setenv(native.VARIABLE, str(tmp_path))
        with pytest.raises(MissingError, match="does not load"):
            run(case.variant, case.inputs, case.attributes, backend="host")
    finally:
        native.open_library.cache_clear()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_the_backend_says_so() -> None:
    case = all_cases()[0]
    with pytest.raises(MissingError, match=r"libcudart|sees no GPU"):
        run(case.variant, case.inputs, case.attributes, backend="gpu")


def test_kernels_take_no_double_precision() -> None:
    case = next(case for case in all_cases() if case.variant == "EsSparseLinear")
    with pytest.raises(UserError, match="x is float64; it may be float32 or float16"):
        run(case.variant, [case.inputs[0].double()], case.attributes, backend="host")
