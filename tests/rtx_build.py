"""Builds a bundle with NVIDIA's real parser and builder, in a process of its own: they can abort.

python rtx_build.py BUNDLE [--batch N] [--precision P] [--creator NAME] [--operators MODE]
    [--plugins LIBRARY]

Prints one JSON document: what was built, or the error. TensorRT-RTX needs no GPU for building.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import tensorrt_rtx_bindings as tensorrt

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.engine_build import BuildOptions, EngineBuilder
from edgesynth_rt.errors import EdgesynthError
from edgesynth_rt.plugins import open_plugins
from edgesynth_rt.tensorrt_api import TensorRT


class Creator(tensorrt.IPluginCreatorV3One):  # type: ignore[misc]
    """Registers a name and makes nothing."""

    def __init__(self, name: str) -> None:
        tensorrt.IPluginCreatorV3One.__init__(self)
        self.name, self.plugin_version, self.plugin_namespace = name, "1", ""
        self.field_names = tensorrt.PluginFieldCollection([])

    def create_plugin(self, *_: Any) -> None:
        return None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--creator")
    parser.add_argument("--operators", default="auto")
    parser.add_argument("--plugins")
    arguments = parser.parse_args()
    api = TensorRT(tensorrt)
    found = None
    if arguments.creator:
        creator = Creator(arguments.creator)
        tensorrt.get_plugin_registry().register_creator(creator, "")
        found = [
            api.find_plugin(arguments.creator, version, namespace) is not None
            for version, namespace in (("1", ""), ("2", ""), ("1", "other"))
        ]
    options = BuildOptions(arguments.precision, 64, arguments.batch, arguments.operators)
    bundle = open_bundle(arguments.bundle)
    operators = bundle.manifest["operators"]
    layers = bundle.manifest.get("operator_layers", ())
    estimates = {layer["node"]: layer["estimate"] for layer in layers}
    library = open_plugins(arguments.plugins)
    try:
        (stage,) = bundle.stages
        built = EngineBuilder(api, options, (8, 6), library).build(stage, operators, estimates)
    except EdgesynthError as error:
        print(json.dumps({"error": str(error), "code": error.exit_code, "found": found}))
        return error.exit_code
    print(json.dumps({"facts": built.facts, "version": api.version, "found": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
