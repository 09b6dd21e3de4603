"""Holds the outputs of two backends against each other."""

from __future__ import annotations

import torch

from edgesynth.operators.run import TOLERANCES
from operator_cases import Case

_LABEL = 1
"""Output of the exit gate; that of a row with NaN is any class."""


def assert_equal(
    case: Case, expected: tuple[torch.Tensor, ...], found: tuple[torch.Tensor, ...]
) -> None:
    """Shapes, types, integers exactly, numbers within the tolerance of the activations' type."""
    assert len(expected) == len(found), str(case)
    kind = str(case.inputs[0].dtype).removeprefix("torch.")
    atol, rtol = TOLERANCES[kind]
    broken = case.inputs[0].flatten(1).isnan().any(dim=1)
    for index, (one, two) in enumerate(zip(expected, found, strict=True)):
        place = f"{case}, output {index}"
        assert one.shape == two.shape and one.dtype == two.dtype, place
        if one.is_floating_point():
            torch.testing.assert_close(
                two,
                one,
                atol=atol,
                rtol=rtol,
                equal_nan=True,
                msg=lambda text, p=place: f"{p}\n{text}",
            )
            continue
        kept = ~broken if case.variant == "EsExitGate" and index == _LABEL else slice(None)
        assert torch.equal(one[kept], two[kept]), f"{place}: {two.tolist()}, not {one.tolist()}"
