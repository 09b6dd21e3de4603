"""A record: the document itself, every field checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesynth_rt import record


def read_record(path: Path) -> dict[str, Any]:
    """The record at `path`; raises UserError naming the field that is wrong."""
    document = record.read_record(path)
    times = record.read_times(path, document)
    return {"record": document, "raw_latencies": 0 if times is None else len(times)}
