"""Write the layer table of every network of the calibration rows.

Each network is built with random weights, exported to ONNX as a user would, and read by the same
code as `edgesynth predict`. The tables hold counts, no weights, so that the fit needs no torch.

Command that made layer_tables/ and prints the counts to hold against published ones:

    python benchmarks/fit_roofline/make_layers.py
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
import warnings
from pathlib import Path

import torch
from networks.catalog import CATALOG, Entry
from rows import TABLES

from edgesynth.hardware.layers import Layer
from edgesynth.hardware.onnx_layers import read_layers
from edgesynth_rt.files import write_bytes

FIELDS = (
    *("kind", "macs", "weights", "inputs", "outputs", "rows", "columns", "depth", "groups"),
    *("kernel", "stride"),
)
OPSET = 13  # what TensorRT 8.2 of JetPack 4.6 reads


def main() -> None:
    """Write all tables, or those named, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(CATALOG))
    parser.add_argument("--out", type=Path, default=TABLES)
    options = parser.parse_args()
    for name in options.networks:
        layers, params = layers_of(CATALOG[name])
        write_bytes(options.out / f"{name}.csv", table(layers).encode())
        macs = sum(layer.macs for layer in layers)
        counts = f"{params / 1e6:8.3f} M parameters {macs / 1e6:10.1f} M MACs"
        print(f"{name:20} {counts} {len(layers):4} layers")


def layers_of(entry: Entry) -> tuple[list[Layer], int]:
    """The fused layers of a network, and its parameters."""
    module = entry.build().eval()
    image = torch.zeros(1, 3, entry.size, entry.size)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        path = Path(folder) / "network.onnx"
        torch.onnx.export(module, (image,), str(path), opset_version=OPSET, dynamo=False)
        return read_layers(path), sum(p.numel() for p in module.parameters())


def table(layers: list[Layer]) -> str:
    """The layers as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for layer in layers:
        kernel = "x".join(map(str, layer.kernel))
        writer.writerow([kernel if f == "kernel" else getattr(layer, f) for f in FIELDS])
    return text.getvalue()


if __name__ == "__main__":
    main()
