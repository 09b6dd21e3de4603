"""What the knobs of `edgesynth adapt --method effort` save in time on this machine's processor.

Every layer with knobs, one image at a time, on what it sees of test images: the compiled operator
with the knobs, with zeros skipped besides, the same operator with everything computed, and ONNX
Runtime's convolution. Then the whole network. Operations stand beside the times, never for them.

    edgesynth adapt alexnet.edgenet --method effort --data fashion-mnist --max-loss 0.5 --out tuned
    python benchmarks/effort_cpu/run.py alexnet.edgenet tuned --data fashion-mnist \\
        --out benchmarks/results/effort_cpu_alexnet.json

Needs the library of processors: cmake -S kernels -B build/kernels/host -DES_EMULATION=ON, then
cmake --build build/kernels/host.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from edgesynth.core.provenance import versions
from edgesynth.data.source import load_dataset
from edgesynth.dynamic.effort.execution import EffortModule
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork, with_knobs
from edgesynth.dynamic.effort.settings import restore
from edgesynth.networks import edgenet
from edgesynth.operators.effort_cpu import CpuEffortConv
from edgesynth.tasks.pixels import to_input
from edgesynth_rt.files import write_json

Run = Callable[[torch.Tensor], Any]


def main() -> None:
    """Time everything in turns, so that what else the machine does meets all alike."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("adapted", type=Path, help="Folder that adapt --method effort wrote.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    document = json.loads((options.adapted / "adaptation.json").read_text("utf-8"))
    network = edgenet.load(options.network)
    effort = with_knobs(network.module)
    restore(effort, document["knobs"])
    test = load_dataset(options.data).test
    indices = np.arange(options.images)
    images = to_input(test.images(indices), network.description.preprocessing)
    with torch.inference_mode():
        layers = [
            _layer(name, module, seen, options)
            for name, module, seen in _seen(effort, images)
            if not module.knobs.off
        ]
        whole = _whole(network.module, effort, images, options)
    write_json(
        options.out,
        {
            "network": str(options.network),
            "data": options.data,
            "images": options.images,
            "rounds": options.rounds,
            "threads": options.threads,
            "machine": {"processor": _processor(), "system": platform.platform()},
            "accuracy": document["test"]["accuracy"],
            "operations": document["test"]["operations"],
            "layers": layers,
            "whole": whole,
            "versions": versions("torch", "onnxruntime", "numpy"),
        },
    )


def _layer(
    name: str, module: EffortModule, seen: list[torch.Tensor], options: argparse.Namespace
) -> dict[str, Any]:
    dense = CpuEffortConv({**module.attributes, **Knobs().attributes(module.layer.channels)})
    tuned, level = CpuEffortConv(module.attributes), module.knobs.level
    session = _session(_plain(module), seen[0], options.threads)
    times = _times(
        {
            "dense": dense.run,
            "zeros_skipped": lambda x: dense.run(x, skips_zeros=True),
            "knobs": lambda x: tuned.run(x, level),
            "knobs_and_zeros_skipped": lambda x: tuned.run(x, level, skips_zeros=True),
            "onnxruntime": session,
        },
        seen,
        options.rounds,
    )
    module.tally = Tally()
    for x in seen:
        module(x)
    found, module.tally = module.tally, None
    return {
        "layer": name,
        "weights": list(module.layer.weights.shape),
        "input": list(seen[0].shape[1:]),
        "knobs": list(module.knobs.names),
        "times_fewer_operations": found.dense / found.operations,
        "times_fewer_executed": found.dense / max(found.executed, 1),
        **times,
    }


def _whole(
    plain: nn.Module, effort: EffortNetwork, images: torch.Tensor, options: argparse.Namespace
) -> dict[str, Any]:
    """All layers; what is no convolution runs in torch, but for ONNX Runtime."""
    network = Compiled(effort)
    session = _session(plain.eval(), images[:1], options.threads)
    return _times(
        {
            "dense": lambda x: network(x, knobs=False, skips_zeros=False),
            "zeros_skipped": lambda x: network(x, knobs=False, skips_zeros=True),
            "knobs": lambda x: network(x, knobs=True, skips_zeros=False),
            "knobs_and_zeros_skipped": lambda x: network(x, knobs=True, skips_zeros=True),
            "onnxruntime": session,
        },
        [images[i : i + 1] for i in range(len(images))],
        options.rounds,
    )


class Compiled:
    """The network with the compiled operator for every convolution."""

    def __init__(self, effort: EffortNetwork) -> None:
        self.effort = effort
        self.knobs, self.skips_zeros = True, False
        for module in effort.modules.values():
            tuned = CpuEffortConv(module.attributes)
            off = Knobs().attributes(module.layer.channels)
            dense = CpuEffortConv({**module.attributes, **off})
            module.forward = self._forward(tuned, dense, module.knobs.level)  # type: ignore[method-assign]

    def _forward(self, tuned: CpuEffortConv, dense: CpuEffortConv, level: int) -> Run:
        def forward(x: torch.Tensor) -> torch.Tensor:
            chosen, effort = (tuned, level) if self.knobs else (dense, 0)
            return chosen.run(x, effort, skips_zeros=self.skips_zeros)[0]

        return forward

    def __call__(self, x: torch.Tensor, *, knobs: bool, skips_zeros: bool) -> Any:
        self.knobs, self.skips_zeros = knobs, skips_zeros
        return self.effort.module(x)


def _plain(module: EffortModule) -> nn.Module:
    """The layer as torch has it, normalization folded in."""

    class Plain(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return module.dense(x)

    return Plain()


def _session(module: nn.Module, example: torch.Tensor, threads: int) -> Run:
    """`module` in ONNX Runtime."""
    buffer = io.BytesIO()
    torch.onnx.export(module, (example,), buffer, input_names=["x"], opset_version=13, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, ["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x.numpy()})


def _times(runs: dict[str, Run], inputs: list[torch.Tensor], rounds: int) -> dict[str, Any]:
    """Milliseconds of each run: per input the best of the rounds, then the mean over inputs.

    The best, as everything else that the machine does can only add; the mean, as what is left out
    depends on the input.
    """
    best = {name: [float("inf")] * len(inputs) for name in runs}
    for round_ in range(rounds + 1):
        for index, x in enumerate(inputs):
            for name, run in runs.items():
                start = time.perf_counter()
                run(x)
                spent = 1e3 * (time.perf_counter() - start)
                if round_:  # the first one warms up
                    best[name][index] = min(best[name][index], spent)
    means = {name: statistics.fmean(each) for name, each in best.items()}
    return {
        "ms": means,
        "times_faster_than_dense": {name: means["dense"] / ms for name, ms in means.items()},
    }


def _seen(
    effort: EffortNetwork, images: torch.Tensor
) -> list[tuple[str, EffortModule, list[torch.Tensor]]]:
    """Every layer with its input of each image."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in effort.modules}
    handles = [
        module.register_forward_pre_hook(lambda _, given, name=name: seen[name].append(given[0]))
        for name, module in effort.modules.items()
    ]
    for index in range(len(images)):
        effort.module(images[index : index + 1])
    for handle in handles:
        handle.remove()
    return [(name, module, seen[name]) for name, module in effort.modules.items()]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
