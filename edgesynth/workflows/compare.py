"""Compare records, or bundles by measuring them in turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesynth.core.comparison import compare_records
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.workflows.bench import bench, labels_of
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth_rt.record import read_record, read_times


def compare(
    places: Sequence[Path], *, plan: MeasuringPlan | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Two or more records, or two or more bundles, against the first of them.

    Bundles (folders or .tar files) are measured in turns within one run by `plan`; records are
    read with the raw latencies beside them. Returns a comparison (`edgesynth.comparison/1`).
    Raises UserError when there is only one, or records and bundles are mixed.
    """
    if len(places) < 2:
        raise UserError("compare takes two or more records, or two or more bundles")
    bundles = [place.is_dir() or place.suffix == ".tar" for place in places]
    if all(bundles):
        return bench(places, plan=plan, progress=progress or Silent())
    if any(bundles):
        raise UserError(
            f"{places[bundles.index(True)]} is a bundle and {places[bundles.index(False)]} is not; "
            "compare records with records, or bundles with bundles"
        )
    records = [read_record(str(place)) for place in places]
    latencies = [
        read_times(str(place), record) for place, record in zip(places, records, strict=True)
    ]
    return compare_records(labels_of(records, places), records, latencies)
