"""cuDNN, cuBLAS and cuSPARSE on the layers of sparse/benchmark.cu, through PyTorch; needs a GPU.

    python kernels/sparse/sparse_libraries.py [FILE]

One JSON object per layer, type, library and sparsity, appended to FILE or printed. Median of 100
runs with cold cache, as testing/benchmark.cpp measures. cuSPARSE multiplies the lowered input of a
convolution; lowering it is in its time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from layers import Layer, read_layers

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
RUNS, WARM_UP = 100, 5


def microseconds(run: Callable[[], object], flush: torch.Tensor) -> list[float]:
    """Sorted times of single runs."""
    times = []
    for index in range(-WARM_UP, RUNS):
        flush.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        if index >= 0:
            times.append(1000.0 * start.elapsed_time(end))
    return sorted(times)


def cases(layer: Layer, dtype: torch.dtype) -> Iterator[tuple[str, float, Callable[[], object]]]:
    """(library, sparsity, run): dense once, then cuSPARSE at every sparsity."""
    weights = torch.randn(layer.filters, layer.columns, device="cuda", dtype=dtype)
    x = torch.randn(1, layer.channels, layer.height, layer.width, device="cuda", dtype=dtype)
    if layer.is_linear:
        column = x.reshape(-1, 1)
        yield "cuBLAS", 0.0, lambda: weights @ column
    else:
        shaped = weights.reshape(layer.filters, -1, *layer.kernel)
        yield (
            "cuDNN",
            0.0,
            lambda: functional.conv2d(
                x, shaped, None, layer.strides, layer.pads[:2], layer.dilations, layer.group
            ),
        )  # all layers have equal pads on both sides
    if layer.group > 1:  # cuSPARSE has no groups
        return
    for sparsity in SPARSITIES:
        kept = weights * (torch.rand_like(weights, dtype=torch.float32) >= sparsity)
        yield "cuSPARSE", sparsity, partial(_lowered, layer, kept.to_sparse_csr(), x)


def _lowered(layer: Layer, csr: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The layer as one sparse product."""
    if layer.is_linear:
        return csr @ x.reshape(-1, 1)
    columns = functional.unfold(x, layer.kernel, layer.dilations, layer.pads[:2], layer.strides)
    return csr @ columns.reshape(layer.columns, -1)


def main(words: list[str]) -> int:
    """The command line."""
    if not torch.cuda.is_available():
        print("skipped: PyTorch finds no NVIDIA GPU on this machine")
        return 0
    torch.backends.cudnn.benchmark = True
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    lines = []
    for layer in read_layers():
        for dtype in (torch.float32, torch.float16):
            for library, sparsity, run in cases(layer, dtype):
                times = microseconds(run, flush)
                lines.append(json.dumps({
                    "schema": "edgesynth.library_benchmark/1", "case": layer.name,
                    "type": "float" if dtype == torch.float32 else "half", "library": library,
                    "sparsity": sparsity, "median_us": times[RUNS // 2],
                    "p10_us": times[RUNS // 10], "p90_us": times[RUNS * 9 // 10],
                    "device": torch.cuda.get_device_name(), "torch": torch.__version__,
                }))  # fmt: skip
    text = "\n".join(lines) + "\n"
    if words:
        with Path(words[0]).open("a") as stream:
            stream.write(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
