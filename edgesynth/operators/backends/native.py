"""Calls the entry points of a kernel library through ctypes; see `edgesynth.operators.entries`."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgesynth.core.errors import CheckError, MissingError
from edgesynth.operators.entries import entry_name
from edgesynth.operators.run import output_shapes
from edgesynth.operators.spec import Attributes, Kind
from edgesynth.operators.specs import operator_named

VARIABLE = "EDGESYNTH_KERNELS"
"""Names the folder that kernel libraries are searched in before the build folder."""
_BUILD = Path(__file__).parents[3] / "build" / "kernels"
_TYPES = {torch.float32: 0, torch.float16: 1}
"""Codes of kernels/common/launcher.h."""
_NUMBERS: dict[Kind, Any] = {"INT": ctypes.c_int32, "FLOAT": ctypes.c_float}


class Library:
    """A loaded kernel library."""

    def __init__(self, path: Path) -> None:
        """Raises MissingError when the file does not load."""
        self.path = path
        try:
            self.library = ctypes.CDLL(str(path))
        except OSError as error:
            reason = " ".join(str(error).split())[:300]
            raise MissingError(
                f"kernel library {path} does not load ({reason}); build it again"
            ) from None

    def set_order(self, order: int, seed: int = 0) -> None:
        """Let the emulation run threads forward (0), reversed (1) or at random (2)."""
        self.library.es_host_set_order(ctypes.c_int32(order), ctypes.c_uint64(seed))

    def run(
        self, name: str, inputs: tuple[torch.Tensor, ...], attributes: Attributes
    ) -> tuple[torch.Tensor, ...]:
        """The outputs of the operator type `name`.

        Raises MissingError when the library lacks the operator; CheckError with CUDA's name of the
        error when the kernel fails.
        """
        operator = operator_named(name)
        entry = getattr(self.library, entry_name(operator), None)
        if entry is None:
            raise MissingError(f"{self.path} holds no {operator.name}; build it again")
        shapes = output_shapes(name, [tuple(each.shape) for each in inputs], attributes)
        outputs = tuple(
            torch.empty(shape, dtype=_output_type(tensor.dtypes, inputs[0].dtype))
            for tensor, shape in zip(operator.outputs, shapes, strict=True)
        )
        shape = np.array(inputs[0].shape, np.int64)
        absent = len(operator.inputs) + bool(operator.residual) - len(inputs)
        status = entry(
            ctypes.c_int32(_TYPES[inputs[0].dtype]),
            _address(shape),
            *(ctypes.c_void_p(each.data_ptr()) for each in inputs),
            *[ctypes.c_void_p(None)] * absent,
            *attribute_arguments(
                attributes, {each.name: each.kind for each in operator.attributes}
            ),
            *(ctypes.c_void_p(each.data_ptr()) for each in outputs),
        )
        if status:
            raise CheckError(f"{operator.name} fails in {self.path.name}: {self._reason(status)}")
        return outputs

    def _reason(self, status: int) -> str:
        if not hasattr(self.library, "es_host_error_name"):
            return f"cudaError {status}"
        for function in (self.library.es_host_error_name, self.library.es_host_message):
            function.restype = ctypes.c_char_p
        name = self.library.es_host_error_name(ctypes.c_int32(status)).decode()
        message = self.library.es_host_message().decode()
        return f"{name}: {message}" if message else name


@cache
def open_library(kind: str) -> Library:
    """The library of `kind`, `host`, `gpu` or `cpu` (`edgesynth.operators.effort_cpu`).

    It is looked for in $EDGESYNTH_KERNELS, then in the build folder.

    Raises MissingError saying how to build it.
    """
    file = f"libedgesynth_kernels_{kind}.so"
    places = [_BUILD / ("cuda" if kind == "gpu" else "host") / file]
    if VARIABLE in os.environ:
        places.insert(0, Path(os.environ[VARIABLE]) / file)
    for place in places:
        if place.is_file():
            return Library(place)
    folder = places[-1].parent
    make = f"cmake -S kernels -B {folder} -DES_EMULATION=ON && cmake --build {folder}"
    if kind == "cpu":
        make += " --target edgesynth_kernels_cpu"
    if kind == "gpu":
        make = "kernels/gpu.sh test"
    raise MissingError(f"there is no {file}; build it in the repository: {make}")


def attribute_arguments(attributes: Attributes, kinds: dict[str, Kind]) -> Iterator[Any]:
    """Attributes as C takes them; the arrays live as long as `attributes` do."""
    for name, kind in kinds.items():
        value = attributes[name]
        if kind in _NUMBERS:
            yield _NUMBERS[kind](value)
        elif kind == "INTS":
            yield (ctypes.c_int32 * len(value))(*value)
        else:
            yield _address(value)
            yield ctypes.c_int64(value.size)


def _address(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _output_type(dtypes: tuple[str, ...], given: torch.dtype) -> torch.dtype:
    if len(dtypes) > 1:
        return given
    return torch.int32 if dtypes[0] == "int32" else torch.float32
