"""Run by tests in a process of its own: which plugin NVIDIA's parser asks for, with which fields.

    python nvidia_plugin_fields.py (plugins|nothing) MODEL.onnx...

`plugins` registers a creator for every operator type, with the fields of the specs; it writes down
what it is given and creates nothing, at which the parser gives up. That is as far as this library
goes without a GPU: given a plugin it would end the process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt_rtx_bindings as trt

from edgesynth.operators.spec import PLUGIN_NAMESPACE, PLUGIN_VERSION
from edgesynth.operators.specs import VARIANTS

asked: list[dict[str, Any]] = []


class Recorder(trt.IPluginCreatorV3One):  # type: ignore[misc]
    def __init__(self, variant: str) -> None:
        super().__init__()
        self.name = variant
        self.plugin_version, self.plugin_namespace = PLUGIN_VERSION, PLUGIN_NAMESPACE
        self.field_names = trt.PluginFieldCollection(
            [trt.PluginField(each.name) for each in VARIANTS[variant].attributes]
        )

    def create_plugin(self, name: str, fields: Any, phase: Any) -> None:
        given = {each.name: _described(each) for each in fields}
        asked.append({"creator": self.name, "node": name, "phase": str(phase), "fields": given})


def _described(field: Any) -> dict[str, Any]:
    values = np.asarray(field.data)
    return {"type": str(field.type).split(".")[-1], "values": values.ravel().tolist()}


def parse(path: Path) -> dict[str, Any]:
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network()
    parser = trt.OnnxParser(network, logger)
    before = len(asked)
    parsed = parser.parse(path.read_bytes())
    return {
        "parsed": parsed,
        "errors": [parser.get_error(index).desc() for index in range(parser.num_errors)],
        "outputs": [list(network.get_output(index).shape) for index in range(network.num_outputs)],
        "asked": asked[before:],
    }


def main(mode: str, paths: list[str]) -> None:
    creators = [Recorder(variant) for variant in VARIANTS] if mode == "plugins" else []
    for creator in creators:
        trt.get_plugin_registry().register_creator(creator, PLUGIN_NAMESPACE)
    print(json.dumps([parse(Path(path)) for path in paths]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
