"""A network in memory becomes a candidate for a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import CheckError, UserError
from edgesynth.core.network import NetworkDescription, Preprocessing
from edgesynth.core.provenance import versions
from edgesynth.export.candidate import (
    UNKNOWN_TASK,
    Batch,
    Candidate,
    checked_labels,
    counted_labels,
    is_classifier,
    is_segmenter,
    require_finite,
)
from edgesynth.export.custom_layers import choose_operators
from edgesynth.export.golden import data_pixels, noise_pixels, preprocess, samples_for
from edgesynth.export.layer_choice import Mode
from edgesynth.export.onnx_file import evaluating, export_module, run_module, serialize
from edgesynth.export.precision import carry, for_target
from edgesynth.export.session import Arrays, Session
from edgesynth.hardware.counting import count
from edgesynth.hardware.target import Target
from edgesynth.networks.network import Network
from edgesynth.tasks.detection import has_head, head_of


def from_network(
    network: Network,
    target: Target,
    *,
    batch: Batch = 1,
    preprocessing: Preprocessing | None = None,
    labels: tuple[str, ...] = (),
    data: Dataset | None = None,
    output_names: Sequence[str] = (),
    operators: Mode = "auto",
    seed: int = 0,
) -> Candidate:
    """Write `network` for `target` and compute its golden outputs in PyTorch, float32.

    `preprocessing` None says that it is not known; golden inputs then are pixels scaled to 0..1.
    Golden inputs are images of `data`'s validation split, without it seeded noise. `operators` says
    which layers become custom operators, see `layer_choice.choose`.

    Raises UserError when the network cannot run, cannot be written, or does not fit the labels or
    the data; CheckError when its outputs are not finite.
    """
    description = network.description
    network.apply_masks()
    source, network = network, for_target(network, target)
    example = _on_device(network, torch.zeros(batch or 1, *description.input_shape))
    exported = export_module(
        network.module,
        example,
        opset=target.opset.export,
        ir_version=target.ir.export,
        dynamic_batch=batch is None,
        output_names=output_names,
    )
    chosen = choose_operators(exported.model, network, target, operators)
    carried = carry(exported.model, source, network, target, chosen.packed)
    names = [output.name for output in exported.model.graph.output]
    inputs = _golden_inputs(network, preprocessing, data, samples_for(batch), seed)
    if batch is None:
        _require_open_batch(exported.model, inputs, network.name)
    outputs = run_network(network, inputs, names)
    require_finite(outputs, network.name)
    head = head_of(network.module).postprocessing() if has_head(network.module) else None
    return Candidate(
        name=network.name,
        task=_task(network, outputs),
        model=exported.model,
        batch=batch,
        golden_inputs=inputs,
        golden_outputs=outputs,
        preprocessing=preprocessing,
        labels=_labels(labels, outputs, head, network.name),
        accuracy=_accuracy(description),
        cost=_cost(network),
        parent=description.weights_sha256 or None,
        versions=versions("torch", "onnx"),
        postprocessing=head,
        precision=carried.document,
        range_tolerance=carried.range_tolerance,
        operators=chosen.layers,
        warnings=(*exported.warnings, *chosen.notes, *carried.notes),
    )


def _labels(
    labels: tuple[str, ...], outputs: Arrays, head: Mapping[str, Any] | None, name: str
) -> tuple[str, ...]:
    if head is None:
        return checked_labels(labels, outputs, name)
    return counted_labels(labels, head["classes"], name)


def _cost(network: Network) -> dict[str, int | None]:
    cost = count(network.module, network.description.input_shape)
    return {"params": cost.params, "macs": cost.macs, "size_bytes": cost.size_bytes}


def _accuracy(description: NetworkDescription) -> dict[str, Any]:
    return {**description.accuracy, **({"data": description.data} if description.data else {})}


def _task(network: Network, outputs: Arrays) -> str:
    if has_head(network.module):
        return "detection"
    task = network.description.task
    if task == "segmentation":
        return task if is_segmenter(outputs) else UNKNOWN_TASK
    return task if is_classifier(outputs) else UNKNOWN_TASK


def run_network(network: Network, inputs: Arrays, names: Sequence[str]) -> Arrays:
    """Outputs of `network` in PyTorch by `names`, in the order in which the module returns them.

    `inputs`: {"input": (samples, channels, height, width)}; samples run one by one, so that the
    numbers do not depend on how many there are. Raises UserError when the module cannot run them
    or returns another number of outputs.
    """
    rows: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    with evaluating(network.module):
        for sample in torch.tensor(next(iter(inputs.values()))):
            made = run_module(network.module, _on_device(network, sample[None]))
            if len(made) != len(names):
                raise UserError(
                    f"{network.name} returns {len(made)} outputs, {len(names)} are compared; "
                    "give the network that the bundle was made from"
                )
            for name, tensor in zip(names, made.values(), strict=True):
                rows[name].append(tensor.cpu())
    return {name: _stacked(name, tensors) for name, tensors in rows.items()}


def _require_open_batch(model: onnx.ModelProto, inputs: Arrays, name: str) -> None:
    """Raise CheckError when the file cannot run two samples at once, although it should."""
    pair = {key: array[:2] for key, array in inputs.items()}
    try:
        Session(serialize(model), name).run(pair)
    except UserError as error:
        raise CheckError(
            f"the batch of the example is frozen into the file ({error}); write x.flatten(1) "
            "instead of a reshape with the batch as a Python number, or export with --batch 1"
        ) from None


def _stacked(name: str, tensors: list[torch.Tensor]) -> npt.NDArray[np.generic]:
    if not all(tensor.dim() and len(tensor) == 1 for tensor in tensors):
        raise UserError(
            f'output "{name}" has shape {list(tensors[0].shape)} for a batch of 1; '
            "a bundle needs the batch as first axis of every output"
        )
    return torch.cat(tensors).numpy()


def _golden_inputs(
    network: Network,
    preprocessing: Preprocessing | None,
    data: Dataset | None,
    samples: int,
    seed: int,
) -> Arrays:
    shape = network.description.input_shape
    if data is None:
        pixels = noise_pixels(samples, shape, seed)
    else:
        pixels = data_pixels(data, samples, shape, seed)
    plain = Preprocessing(mean=(0.0,) * shape[0], std=(1.0,) * shape[0])
    return {"input": preprocess(pixels, preprocessing or plain)}


def _on_device(network: Network, batch: torch.Tensor) -> torch.Tensor:
    parameter = next(network.module.parameters(), None)
    return batch if parameter is None else batch.to(parameter.device)
