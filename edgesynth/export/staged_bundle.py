"""Writes a bundle of several stages with the policy that chooses among them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgesynth.export.bundle import (
    GOLDEN,
    Written,
    golden_facts,
    golden_file,
    install,
    preprocessing_facts,
    tensors,
)
from edgesynth.export.golden import RANGE_TOLERANCE
from edgesynth.export.onnx_file import serialize
from edgesynth.export.staged import StagedCandidate
from edgesynth.hardware.target import Target
from edgesynth_rt.files import write_bytes, write_json
from edgesynth_rt.manifest import MANIFEST, SCHEMA
from edgesynth_rt.policy import Policy


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

    Every stage's logits are compared with their golden values, whatever the policy says.
    """
    return install(
        candidate.name,
        folder,
        lambda place: _write(candidate, policy, target, place, command, seed),
    )


def _write(
    candidate: StagedCandidate,
    policy: Policy,
    target: Target,
    place: Path,
    command: str,
    seed: int,
) -> None:
    stages = []
    for stage in candidate.stages:
        data = serialize(stage.model)
        write_bytes(place / f"{stage.id}.onnx", data)
        stages.append(
            {
                "id": stage.id,
                "onnx": f"{stage.id}.onnx",
                "sha256": hashlib.sha256(data).hexdigest(),
                "inputs": tensors(stage.inputs, candidate.batch),
                "outputs": tensors(stage.outputs, candidate.batch),
            }
        )
    golden = golden_file(candidate.golden_inputs, candidate.golden_outputs)
    write_bytes(place / GOLDEN, golden)
    manifest = {
        "schema": SCHEMA,
        "name": candidate.name,
        "task": "classification",
        "target": target.name,
        "stages": stages,
        "policy": policy.document(),
        "operators": [],
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
