"""What is found out about one trained network beside its accuracy: latency here, predictions, and
whether its physical shrink is real."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import EdgesynthError, UserError
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.hardware.board import load_board
from edgesynth.hardware.energy import energy_gap
from edgesynth.hardware.layers import Precision
from edgesynth.hardware.onnx_graph import read_graph
from edgesynth.hardware.onnx_layers import layers_of
from edgesynth.networks import zoo
from edgesynth.networks.edgenet import apply_kept
from edgesynth.networks.network import Network
from edgesynth.tasks.pixels import to_input
from edgesynth.workflows.predict import predict_network
from edgesynth_rt.measure import measure
from edgesynth_rt.onnxruntime_runner import import_onnxruntime

BOARDS = ("tx1", "tx2")
PRECISIONS: tuple[Precision, ...] = ("fp16", "fp32")
OPSET, IR = 13, 7
_WARM_UP_MS, _DURATION_S, _CALLS = 50.0, 0.3, 30
_IMAGES = 32


def judge(network: Network, ancestor: Network, dataset: Dataset) -> dict[str, Any]:
    """Fields of a `Row`: latency measured in turns with `ancestor`, predictions, and the ONNX file
    against the network with its dead clusters masked."""
    model = onnx_bytes(network)
    graph = read_graph(model, network.name)
    found: dict[str, Any] = {
        "onnx_params": graph.params,
        "onnx_macs": sum(layer.macs for layer in layers_of(graph, network.name)),
        "logits_error": _logits_error(network, model, dataset),
        "predicted": _predicted(network),
        "not_predicted": {
            board: gap for board in BOARDS if (gap := energy_gap(load_board(board))) is not None
        },
    }
    try:
        own, others = latencies_ms([model, onnx_bytes(ancestor)], network.example_input().numpy())
    except EdgesynthError as error:
        return {**found, "latency_not_measured": str(error)}
    return {**found, "latency_p50_ms": own, "ancestor_latency_p50_ms": others}


def onnx_bytes(network: Network) -> bytes:
    """`network` as an ONNX file for one image."""
    example = network.example_input()
    return serialize(export_module(network.module, example, opset=OPSET, ir_version=IR).model)


def _predicted(network: Network) -> dict[str, dict[str, dict[str, float]]]:
    """Board -> precision -> what is predicted of the dense layers; sparsity gains nothing there."""
    by_precision = {
        precision: predict_network(network, BOARDS, precision=precision) for precision in PRECISIONS
    }
    return {
        board: {precision: values[board] for precision, values in by_precision.items()}
        for board in BOARDS
    }


Images = npt.NDArray[np.float32]


def _session(model: bytes) -> Callable[[Images], Images]:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(images: Images) -> Images:
        found: Images = session.run(None, {name: images})[0]
        return found

    return run


def latencies_ms(models: list[bytes], example: Images) -> list[float]:
    """p50 of each, measured in turns; a short measurement, for comparison within one run."""
    sessions = [_session(model) for model in models]

    def caller(run: Callable[[Images], Images]) -> Callable[[], None]:
        def call() -> None:
            run(example)

        return call

    series = measure(
        [caller(run) for run in sessions],
        warm_up_ms=_WARM_UP_MS,
        iterations=_CALLS,
        duration_s=_DURATION_S,
    )
    return [statistics.median(one.latency_ms) for one in series]


def _logits_error(network: Network, model: bytes, dataset: Dataset) -> float | None:
    """Largest difference between the shipped network and its masked twin, relative to the largest
    logit; None for an architecture that is not in the zoo."""
    twin = masked_twin(network)
    if twin is None:
        return None
    indices = np.arange(min(_IMAGES, len(dataset.validation)))
    images = to_input(dataset.validation.images(indices), network.description.preprocessing)
    with torch.no_grad():
        masked = twin(images).numpy()
    run = _session(model)
    shipped = np.concatenate([run(image[None]) for image in images.numpy()])
    return float(np.abs(masked - shipped).max() / np.abs(masked).max())


def masked_twin(network: Network) -> torch.nn.Module | None:
    """The whole architecture with the weights of `network` in their places and zeros elsewhere.

    Which places those are is found out by narrowing an architecture whose weights are numbered.
    None when the architecture is not in the zoo.
    """
    kind, _, name = network.description.architecture.source.partition(":")
    if kind != "zoo":
        return None
    arguments = network.description.architecture.arguments
    numbered, whole = zoo.build(name, **arguments).double(), zoo.build(name, **arguments)
    for tensor in _tensors(numbered).values():
        tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape))
    try:
        apply_kept(numbered, network.description.kept)
    except ValueError as error:
        raise UserError(f"{network.name}: {error}") from None
    own, places = _tensors(network.module), _tensors(numbered)
    for key, tensor in _tensors(whole).items():
        flat = torch.zeros(tensor.numel())
        flat[places[key].long().flatten()] = own[key].flatten()
        tensor.copy_(flat.reshape(tensor.shape))
    return whole.eval()


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and running statistics, detached, sharing memory with `module`."""
    return {
        name: tensor.detach()
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point()
    }
