"""A user's own ONNX file becomes a candidate for a bundle."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.core.provenance import versions
from edgesynth.export.candidate import (
    UNKNOWN_TASK,
    Batch,
    Candidate,
    checked_labels,
    is_classifier,
    require_finite,
)
from edgesynth.export.custom_layers import choose_operators
from edgesynth.export.golden import (
    data_pixels,
    noise_pixels,
    preprocess,
    random_inputs,
    samples_for,
)
from edgesynth.export.layer_choice import Mode
from edgesynth.export.onnx_file import BATCH_SYMBOL, serialize
from edgesynth.export.opset import to_target
from edgesynth.export.options import fit_channels
from edgesynth.export.session import Arrays, Session, Tensor, interface
from edgesynth.export.tidy import tidy
from edgesynth.hardware.onnx_layers import read_layers
from edgesynth.hardware.target import Target
from edgesynth_rt.files import write_bytes

_IMAGE_CHANNELS = (1, 2, 3, 4)


def from_onnx(
    path: Path,
    target: Target,
    *,
    batch: int | str | None = None,
    input_shape: Sequence[int] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: tuple[str, ...] = (),
    data: Dataset | None = None,
    operators: Mode = "auto",
    seed: int = 0,
) -> Candidate:
    """Fit the file at `path` to `target` and compute its golden outputs in ONNX Runtime.

    `batch`: a number, "dynamic", or None for the file's own (1 where that is open). `input_shape`
    (channels, height, width) fixes extents that the file leaves open. The opset is converted only
    where that changes no result.

    Raises UserError, in one line that names the file, when it is cut, invalid, cannot be converted,
    or does not fit what is asked.
    """
    model = read_onnx(path)
    fixed = _fix_extents(model, path, batch, input_shape)
    inputs, _ = interface(model)
    if preprocessing is not None and len(inputs[0].shape or ()) == 4:
        preprocessing = fit_channels(preprocessing, _sides(inputs[0])[0], str(path))
    golden = _golden_inputs(inputs, path, preprocessing, data, samples_for(fixed), seed)
    outputs = Session(serialize(model), str(path)).run(golden, fixed)
    require_finite(outputs, str(path))
    tidy(model)
    fitted = to_target(model, target, path, golden, outputs, fixed)
    cost = _cost(fitted)
    chosen = choose_operators(fitted, None, target, operators)
    return Candidate(
        name=path.stem,
        task="classification" if is_classifier(outputs) else UNKNOWN_TASK,
        model=fitted,
        batch=fixed,
        golden_inputs=golden,
        golden_outputs=outputs,
        preprocessing=preprocessing,
        labels=checked_labels(labels, outputs, str(path)),
        accuracy={},
        cost=cost,
        parent=hashlib.sha256(path.read_bytes()).hexdigest(),
        versions=versions("onnx", "onnxruntime"),
        operators=chosen.layers,
        warnings=chosen.notes,
    )


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model in the file at `path` with all weights inside, checked.

    Raises UserError naming the file when it is absent, cut, or not valid ONNX.
    """
    try:
        data = path.read_bytes()
        if not data:
            raise UserError(f"{path} is empty; copy or export it again")
        model = onnx.load_from_string(data)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UserError:
        raise
    except Exception:  # the class of protobuf's decoding error depends on its implementation
        raise UserError(
            f"{path} is not a whole ONNX file (cut short or damaged, {len(data)} bytes); "
            "copy or export it again"
        ) from None
    if not model.graph.node:
        raise UserError(f"{path} holds no network; export it again")
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        if not all(value.type.tensor_type.HasField("shape") for value in model.graph.output):
            model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
    except Exception as error:  # checker, external data and protobuf have no common error
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path} is not valid ONNX: {reason}; export it again") from None
    return model


