"""A bundle: stages with their ONNX files, accuracy, cost, provenance; every hash is verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesynth.workflows.artefacts.onnx_model import describe
from edgesynth_rt.bundle import open_bundle

_SHOWN = ("name", "task", "target", "labels", "policy", "operators", "golden", "preprocessing",
          "accuracy", "cost", "provenance")  # fmt: skip


def read_bundle(path: Path) -> dict[str, Any]:
    """The bundle at `path`, a folder or a .tar file, verified to the last byte.

    Raises UserError naming the file that is absent or changed, or the field that is wrong.
    """
    with open_bundle(path) as bundle:
        stages = [
            {
                "id": stage.id,
                "inputs": stage.inputs,
                "outputs": stage.outputs,
                "onnx": describe(stage.read(), stage.what),
            }
            for stage in bundle.stages
        ]
        facts = {name: bundle.manifest.get(name) for name in _SHOWN}  # no policy is null
        facts["precision"] = bundle.manifest.get("precision")
        facts["operator_layers"] = bundle.manifest.get("operator_layers", [])
        return {**facts, "id": bundle.id, "hashes": "verified", "stages": stages}
