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
import json
import platform
from pathlib import Path

import numpy as np

from edgesynth.core.provenance import processor, versions
from edgesynth.data.source import load_dataset
from edgesynth.dynamic.effort.layers import with_knobs
from edgesynth.dynamic.effort.settings import restore
from edgesynth.networks import edgenet
from edgesynth.tasks.pixels import to_input
from edgesynth.workflows.adapt.effort_clock import clock_effort
from edgesynth_rt.files import write_json


def main() -> None:
    """Time the layers with knobs and the whole network; see `effort_clock`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("adapted", type=Path, help="Folder that adapt --method effort wrote.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    document = json.loads((options.adapted / "adaptation.json").read_text("utf-8"))
    network = edgenet.load(options.network)
    effort = with_knobs(network.module)
    restore(effort, document["knobs"])
    test = load_dataset(options.data).test
    images = to_input(test.images(np.arange(options.images)), network.description.preprocessing)
    write_json(
        str(options.out),
        {
            "network": str(options.network),
            "data": options.data,
            "machine": {"processor": processor(), "system": platform.platform()},
            "accuracy": document["test"]["accuracy"],
            "operations": document["test"]["operations"],
            **clock_effort(effort, network.module, images, rounds=options.rounds),
            "versions": versions("torch", "onnxruntime", "numpy"),
        },
    )


if __name__ == "__main__":
    main()
