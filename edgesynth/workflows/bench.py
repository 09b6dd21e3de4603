"""Measure bundles on this machine and judge them by requirements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesynth.core.comparison import compare_records
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.requirement import Requirement
from edgesynth.core.verdicts import judge_record
from edgesynth.workflows.imported import TrtexecRun, import_trtexec
from edgesynth.workflows.measuring import Measured, MeasuringPlan, measure_bundles
from edgesynth_rt.record import SUFFIX, write_measured, write_times


def bench(
    bundles: Sequence[Path],
    *,
    plan: MeasuringPlan | None = None,
    requirements: Sequence[Requirement] = (),
    out: Path | None = None,
    export_times: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure one or several bundles; several are measured in turns within one run.

    With `out`, one bundle's record goes to that file (or into that folder), the records of several
    into that folder as NAME.record.json, each with its raw latencies beside it. `export_times`
    takes the latencies of one bundle in the form of trtexec's --exportTimes.

    Returns the record (`edgesynth.record/1`) of one bundle, or the comparison
    (`edgesynth.comparison/1`, with its `records`) of several. Errors: see `measure_bundles`.
    """
    if export_times is not None and len(bundles) > 1:
        raise UserError("--export-times takes the latencies of one bundle; use --out for several")
    folder = _folder(out, len(bundles))
    if export_times is not None:
        _make(export_times.parent)
    found = measure_bundles(
        bundles,
        plan or MeasuringPlan(),
        distinct=folder is not None,
        progress=progress or Silent(),
    )
    for one in found:
        one.record["requirements"] = judge_record(one.record, requirements)
    if export_times is not None:
        write_times(str(export_times), found[0].series)
    records = _write(found, out, folder)
    if len(found) == 1:
        return records[0]
    return compare_records(
        labels_of(records, bundles), records, [one.series.latency_ms for one in found]
    )


def bench_imported(
    bundles: Sequence[Path],
    times: Path | None,
    profile: Path | None,
    device: str | None,
    *,
    plan: MeasuringPlan,
    requirements: Sequence[Requirement] = (),
    out: Path | None = None,
) -> dict[str, Any]:
    """The record of one bundle from trtexec's files, see `imported.import_trtexec`.

    Of `plan`, warm-up, precision, batch and percentiles count: they say how trtexec ran.
    """
    if times is None:
        raise UserError("--import-profile and --device belong to --import TIMES.json")
    if len(bundles) > 1:
        raise UserError("--import takes the times of one bundle")
    run = TrtexecRun(
        times,
        device,
        profile,
        precision=plan.engine.precision,
        warm_up_ms=plan.warm_up_ms,
        batch=plan.batch,
        percentiles=plan.percentiles,
    )
    record, series = import_trtexec(bundles[0], run)
    record["requirements"] = judge_record(record, requirements)
    return _write([Measured(record, series, None)], out, _folder(out, 1))[0]


def labels_of(records: Sequence[dict[str, Any]], places: Sequence[Path]) -> list[str]:
    """The records' names, or their places where two share a name, numbered if even those do."""
    names = [str(record["name"]) for record in records]
    if len(set(names)) == len(names):
        return names
    if len(set(places)) == len(places):
        return [str(place) for place in places]
    return [f"{place} #{number}" for number, place in enumerate(places, start=1)]


def _folder(out: Path | None, count: int) -> Path | None:
    """The folder that records go to; None when `out` is a file or not given. Made before the run,
    so that a long measurement does not end in a place that cannot be written."""
    if out is None:
        return None
    if count == 1 and not out.is_dir():
        _make(out.parent)
        return None
    _make(out)
    return out


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {folder} cannot be made: {error.strerror}") from None


def _write(
    found: Sequence[Measured], out: Path | None, folder: Path | None
) -> list[dict[str, Any]]:
    """Write what `out` asks for; returns the records as written."""
    if out is None:
        return [one.record for one in found]
    if folder is None:
        return [write_measured(str(out), found[0].record, found[0].series, found[0].trace)]
    return [
        write_measured(
            str(folder / (str(one.record["name"]) + SUFFIX)), one.record, one.series, one.trace
        )
        for one in found
    ]
