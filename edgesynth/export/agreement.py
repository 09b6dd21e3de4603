"""Two sets of outputs side by side: per output PASSED or FAILED, with the worst element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.export.session import Arrays
from edgesynth_rt.verify import compare


@dataclass(frozen=True)
class Agreement:
    """How one output agrees with what was expected.

    An element passes when |found - expected| <= atol + rtol * |expected|; NaN never does.
    Integers and booleans must be equal.
    """

    output: str
    passed: bool
    max_abs: float
    """Greatest absolute error; NaN where something is NaN."""
    max_rel: float
    """Greatest error relative to the expected value, where that is not 0."""
    atol: float
    rtol: float
    worst: tuple[int, ...]
    """Index of the element that lies furthest beyond, or closest to, its tolerance."""
    expected: float
    found: float
    top1: tuple[int, int] | None
    """Samples whose greatest class agrees, and all samples; None where there are no classes."""

    def __str__(self) -> str:
        verdict = "PASSED" if self.passed else "FAILED"
        place = ", ".join(map(str, self.worst))
        text = (
            f"{self.output}: {verdict}, max abs error {self.max_abs:.3g}, "
            f"max rel error {self.max_rel:.3g}, worst at [{place}]: "
            f"{self.found:.7g} instead of {self.expected:.7g}"
        )
        return text + (f", top-1 {self.top1[0]} of {self.top1[1]}" if self.top1 else "")

    def document(self) -> dict[str, object]:
        """The comparison as JSON data; NaN becomes null."""
        return {
            "output": self.output,
            "passed": self.passed,
            "max_abs_error": _finite(self.max_abs),
            "max_rel_error": _finite(self.max_rel),
            "atol": self.atol,
            "rtol": self.rtol,
            "worst_index": list(self.worst),
            "worst_expected": _finite(self.expected),
            "worst_found": _finite(self.found),
            "top1_agree": self.top1[0] if self.top1 else None,
            "samples": self.top1[1] if self.top1 else None,
        }


def agree(expected: Arrays, found: Arrays, atol: dict[str, float], rtol: float) -> list[Agreement]:
    """Compare every output of `expected`; `atol` per output, in the output's own unit.

    Raises CheckError when an output has another shape than expected.
    """
    return [
        _agree(name, expected[name], found[name], atol[name], rtol) for name in sorted(expected)
    ]


def _agree(
    name: str,
    expected: npt.NDArray[np.generic],
    found: npt.NDArray[np.generic],
    atol: float,
    rtol: float,
) -> Agreement:
    comparison = compare({name: expected}, {name: found}, atol, rtol)[0]
    wanted, given = expected.astype(np.float64), found.astype(np.float64)
    error = np.abs(given - wanted)
    nonzero = wanted != 0
    relative = error[nonzero] / np.abs(wanted[nonzero])
    top1 = None
    if wanted.ndim == 2 and wanted.shape[1] > 1 and expected.dtype.kind == "f":
        same = (wanted.argmax(axis=1) == given.argmax(axis=1)) & ~np.isnan(given).any(axis=1)
        top1 = (int(same.sum()), len(wanted))
    return Agreement(
        output=name,
        passed=comparison.passed,
        max_abs=float(error.max()),
        max_rel=float(relative.max()) if relative.size else 0.0,
        atol=atol,
        rtol=rtol,
        worst=comparison.worst,
        expected=comparison.expected,
        found=comparison.found,
        top1=top1,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
