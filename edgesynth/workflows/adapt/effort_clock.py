"""What knobs save in time on this machine's processor, one image at a time.

The compiled operator with the knobs, with zeros skipped besides, the same operator with everything
computed, and ONNX Runtime. Operations stand beside the times, never for them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from edgesynth.dynamic.effort.execution import EffortModule
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork
from edgesynth.export.onnx_file import export_module, serialize
from edgesynth.hardware.target import load_target
from edgesynth.operators.effort_cpu import CpuEffortConv
from edgesynth_rt.onnxruntime_runner import import_onnxruntime

Run = Callable[[torch.Tensor], Any]
WAYS = ("dense", "zeros_skipped", "knobs", "knobs_and_zeros_skipped", "onnxruntime")
"""How a layer is run; `dense` is the operator with everything computed."""


def clock_effort(
    effort: EffortNetwork, plain: nn.Module, images: torch.Tensor, *, rounds: int = 5
) -> dict[str, Any]:
    """Milliseconds of every layer with knobs, of these together, and of the whole network.

    effort: with knobs set; plain: the network as it was, for ONNX Runtime; images (N, C, H, W).
    Everything runs on one thread, all ways in turns, so that what else the machine does meets them
    alike; of each input the best of `rounds` counts, as everything else can only add, then the mean
    over inputs, as what is left out depends on the input.

    Raises MissingError where the library of processors is not built.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            layers = [
                _layer(name, module, seen, rounds)
                for name, module, seen in _seen(effort, images)
                if not module.knobs.off
            ]
            whole = _whole(effort, plain, images, rounds)
    finally:
        torch.set_num_threads(threads)
    return {
        "images": len(images),
        "rounds": rounds,
        "layers": layers,
        "with_knobs": _faster(
            {way: sum(each["ms"][way] for each in layers) for way in WAYS}, len(layers)
        ),
        "whole": whole,
    }


def _faster(ms: Mapping[str, float], layers: int = 1) -> dict[str, Any]:
    faster = {way: ms["dense"] / each for way, each in ms.items()} if layers else {}
    return {"ms": dict(ms), "times_faster_than_dense": faster}


def _layer(
    name: str, module: EffortModule, seen: list[torch.Tensor], rounds: int
) -> dict[str, Any]:
    dense = CpuEffortConv({**module.attributes, **Knobs().attributes(module.layer.channels)})
    tuned, level = CpuEffortConv(module.attributes), module.knobs.level
    runs: dict[str, Run] = {
        "dense": dense.run,
        "zeros_skipped": lambda x: dense.run(x, skips_zeros=True),
        "knobs": lambda x: tuned.run(x, level),
        "knobs_and_zeros_skipped": lambda x: tuned.run(x, level, skips_zeros=True),
        "onnxruntime": _session(_Plain(module), seen[0]),
    }
    times = _times(runs, seen, rounds)
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
    effort: EffortNetwork, plain: nn.Module, images: torch.Tensor, rounds: int
) -> dict[str, Any]:
    """All layers; what is no convolution runs in torch, but for ONNX Runtime."""
    inputs = [images[i : i + 1] for i in range(len(images))]
    session = _session(plain.eval(), inputs[0])
    with _Compiled(effort) as network:
        return _times(
            {
                "dense": lambda x: network.run(x, knobs=False, skips_zeros=False),
                "zeros_skipped": lambda x: network.run(x, knobs=False, skips_zeros=True),
                "knobs": lambda x: network.run(x, knobs=True, skips_zeros=False),
                "knobs_and_zeros_skipped": lambda x: network.run(x, knobs=True, skips_zeros=True),
                "onnxruntime": session,
            },
            inputs,
            rounds,
        )


class _Compiled:
    """The network with the compiled operator for every convolution, inside a `with`."""

    def __init__(self, effort: EffortNetwork) -> None:
        self.effort = effort
        self.pools = [m for m in effort.module.modules() if isinstance(m, nn.MaxPool2d)]
        self.knobs, self.skips_zeros = True, False

    def __enter__(self) -> _Compiled:
        for module in self.effort.modules.values():
            tuned = CpuEffortConv(module.attributes)
            off = Knobs().attributes(module.layer.channels)
            dense = CpuEffortConv({**module.attributes, **off})
            vars(module)["forward"] = self._forward(tuned, dense, module.knobs.level)
        for pool in self.pools:
            vars(pool)["forward"] = _channels_last(pool.forward)
        return self

    def __exit__(self, *_: object) -> None:
        for module in (*self.effort.modules.values(), *self.pools):
            del vars(module)["forward"]

    def _forward(self, tuned: CpuEffortConv, dense: CpuEffortConv, level: int) -> Run:
        def forward(x: torch.Tensor) -> torch.Tensor:
            chosen, effort = (tuned, level) if self.knobs else (dense, 0)
            return chosen.run(x, effort, skips_zeros=self.skips_zeros)[0]

        return forward

    def run(self, x: torch.Tensor, *, knobs: bool, skips_zeros: bool) -> Any:
        self.knobs, self.skips_zeros = knobs, skips_zeros
        return self.effort.module(x)


def _channels_last(pool: Run) -> Run:
    """Of 24 maps of 48 by 48 that takes torch a tenth of the time."""
    return lambda x: pool(x.to(memory_format=torch.channels_last)).contiguous()


class _Plain(nn.Module):
    """The layer as torch has it, normalization folded in."""

    def __init__(self, module: EffortModule) -> None:
        super().__init__()
        self.dense = module.dense

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x)


def _session(module: nn.Module, example: torch.Tensor) -> Run:
    """`module` in ONNX Runtime, on one thread."""
    target = load_target("onnxruntime")
    model = export_module(
        module, example, opset=target.opset.export, ir_version=target.ir.export
    ).model
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        serialize(model), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})


def _times(runs: dict[str, Run], inputs: Sequence[torch.Tensor], rounds: int) -> dict[str, Any]:
    best = {name: [float("inf")] * len(inputs) for name in runs}
    for round_ in range(rounds + 1):
        for index, x in enumerate(inputs):
            for name, run in runs.items():
                start = time.perf_counter()
                run(x)
                spent = 1e3 * (time.perf_counter() - start)
                if round_:  # the first one warms up
                    best[name][index] = min(best[name][index], spent)
    return _faster({name: statistics.fmean(each) for name, each in best.items()})


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
