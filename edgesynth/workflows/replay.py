"""Replays an offspring: raises it again from its record and compares the weights bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import versions
from edgesynth.synthesis.raising import fixed_threads, raise_offspring
from edgesynth.synthesis.replay import read_replay
from edgesynth.workflows.world import make_world

SCHEMA = "edgesynth.replay/1"


def replay(
    run: Path, identity: str, *, trust: tuple[str, ...] = (), progress: Progress | None = None
) -> dict[str, Any]:
    """Raise the offspring `identity` of the run in the folder `run` again; nothing is written.

    The weights are the same, bit by bit, with the same versions on the same kind of processor;
    "other_versions" names those that differ from the record.

    Raises UserError when the run holds no such offspring or its data are not there any more.
    """
    progress = progress or Silent()
    found = read_replay(run, identity, trust)
    with fixed_threads(found.recipe.threads):
        world = make_world(found.recipe.world, progress)
        raised = raise_offspring(found.job, world, progress)
    here, then = versions("torch", "numpy"), found.recipe.versions
    return {
        "schema": SCHEMA,
        "run": str(run),
        "id": identity,
        "identical": raised.weights_sha256 == found.offspring.weights_sha256,
        "weights_sha256": raised.weights_sha256,
        "accuracy": raised.accuracy,
        "recorded": {
            "weights_sha256": found.offspring.weights_sha256,
            "accuracy": found.offspring.accuracy,
        },
        "other_versions": {
            name: f"{here.get(name)} here, {then.get(name)} recorded"
            for name in sorted({*here, *then})
            if here.get(name) != then.get(name)
        },
    }
