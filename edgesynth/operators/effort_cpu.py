"""EsEffortConv compiled for this machine's processor: `kernels/effort/cpu`, called through ctypes.

What the knobs leave out saves time here: for 16 neighbouring outputs of a filter at once, or where
few of them are left for each by itself. Outputs are those of the reference; exact saturation
changes no bit, and leaving out zeros none where no other knob is on.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgesynth.core.errors import UserError
from edgesynth.operators.backends.native import Library, attribute_arguments, open_library
from edgesynth.operators.effort_spec import EFFORT_CONV
from edgesynth.operators.run import output_shapes
from edgesynth.operators.spec import Attributes

LIBRARY = "cpu"
"""Its name for `open_library`."""


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
        kinds = {each.name: each.kind for each in EFFORT_CONV.attributes}
        self._layer = ctypes.c_void_p(make(*attribute_arguments(self.attributes, kinds)))
        if not self._layer:
            raise UserError(f"EsEffortConv: {self._library.path.name} refuses these attributes")

    def run(
        self, x: torch.Tensor, effort: int = 0, *, skips_zeros: bool = False, counts: bool = False
    ) -> tuple[torch.Tensor, CpuCounts | None]:
        """The output for x (N, C, H, W) float32, and what was done where `counts` is true.

        skips_zeros: leave out columns whose 16 inputs are all zero. Counting takes time of its own.
        """
        x = x.detach().contiguous()
        if x.dtype != torch.float32:
            raise UserError(f"EsEffortConv: x is {x.dtype}; here it must be float32")
        shapes = output_shapes("EsEffortConv", [tuple(x.shape), (1,)], self.attributes)
        y = torch.empty(shapes[0])
        shape, numbers = np.array(x.shape, np.int64), np.zeros(5, np.int64)
        wrong = self._library.library.es_effort_cpu_run(
            self._layer,
            ctypes.c_void_p(x.data_ptr()),
            ctypes.c_void_p(shape.ctypes.data),
            ctypes.c_int32(effort),
            ctypes.c_int32(skips_zeros),
            ctypes.c_void_p(y.data_ptr()),
            ctypes.c_void_p(numbers.ctypes.data if counts else None),
        )
        if wrong:
            raise UserError(f"EsEffortConv: x of {tuple(x.shape)} does not fit")
        return y, CpuCounts(*map(int, numbers)) if counts else None

    def __del__(self) -> None:
        layer: Any = getattr(self, "_layer", None)
        if layer:
            self._library.library.es_effort_cpu_free(layer)
