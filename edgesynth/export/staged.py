"""Networks of several stages, or several networks, become one candidate for a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper

from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.core.provenance import versions
from edgesynth.export.candidate import Candidate
from edgesynth.export.onnx_file import evaluating, export_module
from edgesynth.export.session import Arrays, interface
from edgesynth.export.tidy import nested_graphs
from edgesynth.hardware.target import Target
from edgesynth.networks.exits import Part

INPUT = "input"


@dataclass(frozen=True)
class StageFile:
    """One stage: its id, its model, and examples of its tensors, which tell types and shapes."""

    id: str
    model: onnx.ModelProto
    inputs: Arrays
    outputs: Arrays
    """The logits first."""

    @property
    def logits(self) -> str:
        """Name of the tensor with the classes."""
        return next(iter(self.outputs))


@dataclass(frozen=True, kw_only=True)
class StagedCandidate:
    """A bundle of several stages, not yet verified; what decides among them is added later."""

    name: str
    stages: tuple[StageFile, ...]
    batch: int | None
    golden_inputs: Arrays
    preprocessing: Preprocessing | None
    labels: tuple[str, ...]
    accuracy: Mapping[str, float | str]
    cost: Mapping[str, int | None]
    """Of all stages together, as if no input left early."""
    parent: str | None
    versions: Mapping[str, str] = field(default_factory=lambda: versions("torch", "onnx"))
    warnings: tuple[str, ...] = ()

    @property
    def golden_outputs(self) -> Arrays:
        """The logits of every stage."""
        return {each.logits: each.outputs[each.logits] for each in self.stages}


def export_parts(
    parts: Sequence[Part],
    ids: Sequence[str],
    inputs: npt.NDArray[np.float32],
    target: Target,
    batch: int | None,
) -> tuple[StageFile, ...]:
    """One ONNX model for each part of a network with exits, at `target`'s opset.

    inputs: golden images, (samples, channels, height, width). A part's logits are called
    `ID_logits`. Golden values are computed in PyTorch, one sample at a time.
    """
    known: dict[str, torch.Tensor] = {INPUT: torch.from_numpy(inputs)}
    files = []
    for part, name in zip(parts, ids, strict=True):
        outputs = (f"{name}_logits", *part.outputs)
        taken = [known[each] for each in part.inputs]
        with evaluating(part):
            rows = [part(*(t[k : k + 1] for t in taken)) for k in range(len(inputs))]
        made = [torch.cat(each) for each in zip(*rows, strict=True)]
        known.update(zip(outputs, made, strict=True))
        exported = export_module(
            part,
            *(t[: batch or 1] for t in taken),
            opset=target.opset.export,
            ir_version=target.ir.export,
            dynamic_batch=batch is None,
            input_names=part.inputs,
            output_names=outputs,
        )
        files.append(
            StageFile(
                name,
                exported.model,
                {each: known[each].numpy() for each in part.inputs},
                {each: known[each].numpy() for each in outputs},
            )
        )
    return tuple(files)


def stage_of(candidate: Candidate, name: str, shared: Preprocessing | None) -> StageFile:
    """A whole network as the stage `name` of a bundle whose images are preprocessed as `shared`.

    Its one input is called `input`, its logits `NAME_logits`; where the network was trained with
    other preprocessing, the difference becomes its first nodes. Raises UserError where the network
    is no classifier of single images, or its preprocessing is not known.
    """
    ins, outs = interface(candidate.model)
    if len(ins) != 1 or len(outs) != 1 or len(outs[0].shape or ()) != 2:
        raise UserError(
            f"{candidate.name} is no classifier with one input and one output (batch, classes)"
        )
    model = onnx.ModelProto()
    model.CopyFrom(candidate.model)
    _rename(model, {ins[0].name: INPUT, outs[0].name: f"{name}_logits"}, prefix=f"{name}/")
    if candidate.preprocessing != shared:
        if candidate.preprocessing is None or shared is None:
            raise UserError(f"{candidate.name} does not say how images are preprocessed")
        _prepend(model, candidate.preprocessing, shared)
    (inputs,) = candidate.golden_inputs.values()
    (outputs,) = candidate.golden_outputs.values()
    return StageFile(name, model, {INPUT: inputs}, {f"{name}_logits": outputs})


def _rename(model: onnx.ModelProto, names: Mapping[str, str], prefix: str) -> None:
    """Give tensors of `names` these names, and every other one `prefix`."""

    def new(name: str) -> str:
        return names.get(name, prefix + name) if name else name

    def walk(graph: onnx.GraphProto) -> None:
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            value.name = new(value.name)
        for node in graph.node:
            node.input[:] = [new(each) for each in node.input]
            node.output[:] = [new(each) for each in node.output]
            for inner in nested_graphs(node):
                walk(inner)

    walk(model.graph)


def _prepend(model: onnx.ModelProto, own: Preprocessing, shared: Preprocessing) -> None:
    """Images preprocessed as `shared` become those preprocessed as `own`: x * a + b."""
    mean, std = (np.asarray(each, np.float64) for each in (own.mean, own.std))
    there_mean, there_std = (np.asarray(each, np.float64) for each in (shared.mean, shared.std))
    scale = own.scale / shared.scale * there_std / std
    offset = (own.scale / shared.scale * there_mean - mean) / std
    channels = max(len(mean), len(there_mean))
    values = {
        "preprocessing/scale": np.broadcast_to(scale, (channels,)),
        "preprocessing/offset": np.broadcast_to(offset, (channels,)),
    }
    for node in model.graph.node:
        node.input[:] = ["preprocessing/image" if n == INPUT else n for n in node.input]
    first = [
        helper.make_node("Mul", [INPUT, "preprocessing/scale"], ["preprocessing/scaled"]),
        helper.make_node(
            "Add", ["preprocessing/scaled", "preprocessing/offset"], ["preprocessing/image"]
        ),
    ]
    nodes = [*first, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value.astype(np.float32).reshape(1, channels, 1, 1), name)
        for name, value in values.items()
    )
