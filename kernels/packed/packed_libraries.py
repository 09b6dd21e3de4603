"""The layers of testing/layers.h by cuBLAS and cuDNN, through PyTorch, on this machine's GPU.

    python kernels/packed/packed_libraries.py FILE     one JSON object per line, as benchmarks write

The rivals of the packed and sparse layers: batch 1, fp32 and fp16, best algorithm (cuDNN searches),
cold cache, median of 100 runs. Without torch or a GPU it says so in one line and ends with 0.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from layers import Layer, read_layers

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNS, _WARM_UP = 100, 5
_LEAST_FLUSH = 32 << 20


def dense_call(torch: Any, layer: Layer, dtype: Any) -> Callable[[], Any]:
    """The layer on random numbers."""
    window = (layer.channels // layer.group, *layer.kernel)
    weights = torch.randn((layer.filters, *window), device="cuda").to(dtype)
    functional = torch.nn.functional
    if layer.is_linear:
        x = torch.randn((1, layer.channels), device="cuda").to(dtype)
        return lambda: functional.linear(x, weights.flatten(1))
    top, left, bottom, right = layer.pads
    x = torch.randn((1, layer.channels, layer.height, layer.width), device="cuda").to(dtype)
    if (top, left) != (bottom, right):
        x = functional.pad(x, (left, right, top, bottom))
        top = left = 0
    return lambda: functional.conv2d(
        x, weights, None, layer.strides, (top, left), layer.dilations, layer.group
    )


def times_us(torch: Any, call: Callable[[], Any], flush: Any) -> list[float]:
    """Sorted times of single runs between two events, each with the cache full of zeros."""
    times = []
    for run in range(-_WARM_UP, _RUNS):
        flush.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        if run >= 0:
            times.append(1e3 * start.elapsed_time(end))
    return sorted(times)


def result(torch: Any, layer: Layer, dtype: Any, times: list[float]) -> dict[str, Any]:
    """What a line of the file says."""
    size = torch.finfo(dtype).bits // 8
    size_bytes = size * (layer.filters * layer.columns + layer.activations)
    median = statistics.median(times)
    return {
        "schema": "edgesynth.kernel_benchmark/1",
        "operator": "dense",
        "case": layer.name,
        "type": "half" if size == 2 else "float",
        "median_us": round(median, 3),
        "p10_us": round(times[len(times) // 10], 3),
        "p90_us": round(times[len(times) * 9 // 10], 3),
        "runs": len(times),
        "bytes": size_bytes,
        "operations": 2 * layer.macs,
        "gb_s": round(size_bytes / median / 1e3, 3),
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
    }


def main(words: list[str]) -> int:
    """The command line."""
    if len(words) != 1:
        print("usage: python kernels/packed/packed_libraries.py FILE", file=sys.stderr)
        return 2
    try:
        import torch
    except ImportError:
        print("skipped: no PyTorch in this Python")
        return 0
    if not torch.cuda.is_available():
        print("skipped: PyTorch sees no NVIDIA GPU on this machine")
        return 0
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    cache = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0)
    flush = torch.empty(max(_LEAST_FLUSH, 4 * cache), dtype=torch.int8, device="cuda")
    with Path(words[0]).open("w", encoding="utf-8") as stream, torch.inference_mode():
        for layer in read_layers():
            for dtype in (torch.float32, torch.float16):
                times = times_us(torch, dense_call(torch, layer, dtype), flush)
                line = result(torch, layer, dtype, times)
                print(f"{layer.name:32} {line['type']:6} {line['median_us']:10.2f} us")
                stream.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
