"""Engines of a bundle on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesynth.core.progress import Progress, Silent
from edgesynth.workflows.backends import EnginePlan
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.tensorrt_backend import TensorRTBackend


def build(
    bundle: Path,
    *,
    engine: EnginePlan | None = None,
    batch: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build, verify and cache an engine for each stage of `bundle`.

    force: build anew what the cache has. Returns `edgesynth.engines/1`, with one document a stage.
    Raises MissingError without TensorRT, a GPU or a plugin, UserError where the precision does not
    fit the GPU, CheckError when TensorRT refuses or an engine computes other outputs.
    """
    plan, talk = engine or EnginePlan(), progress or Silent()
    with open_bundle(bundle) as opened:
        tensorrt = TensorRTBackend(plan.plugins, plan.cache, plan.spin, talk.say)
        _, engines = tensorrt.open(
            opened, plan.precision, plan.workspace_mib, batch, force, operators=plan.operators
        )
        return {
            "schema": "edgesynth.engines/1",
            "bundle": {"name": opened.name, "id": opened.id},
            "software": tensorrt.software(),
            "engines": engines,
        }
