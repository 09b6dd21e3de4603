"""Our plugins in NVIDIA's real registry and parser, in a process of its own: those can abort.

python plugin_probe.py LIBRARY MODEL...

For each ONNX file with one node of ours: NVIDIA's parser finds a creator of that name, written in
Python, and hands it the node's fields; what it hands over is kept as it is. Then the library is
loaded in the place of those creators, and its own creators make the plugins from these very fields.
Prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorrt_rtx_bindings as trt

REQUIRED = ("weight_shape", "classes")
"""Fields of which every operator has one, and cannot do without."""


class Log(trt.ILogger):  # type: ignore[misc]
    """Keeps errors."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        if severity == trt.ILogger.ERROR:
            self.errors.append(message)


class Listener(trt.IPluginCreatorV3One):  # type: ignore[misc]
    """Takes fields and makes nothing, at which the parser ends with an error."""

    def __init__(self, name: str, names: list[str]) -> None:
        trt.IPluginCreatorV3One.__init__(self)
        self.name, self.plugin_version, self.plugin_namespace = name, "1", ""
        self.field_names = trt.PluginFieldCollection(
            [trt.PluginField(each, np.zeros(0), trt.PluginFieldType.UNKNOWN) for each in names]
        )
        self.heard: list[dict[str, Any]] = []

    def create_plugin(self, name: str, fields: Any, phase: Any) -> None:
        assert phase == trt.TensorRTPhase.BUILD
        self.heard = [
            {"name": each.name, "type": each.type, "data": np.array(each.data, copy=True)}
            for each in fields
        ]


def listen(path: Path, log: Log) -> tuple[str, list[dict[str, Any]]]:
    """The type of the file's node of ours, and the fields that the parser made of it."""
    registry = trt.get_plugin_registry()
    (node,) = [each for each in onnx.load(str(path)).graph.node if each.domain == "edgesynth"]
    names = [each.name for each in node.attribute if not each.name.startswith("plugin_")]
    creator = Listener(node.op_type, names)
    assert registry.register_creator(creator, "")
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parsed = trt.OnnxParser(network, log).parse(path.read_bytes())
    assert not parsed, "the parser did not ask for the plugin"
    assert registry.deregister_creator(creator)
    return node.op_type, creator.heard


def create(creator: Any, fields: list[dict[str, Any]]) -> bool:
    """Does `creator` make a plugin of `fields`, with everything that its interface needs?"""
    collection = trt.PluginFieldCollection(
        [trt.PluginField(each["name"], each["data"], each["type"]) for each in fields]
    )
    if not isinstance(creator, trt.IPluginCreatorV3One):
        plugin = creator.create_plugin("probe", collection)
        return plugin is not None and plugin.clone() is not None
    plugin = creator.create_plugin("probe", collection, trt.TensorRTPhase.BUILD)
    if plugin is None:
        return False
    kinds = trt.PluginCapabilityType
    found = [
        plugin.get_capability_interface(kind).interface_info.kind
        for kind in (kinds.CORE, kinds.BUILD, kinds.RUNTIME)
    ]
    return found == ["PLUGIN_V3ONE_CORE", "PLUGIN_V3ONE_BUILD", "PLUGIN_V3ONE_RUNTIME"]


def main(library: str, models: list[str]) -> dict[str, Any]:
    """What was heard and made."""
    log, registry = Log(), trt.get_plugin_registry()
    heard = [listen(Path(model), log) for model in models]
    log.errors.clear()
    builder = trt.Builder(log)  # whose logger the library's messages go to
    loaded = registry.load_library(library) is not None
    again = registry.load_library(library) is not None
    ours = [each for each in registry.all_creators if each.name.startswith("Es")]
    document: dict[str, Any] = {
        "loaded": loaded,
        "loaded_twice": again,
        "creators": {
            each.name: {
                "version": each.plugin_version,
                "namespace": each.plugin_namespace,
                "interface": type(each).__name__,
                "fields": [field.name for field in each.field_names],
            }
            for each in ours
        },
        "nodes": [],
    }
    for name, fields in heard:
        creator = registry.get_creator(name, "1", "")
        fewer = [each for each in fields if each["name"] not in REQUIRED]
        document["nodes"].append(
            {
                "operator": name,
                "fields": {
                    each["name"]: [str(each["type"]), each["data"].tolist()] for each in fields
                },
                "made": creator is not None and create(creator, fields),
                "made_without_one": creator is not None and create(creator, fewer),
            }
        )
    del builder
    return document


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2:])))
