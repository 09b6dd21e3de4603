"""Finds and reads everything that a report is made of: runs and records, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.search import SEARCH
from edgesynth.report.generation import Generation, read_generation
from edgesynth.report.lineage import HISTORY, Evolution, read_evolution
from edgesynth.report.record import Record
from edgesynth_rt import record as records

_NOT_ENTERED = (".edgenet", ".bundle", ".generator")


@dataclass(frozen=True)
class Finding:
    """A record, the file that it was read from, and its single latencies where they are at hand."""

    path: Path
    record: Record
    document: dict[str, Any]
    """The record as it was read, for what takes documents."""
    times_ms: Sequence[float] = ()


@dataclass(frozen=True)
class Evidence:
    """What there is to report, in the order in which it was named."""

    runs: tuple[Evolution, ...]
    findings: tuple[Finding, ...]
    searches: tuple[Generation, ...] = ()


def gather(sources: Sequence[Path]) -> Evidence:
    """Read every run, search and record in `sources`; a folder stands for all that is in it.

    A source is the folder of a run or a search, a `history.jsonl`, a `search.json`, a record file,
    or a folder that holds such things at any depth. What is named twice is read once.

    Raises UserError naming the file that is absent, malformed or of another kind.
    """
    files: dict[Path, Path] = {}
    for source in sources:
        for file in _files(source):
            files.setdefault(file.resolve(), file)
    runs = [read_evolution(file) for file in files.values() if file.suffix == ".jsonl"]
    searches = [read_generation(file) for file in files.values() if file.name == SEARCH]
    records_found = [f for f in files.values() if f.suffix != ".jsonl" and f.name != SEARCH]
    findings = [read_finding(file) for file in records_found]
    return Evidence(tuple(runs), tuple(findings), tuple(searches))


def read_finding(path: Path) -> Finding:
    """The record at `path` and the raw latencies beside it, empty when they are not there.

    Raises UserError naming the file and the field that is wrong.
    """
    document = records.read_record(path)
    if document["kind"] == "replayed":
        raise UserError(
            f"record {path} is replayed: its power is that of another machine's log; a report "
            "shows what was measured or predicted"
        )
    try:
        record = msgspec.convert(document, Record)
    except msgspec.ValidationError as error:
        raise UserError(f"record {path}: {error}; make it again") from None
    if record.raw is None or not (path.parent / record.raw).is_file():
        return Finding(path, record, document)
    return Finding(path, record, document, records.read_times(path, document) or ())


def _files(source: Path) -> Iterable[Path]:
    if source.is_dir():
        found = [source / HISTORY] if (source / HISTORY).is_file() else []
        found += [file for file in _walk(source) if file not in found]
        if not found:
            raise UserError(
                f"{source} holds neither a run ({HISTORY}), a search ({SEARCH}) nor a record "
                f"(*{records.SUFFIX}); make one with `edgesynth evolve` or `edgesynth bench`"
            )
        return found
    if source.suffix not in (".json", ".jsonl"):
        if not source.exists():
            raise UserError(f"there is no {source}; give a run folder or a record file")
        raise UserError(
            f"{source} cannot be reported; a report is made of run folders, {HISTORY} "
            f"and *{records.SUFFIX} files"
        )
    return [source]


def _walk(folder: Path) -> Iterator[Path]:
    """Histories and records below `folder`, sorted; links are not followed into other folders."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not _closed(f))
        for name in sorted(names):
            if name in (HISTORY, SEARCH) or (
                name.endswith(records.SUFFIX) and not name.startswith(".")
            ):
                yield Path(place, name)


def _closed(folder: str) -> bool:
    return folder.endswith(_NOT_ENTERED)
