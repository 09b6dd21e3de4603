"""Writes a bundle of several stages with the policy that chooses among them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgesynth.export.bundle import (
    GOLDEN,
    Written,
    golden_facts,
    golden_file,
    install,
    preprocessing_facts,
    tensors,
)
from edgesynth.export.gates import OPERATOR, add_gate
from edgesynth.export.golden import RANGE_TOLERANCE
from edgesynth.export.onnx_file import serialize
from edgesynth.export.session import Arrays
from edgesynth.export.staged import StagedCandidate, StageFile
from edgesynth.hardware.target import Target
from edgesynth_rt.files import write_bytes, write_json
from edgesynth_rt.manifest import MANIFEST, SCHEMA
from edgesynth_rt.policy import Gate, Policy


def write_staged_bundle(
    candidate: StagedCandidate,
    policy: Policy,
    target: Target,
    folder: Path,
    *,
    command: str = "",
    seed: int = 0,
) -> Written:
    """Write `candidate` with `policy` as the bundle `folder`; see `write_bundle`.

    Every stage's logits are compared with their golden values, whatever the policy says. For
    TensorRT a stage with one gate ends with the operator that decides on the device.
    """

    def fill(place: Path) -> None:
        stages = [
            _write_stage(stage, node.gates if target.is_tensorrt else (), candidate.batch, place)
            for stage, node in zip(candidate.stages, policy.nodes, strict=True)
        ]
        golden = golden_file(candidate.golden_inputs, candidate.golden_outputs)
        write_bytes(place / GOLDEN, golden)
        manifest = {
            "schema": SCHEMA,
            "name": candidate.name,
            "task": "classification",
            "target": target.name,
            "stages": stages,
            "policy": policy.document(),
            "operators": _operators(stages),
            "golden": golden_facts(candidate.golden_outputs, golden, RANGE_TOLERANCE),
            "preprocessing": preprocessing_facts(candidate.preprocessing),
            "labels": list(candidate.labels),
            "accuracy": dict(candidate.accuracy),
            "cost": dict(candidate.cost),
            "provenance": {
                "parent": candidate.parent,
                "command": command,
                "seed": seed,
                "versions": dict(candidate.versions),
            },
        }
        write_json(place / MANIFEST, manifest)

    return install(candidate.name, folder, fill)


def _write_stage(
    stage: StageFile, gates: tuple[Gate, ...], batch: int | None, place: Path
) -> dict[str, Any]:
    """Write the file of `stage`, with its gate where there is one, and return what the manifest
    says of it. A choice of more than two is left to the host."""
    model = onnx.ModelProto()
    model.CopyFrom(stage.model)
    outputs: Arrays = dict(stage.outputs)
    gate = {}
    if len(gates) == 1:
        samples, classes = stage.outputs[stage.logits].shape
        names = add_gate(model, stage.id, stage.logits, gates[0], classes)
        outputs[names.exit] = np.zeros(samples, np.int32)
        outputs[names.confidence] = np.zeros(samples, np.float32)
        gate = {"gate": names.document()}
    data = serialize(model)
    write_bytes(place / f"{stage.id}.onnx", data)
    return {
        "id": stage.id,
        "onnx": f"{stage.id}.onnx",
        "sha256": hashlib.sha256(data).hexdigest(),
        "inputs": tensors(stage.inputs, batch),
        "outputs": tensors(outputs, batch),
        **gate,
    }


def _operators(stages: list[dict[str, Any]]) -> list[dict[str, str]]:
    gated = any("gate" in stage for stage in stages)
    return [{"type": OPERATOR, "version": "1"}] if gated else []