def _fix_extents(
    model: onnx.ModelProto, path: Path, batch: int | str | None, input_shape: Sequence[int] | None
) -> Batch:
    """Write batch and input shape into the model's inputs; returns the batch."""
    weights = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in weights]
    if not values:
        raise UserError(f"{path} takes no input; there is nothing to run")
    if input_shape is not None and len(values) > 1:
        raise UserError(f"{path} has {len(values)} inputs; --input-shape is for files with one")
    fixed: Batch = None
    for value in values:
        extents = value.type.tensor_type.shape.dim
        if not extents:
            raise UserError(f'{path}: input "{value.name}" states no shape; export it with one')
        fixed = _fix_batch(extents[0], path, batch)
        for axis, extent in enumerate(extents[1:]):
            stated = extent.dim_value if extent.HasField("dim_value") else None
            wanted = None if input_shape is None else _at(input_shape, axis, path, len(extents))
            if stated is None and wanted is None:
                raise UserError(
                    f'{path}: input "{value.name}" leaves axis {axis + 1} open; '
                    "give its size, for example --input-shape 3x224x224"
                )
            if stated is not None and wanted not in (None, stated):
                raise UserError(
                    f'{path}: input "{value.name}" has {stated} on axis {axis + 1}, '
                    f"--input-shape says {wanted}"
                )
            extent.dim_value = stated or wanted or 1
    _forget_output_extents(model, fixed)
    return fixed


def _at(input_shape: Sequence[int], axis: int, path: Path, rank: int) -> int:
    if len(input_shape) != rank - 1:
        raise UserError(
            f"{path}: the input has {rank - 1} axes behind the batch, --input-shape has "
            f"{len(input_shape)}"
        )
    return input_shape[axis]


def _fix_batch(
    extent: onnx.TensorShapeProto.Dimension, path: Path, batch: int | str | None
) -> Batch:
    stated = extent.dim_value if extent.HasField("dim_value") else None
    if stated is not None and batch not in (None, stated):
        raise UserError(
            f"{path} has a fixed batch of {stated}, not {batch}; "
            f"leave --batch out, or export the file with that batch"
        )
    if stated is None and batch == "dynamic":
        extent.dim_param = BATCH_SYMBOL
        return None
    extent.dim_value = stated or (batch if isinstance(batch, int) else 1)
    return int(extent.dim_value)


def _forget_output_extents(model: onnx.ModelProto, batch: Batch) -> None:
    """Extents that were stated for the open input may not fit any more; they are inferred anew."""
    for value in model.graph.output:
        for axis, extent in enumerate(value.type.tensor_type.shape.dim):
            if axis == 0 and batch is None:
                extent.dim_param = BATCH_SYMBOL
            elif not extent.HasField("dim_value"):
                extent.Clear()
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    del model.graph.output[:]
    model.graph.output.extend(inferred.graph.output)


def _golden_inputs(
    inputs: list[Tensor],
    path: Path,
    preprocessing: Preprocessing | None,
    data: Dataset | None,
    samples: int,
    seed: int,
) -> Arrays:
    first, shape = inputs[0].shape or (), _sides(inputs[0])
    image = len(inputs) == 1 and len(first) == 4 and inputs[0].dtype == "float32"
    if image and (data is not None or preprocessing is not None or shape[0] in _IMAGE_CHANNELS):
        pixels = (
            noise_pixels(samples, shape, seed)
            if data is None
            else data_pixels(data, samples, shape, seed)
        )
        plain = Preprocessing(mean=(0.0,) * shape[0], std=(1.0,) * shape[0])
        return {inputs[0].name: preprocess(pixels, preprocessing or plain)}
    if data is not None or preprocessing is not None:
        raise UserError(
            f"{path} takes {len(inputs)} inputs, the first {inputs[0].dtype} {list(first)}; "
            "--data, --mean and --std are for one float32 image of shape (batch, C, H, W)"
        )
    return random_inputs(inputs, samples, seed)


def _sides(tensor: Tensor) -> list[int]:
    """Extents behind the batch; all are known after `_fix_extents`."""
    return [int(extent or 1) for extent in (tensor.shape or ())[1:]]


def _cost(model: onnx.ModelProto) -> dict[str, int | None]:
    """Parameters and bytes of the floating-point weights; MACs where every layer's is known."""
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).kind == "f"
    ]
    with tempfile.TemporaryDirectory(prefix="edgesynth-") as folder:
        path = Path(folder) / "model.onnx"
        write_bytes(path, serialize(model))
        try:
            macs = sum(layer.macs for layer in read_layers(path))
        except UserError:
            macs = None
    return {
        "params": sum(weight.size for weight in weights),
        "macs": macs,
        "size_bytes": sum(weight.nbytes for weight in weights),
    }
