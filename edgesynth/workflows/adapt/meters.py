"""What stages cost: counted, predicted for a board, or measured on this machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import torch

from edgesynth.core.errors import UserError
from edgesynth.dynamic.costs import Costs, Meter, costs_by, macs_of
from edgesynth.export.onnx_file import evaluating, export_module, serialize
from edgesynth.export.session import Arrays
from edgesynth.hardware.board import load_board
from edgesynth.hardware.energy import energy_gap, predict_energy_mj
from edgesynth.hardware.onnx_graph import read_graph
from edgesynth.hardware.onnx_layers import layers_of
from edgesynth.hardware.roofline import predict_latency_ms
from edgesynth.networks.exits import ExitNetwork, Part
from edgesynth.workflows.adapt.wanted import CostKind
from edgesynth_rt.measure import measure
from edgesynth_rt.onnxruntime_runner import import_onnxruntime
from edgesynth_rt.policy import confidence

DISPATCH_MS = 0.05
"""Assumed time on a board from the end of a stage to the start of the next one: the decision
crosses from the GPU to the processor and the next engine is enqueued."""
_PRECISION = "fp16"
_OPSET, _IR = 13, 7
_CALLS = 60
File = tuple[bytes, Arrays]
"""An ONNX model and examples of its inputs, of one sample."""


def exit_costs(network: ExitNetwork, image: tuple[int, int, int], kind: CostKind) -> Costs:
    """Costs of `network` by `kind`; image: (channels, height, width).

    Raises UserError where the board has no such prediction.
    """
    if kind.kind == "macs":
        return macs_of(network, image)

    def meter(parts: Sequence[Part]) -> list[float]:
        return file_costs(_files(parts, image), kind)

    metered: Meter = meter
    return costs_by(network, metered, kind.unit, hand_over(kind, network.classes))


def file_costs(files: Sequence[File], kind: CostKind) -> list[float]:
    """The cost of one inference of each of `files`."""
    if kind.kind == "measured":
        return _measured_ms(files)
    found = []
    for data, _ in files:
        layers = layers_of(read_graph(data, "stage"), "stage")
        if kind.kind == "macs":
            found.append(float(sum(layer.macs for layer in layers)))
            continue
        board = load_board(str(kind.device))
        ms = predict_latency_ms(layers, board, precision=_PRECISION)
        if kind.kind == "latency":
            found.append(ms)
            continue
        mj = predict_energy_mj(layers, board, precision=_PRECISION, latency_ms=ms)
        if mj is None:
            raise UserError(f"no energy is predicted for {board.name}: {energy_gap(board)}")
        found.append(mj)
    return found


def hand_over(kind: CostKind, classes: int) -> float:
    """Cost of a decision and of the way to the next stage, for each exit that is reached."""
    if kind.kind == "macs":
        return float(classes)
    if kind.kind == "latency":
        return DISPATCH_MS
    if kind.kind == "measured":
        logits, weights = np.zeros((1, classes), np.float32), np.ones(classes)
        return _median_ms([lambda: confidence("linear", logits, weights, 0.0)])[0]
    return 0.0  # nothing is known of it; it is far below what a stage takes


def _files(parts: Sequence[Part], image: tuple[int, int, int]) -> list[File]:
    known: dict[str, torch.Tensor] = {"input": torch.zeros(1, *image)}
    files = []
    for part in parts:
        taken = [known[name] for name in part.inputs]
        with evaluating(part):
            _, *others = part(*taken)
        known.update(zip(part.outputs, others, strict=True))
        names = ("logits", *(f"{name}_out" for name in part.outputs))
        model = export_module(
            part, *taken, opset=_OPSET, ir_version=_IR, input_names=part.inputs, output_names=names
        ).model
        arrays = {name: known[name].numpy() for name in part.inputs}
        files.append((serialize(model), arrays))
    return files


def _measured_ms(files: Sequence[File]) -> list[float]:
    """Median of each on one thread of this machine, measured in turns."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    calls = []
    for data, arrays in files:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        calls.append(lambda s=session, a=arrays: s.run(None, a))
    return _median_ms(calls)


def _median_ms(calls: Sequence[object]) -> list[float]:
    def quiet(call: object) -> object:
        def run() -> None:
            call()  # type: ignore[operator]

        return run

    series = measure(
        [quiet(call) for call in calls], warm_up_ms=20.0, iterations=_CALLS, duration_s=0.0
    )
    return [float(statistics.median(one.latency_ms)) for one in series]
