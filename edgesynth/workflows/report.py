"""Reports: runs, adaptations and records to one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.report import build_report
from edgesynth.report.adapted import build_adapted_report, split_sources


def report(
    sources: Sequence[Path],
    out: Path,
    *,
    title: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write one self-contained page about `sources` to `out`; see `report.build_report`, and
    `report.adapted` for folders of adaptations.

    Raises UserError when a source cannot be read, or `out` is one of them.
    """
    progress = progress or Silent()
    for source in sources:
        if source.is_file() and out.exists() and source.samefile(out):
            raise UserError(f"--out {out} is also a source and would be overwritten")
    adapted, others = split_sources(sources)
    if adapted:
        document = build_adapted_report(adapted, others, out, title=title)
    else:
        document = build_report(sources, out, title=title)
    progress.say(
        f"{out}: {document['runs']} runs, {document['measured']} measured and "
        f"{document['predicted']} predicted records"
    )
    return document
