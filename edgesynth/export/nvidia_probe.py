"""A program of its own: lets NVIDIA's ONNX parser and builder read one file, prints JSON.

NVIDIA's library ends the whole process on some inputs, so it never runs inside of edgesynth:
`nvidia_parser.py` starts `python -m edgesynth.export.nvidia_probe FILE` instead. Engines are built
for a compute capability, without a GPU (docs.nvidia.com/deeplearning/tensorrt-rtx, "CPU-only AOT").
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tensorrt_rtx_bindings as trt

COMPUTE_CAPABILITY = "SM86"
"""The nearest to Orin's 8.7 that the library builds for without a GPU."""
_MAX_BATCH = 8


def main(path: str) -> dict[str, Any]:
    """Parse the ONNX file at `path` and build an engine; returns what happened."""
    said: list[str] = []

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                said.append(" ".join(message.split()))

    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    report: dict[str, Any] = {"version": trt.__version__, "capability": COMPUTE_CAPABILITY}
    report["parsed"] = bool(parser.parse(Path(path).read_bytes()))
    report["layers"] = network.num_layers
    report["errors"] = [_told(parser.get_error(i)) for i in range(parser.num_errors)]
    report["engine_bytes"] = None
    if report["parsed"]:
        engine = builder.build_serialized_network(network, _config(builder, network))
        report["engine_bytes"] = None if engine is None else engine.nbytes
    report["log"] = said[:20]
    return report


def _config(builder: Any, network: Any) -> Any:
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, COMPUTE_CAPABILITY), 0)
    profile, is_open = builder.create_optimization_profile(), False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)
        if -1 in shape:
            is_open = True
            sizes = [tuple(n if side == -1 else side for side in shape) for n in (1, 1, _MAX_BATCH)]
            profile.set_shape(tensor.name, *sizes)
    if is_open:
        config.add_optimization_profile(profile)
    return config


def _told(error: Any) -> dict[str, str]:
    return {
        "node": error.node_name(),
        "operator": error.node_operator(),
        "what": " ".join(str(error.desc()).split()),
        "place": error.func(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
