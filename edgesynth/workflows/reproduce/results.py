"""The folder of a reproduction without lineages: its settings, and jobs that are done once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth_rt.files import read_json, write_json

Job = TypeVar("Job")


def open_results(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder, or see that it is one of the same settings.

    Raises UserError for a folder of other settings, or of something else.
    """
    place = out / "settings.json"
    if place.exists():
        if read_json(str(place), "settings") != msgspec.to_builtins(settings):
            raise UserError(f"{out} holds results of other settings; choose another --out")
        return
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} exists and holds no reproduction; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(str(place), msgspec.to_builtins(settings))


def run_all(
    jobs: Sequence[Job],
    run: Callable[[Job, Progress | None], None],
    workers: int,
    progress: Progress,
) -> None:
    """Run `jobs`, several at a time with `workers`, which then show no progress.

    `run` is a function that can be sent to another process.
    """
    if workers == 1 or len(jobs) <= 1:
        for job in jobs:
            run(job, progress)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
        for done in [pool.submit(run, job, None) for job in jobs]:
            done.result()
