"""EsEffortConv compiled for this machine's processor: `kernels/effort/cpu`, called through ctypes.

What the knobs leave out saves time here: for 16 neighbouring outputs of a filter at once, or where
few of them are left for each by itself; zeros of the input, for all filters at once. Outputs are
those of the reference; exact saturation changes no bit.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch

from edgesynth.core.errors import UserError
from edgesynth.operators.backends.native import Library, attribute_arguments, open_library
from edgesynth.operators.effort_spec import EFFORT_CONV
from edgesynth.operators.run import output_shapes
from edgesynth.operators.spec import Attributes

LIBRARY = "cpu"
"""Its name for `open_library`."""
_EXTENTS = ctypes.POINTER(ctypes.c_int64)
_RUN_TAKES = (
    ctypes.c_void_p, ctypes.c_void_p, _EXTENTS, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p,
    _EXTENTS,
)  # fmt: skip
"""Layer, x, its shape, effort, whether zeros are skipped, y, counts."""


@dataclass(frozen=True)
class CpuCounts:
    """What one run did."""

    executed: int
    """Multiply-accumulates, by vectors."""
    products: int
    """Those of a machine that decides output by output, as in `effort_reference.Counts`."""
    nonzero: int
    """Of these, with an input that is not zero."""
    predicted: int
    """Outputs that ended after the prefix."""
    filled: int
    """Outputs that were told from their samples."""


class CpuEffortConv:
    """A layer, ready to run. Free of Python's lock while it runs; not for two threads at once."""

    def __init__(self, attributes: Attributes) -> None:
        """`attributes` are those of the spec, defaults may be left out.

        Raises UserError for wrong attributes; MissingError where the library is not built.
        """
        self.attributes = EFFORT_CONV.complete(attributes)
        self._library: Library = open_library(LIBRARY)
        make = self._library.library.es_effort_cpu_make
        make.restype = ctypes.c_void_p
        self._run = self._library.library.es_effort_cpu_run
        self._run.argtypes = _RUN_TAKES
        self._fitting: dict[tuple[int, ...], tuple[tuple[int, ...], Any]] = {}
        kinds = {each.name: each.kind for each in EFFORT_CONV.attributes}
        self._layer = ctypes.c_void_p(make(*attribute_arguments(self.attributes, kinds)))
        if not self._layer:
            raise UserError(f"EsEffortConv: {self._library.path.name} refuses these attributes")

    def run(
        self, x: torch.Tensor, effort: int = 0, *, skips_zeros: bool = False, counts: bool = False
    ) -> tuple[torch.Tensor, CpuCounts | None]:
        """The output for x (N, C, H, W) float32, and what was done where `counts` is true.

        skips_zeros: leave out inputs that are zero; where the layer saturates, samples or takes
        means, or has few filters or few zeros, only where 16 neighbouring ones are. Counting takes
        time of its own.
        """
        x = x.detach().contiguous()
        if x.dtype != torch.float32:
            raise UserError(f"EsEffortConv: x is {x.dtype}; here it must be float32")
        shape, extents = self._fitting.get(x.shape) or self._fit(tuple(x.shape))
        y = torch.empty(shape)
        numbers = (ctypes.c_int64 * 5)() if counts else None
        wrong = self._run(
            self._layer, x.data_ptr(), extents, effort, skips_zeros, y.data_ptr(), numbers
        )
        if wrong:
            raise UserError(f"EsEffortConv: x of {tuple(x.shape)} does not fit")
        return y, CpuCounts(*numbers) if numbers is not None else None

    def _fit(self, x: tuple[int, ...]) -> tuple[tuple[int, ...], Any]:
        """The shape of the output, and that of `x` as C takes it; told once for every `x`, because
        that takes as long as a small layer."""
        (y,) = output_shapes("EsEffortConv", [x, (1,)], self.attributes)
        self._fitting[x] = y, (ctypes.c_int64 * len(x))(*x)
        return self._fitting[x]

    def __del__(self) -> None:
        layer: Any = getattr(self, "_layer", None)
        if layer:
            self._library.library.es_effort_cpu_free(layer)
