"""Any ONNX model on ONNX Runtime: what it takes, what it returns, what it computes.

For files that are not yet a bundle; a bundle runs through `edgesynth_rt.onnxruntime_runner`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from edgesynth.core.errors import UserError
from edgesynth.export.graph_view import numpy_name

Arrays = dict[str, npt.NDArray[np.generic]]
"""Tensor name to array."""


@dataclass(frozen=True)
class Tensor:
    """One input or output: numpy's name of its type; extents that are open are a name or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


def interface(model: onnx.ModelProto) -> tuple[list[Tensor], list[Tensor]]:
    """The inputs and the outputs of `model`, weights that old files list as inputs left out.

    Raises UserError where one of them is no tensor.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [_tensor(value) for value in model.graph.input if value.name not in weights]
    return inputs, [_tensor(value) for value in model.graph.output]


class Session:
    """`data`, the bytes of an ONNX file, ready to run; `what` names it in messages.

    Raises UserError when ONNX Runtime cannot load it.
    """

    def __init__(self, data: bytes, what: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what it would print is in the exception as well
        self._what = what
        try:
            self._session = onnxruntime.InferenceSession(
                data, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base but Exception
            raise UserError(f"{what} does not load in ONNX Runtime: {_first_line(error)}") from None

    def run(self, inputs: Arrays, batch: int | None = None) -> Arrays:
        """Outputs for `inputs`, first axis the samples; `batch` at a time where it is given.

        Raises UserError when the model does not run them.
        """
        samples = len(next(iter(inputs.values())))
        step = batch or samples
        parts: list[Arrays] = []
        for first in range(0, samples, step):
            part = {name: array[first : first + step] for name, array in inputs.items()}
            parts.append(self._run(part))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, inputs: Arrays) -> Arrays:
        names = [output.name for output in self._session.get_outputs()]
        try:
            outputs = self._session.run(names, inputs)
        except Exception as error:  # as above
            raise UserError(f"{self._what} does not run: {_first_line(error)}") from None
        for name, output in zip(names, outputs, strict=True):
            first = len(next(iter(inputs.values())))
            if not output.ndim or len(output) != first:
                raise UserError(
                    f'{self._what}: output "{name}" has shape {list(output.shape)} for a batch of '
                    f"{first}; a bundle needs the batch as first axis of every output"
                )
        return dict(zip(names, outputs, strict=True))


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise UserError(f'"{value.name}" is a sequence or optional; a bundle takes tensors only')
    shape: tuple[int | str | None, ...] | None = None
    if kind.HasField("shape"):
        shape = tuple(
            int(each.dim_value) if each.HasField("dim_value") else each.dim_param or None
            for each in kind.shape.dim
        )
    return Tensor(value.name, numpy_name(kind.elem_type), shape)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
