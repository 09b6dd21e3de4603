"""Wall-clock time of staged execution beside that of the whole network, on this machine."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from edgesynth.core.dataset import Dataset
from edgesynth.core.progress import Progress
from edgesynth.dynamic.answers import Answers
from edgesynth.export.golden import preprocess
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.export.staged import INPUT, StagedCandidate, export_parts
from edgesynth.export.staged_bundle import write_staged_bundle
from edgesynth.hardware.target import load_target
from edgesynth.networks.exits import ExitNetwork
from edgesynth.networks.network import Network
from edgesynth.workflows.adapt.exits import stage_ids
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner, import_onnxruntime
from edgesynth_rt.policy import Policy
from edgesynth_rt.staged import STAGE

_IMAGES, _WARM_UP = 600, 40
_GOLDEN = 8


def clock(
    network: Network, answers: Answers, policy: Policy, dataset: Dataset, progress: Progress
) -> dict[str, float]:
    """Milliseconds of one image at a time with ONNX Runtime on one thread, the first test images.

    network: with exits; answers: recorded ones of these images, which what is executed is compared
    with. Both ways take turns, image by image. `speedup` is the ratio of the means,
    `of_mac_ratio` that over the ratio of MACs of the same images; `first_stage_ms` the median of
    those that leave first.
    """
    if not isinstance(network.module, ExitNetwork):
        raise TypeError(f"{network.name} has no exits")
    count = min(_IMAGES, len(dataset.test))
    images = preprocess(dataset.test.images(np.arange(count)), network.description.preprocessing)
    with tempfile.TemporaryDirectory(prefix="edgesynth-") as folder:
        place = Path(folder) / "clocked.bundle"
        _write(place, network, network.module, policy, images)
        with open_bundle(place) as bundle:
            staged = OnnxRuntimeRunner(bundle, threads=1)
            whole = _session(network)
            times, left = _in_turns(staged, whole, images, progress)
    wanted = policy.simulate(answers.take(np.arange(count)).recorded())
    costs = wanted.visited.dot(np.asarray(policy.costs))
    full = float(np.sum(policy.costs)) if policy.costs else float("nan")
    mac_ratio = full / float(costs.mean())
    speedup = float(times[1].mean() / times[0].mean())
    return {
        "images": float(count),
        "same_exit": float((left == wanted.left).mean()),
        **_quantiles("staged", times[0]),
        **_quantiles("whole", times[1]),
        "first_stage_ms": float(np.median(times[0][left == left.min()])),
        "speedup": speedup,
        "mac_ratio": mac_ratio,
        "of_mac_ratio": speedup / mac_ratio,
    }


def _write(
    place: Path,
    network: Network,
    module: ExitNetwork,
    policy: Policy,
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    target = load_target("onnxruntime")
    inputs = images[:_GOLDEN]
    candidate = StagedCandidate(
        name=network.name,
        stages=export_parts(
            module.parts(), stage_ids(network.description.exits), inputs, target, 1
        ),
        batch=1,
        golden_inputs={INPUT: inputs},
        preprocessing=network.description.preprocessing,
        labels=(),
        accuracy={},
        cost={},
        parent=None,
    )
    write_staged_bundle(candidate, policy, target, place)


def _session(network: Network) -> object:
    target = load_target("onnxruntime")
    module = network.module.backbone
    model = export_module(
        module,  # type: ignore[arg-type]
        network.example_input(),
        opset=target.opset.export,
        ir_version=target.ir.export,
    ).model
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        serialize(model), options, providers=["CPUExecutionProvider"]
    )


def _in_turns(
    staged: OnnxRuntimeRunner,
    whole: object,
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    progress: Progress,
) -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    np.ndarray[tuple[int, ...], np.dtype[np.int64]],
]:
    """(milliseconds of both ways, (2, images)), stages that answered)."""
    times = np.zeros((2, len(images)))
    left = np.zeros(len(images), np.int64)
    with progress.track("measure stages and whole network", len(images)) as task:
        for index in range(-_WARM_UP, len(images)):
            inputs = {INPUT: images[index % len(images)][None]}
            begin = time.perf_counter()
            made = staged.run(inputs)
            middle = time.perf_counter()
            whole.run(None, inputs)  # type: ignore[attr-defined]
            end = time.perf_counter()
            if index >= 0:
                times[:, index] = 1e3 * (middle - begin), 1e3 * (end - middle)
                left[index] = made[STAGE][0]
                task.advance()
    return times, left


def _quantiles(
    name: str, times: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> dict[str, float]:
    return {
        f"{name}_mean_ms": float(times.mean()),
        f"{name}_p50_ms": float(np.percentile(times, 50)),
        f"{name}_p99_ms": float(np.percentile(times, 99)),
    }
