"""A run folder or its history: settings, and the family tree of the offspring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgesynth.report.lineage import read_evolution

_SHOWN = (
    "id", "parent", "mate", "generation", "selected", "rejected", "accuracy_at_birth", "accuracy",
    "params", "macs", "size_bytes", "synapses", "clusters",
)  # fmt: skip


def read_run(path: Path) -> dict[str, Any]:
    """Status, command, plan and offspring of the run at `path`, a folder or a `history.jsonl`.

    Raises UserError naming the file and the line that is malformed.
    """
    evolution = read_evolution(path)
    offspring = [
        {**{name: getattr(one, name) for name in _SHOWN}, "best": one is evolution.best}
        for one in evolution.offspring
    ]
    settings = msgspec.to_builtins(evolution.run) if evolution.run is not None else None
    return {"name": evolution.name, "run": settings, "offspring": offspring}
