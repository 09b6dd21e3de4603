"""Runs what is missing of a reproduction and writes what was found."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.core.reproduction import ANCESTOR
from edgesynth.report.reproduction import write_page
from edgesynth.synthesis.raising import fixed_threads
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.reproduce.folder import Folder
from edgesynth.workflows.reproduce.lineage import Stage, ancestor_of, follow, line_of
from edgesynth.workflows.reproduce.paper import Findings, Paper
from edgesynth.workflows.reproduce.recipe import Recipe
from edgesynth.workflows.reproduce.registry import paper_named
from edgesynth.workflows.reproduce.rival import Rival
from edgesynth.workflows.world import WorldSettings, make_world
from edgesynth_rt.files import write_json

SCHEMA = "edgesynth.reproduction/1"
_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class ReproductionPlan:
    """What one call is asked to do; several calls in one folder add up."""

    seeds: Sequence[int] = (0, 1, 2)
    generations: int | None = None
    """The paper's own number by default; the ancestor is the first."""
    rivals: Sequence[str] = ()
    """All by default."""
    workers: int = 1
    """Processes; each works on one seed at a time."""


@dataclass(frozen=True)
class _Work:
    """All of one seed, as another process is told it."""

    paper: str
    data: str
    out: Path
    recipe: Recipe
    seed: int
    rivals: tuple[str, ...]
    generations: int


def reproduce(
    name: str,
    data: str,
    out: Path,
    *,
    plan: ReproductionPlan | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the rivals of the paper `name` on `data` and write `result.json` and `report.html`.

    Everything lands in the folder `out`; networks that it holds already are not made again.
    Returns `result.json` (schema `edgesynth.reproduction/1`): every check with whether it holds.

    Raises UserError for an unknown paper or rival, or a folder of other settings; MissingError for
    a rival that is asked for by name and lacks its package.
    """
    plan, recipe, progress = plan or ReproductionPlan(), recipe or Recipe(), progress or Silent()
    paper = paper_named(name)
    known = {rival.name: rival for rival in paper.rivals(recipe)}
    chosen = _chosen(known, plan.rivals)
    folder = Folder(out, {"paper": name, "data": data, "recipe": recipe.document()})
    works = [
        _Work(name, data, out, recipe, seed, chosen, plan.generations or paper.generations)
        for seed in plan.seeds
    ]
    _require_leaders(folder, works, known)
    _run_all(works, folder, plan.workers, progress)
    document = _document(paper, folder, data, recipe, known)
    write_json(str(out / "result.json"), document)
    write_page(document, out / "report.html")
    progress.say(f"{out / 'result.json'} and {out / 'report.html'} are written")
    return document


def _chosen(known: dict[str, Rival], asked: Sequence[str]) -> tuple[str, ...]:
    for name in asked:
        if name not in known:
            raise UserError(f'no rival "{name}"; {nearest(name, list(known))}')
        known[name].require()
    return tuple(n for n, rival in known.items() if (n in asked if asked else not rival.gap()))


def _require_leaders(folder: Folder, works: Sequence[_Work], known: dict[str, Rival]) -> None:
    """A rival that takes its sizes from another needs that one's rows, or has it run before."""
    rows = {(row.seed, row.rival, row.generation) for row in folder.rows()}
    for work in works:
        for name in work.rivals:
            leader = known[name].follows
            if leader is None or leader in work.rivals:
                continue
            if (work.seed, leader, 2) not in rows:
                raise UserError(
                    f"rival {name} takes its sizes from {leader}, which {folder.path} does not "
                    f"hold for seed {work.seed}; add --rival {leader}"
                )


def _run_all(works: Sequence[_Work], folder: Folder, workers: int, progress: Progress) -> None:
    if workers == 1 or len(works) == 1:
        for work in works:
            _run_seed(work, progress)
        return
    told = len(folder.rows())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(works)), context, initializer=_end_with_parent
    ) as pool:
        running = {pool.submit(_run_seed, work, None) for work in works}
        while running:
            done, running = wait(running, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
            rows = folder.rows()
            for row in rows[told:]:
                progress.say(line_of(row))
            told = len(rows)
            try:
                for future in done:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _end_with_parent() -> None:
    """A worker ends at once when the process that started it is gone."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_seed(work: _Work, progress: Progress | None) -> None:
    """All rivals of one seed, in order."""
    recipe = work.recipe
    folder = Folder(work.out, {"paper": work.paper, "data": work.data,
                               "recipe": recipe.document()})  # fmt: skip
    training = TrainingPlan(1, batch=recipe.batch, learning_rate=recipe.learning_rate)
    settings = WorldSettings(data=work.data, data_seed=work.seed, training=training)
    shown = progress or Silent()
    with fixed_threads(recipe.threads):
        world = make_world(msgspec.to_builtins(settings), shown)
        stage = Stage(work.seed, recipe, world, folder, shown)
        ancestor_of(stage)
        for rival in paper_named(work.paper).rivals(recipe):
            if rival.name in work.rivals:
                follow(stage, rival, work.generations)


def _document(
    paper: Paper, folder: Folder, data: str, recipe: Recipe, known: dict[str, Rival]
) -> dict[str, Any]:
    order = [ANCESTOR, *known]
    rows = [row for row in folder.rows() if row.rival in order]
    rows.sort(key=lambda row: (order.index(row.rival), row.seed, row.generation))
    findings = Findings(rows, known)
    checks = [each.document() for each in paper.check(findings)]
    done = {row.rival for row in rows}
    document = {
        "schema": SCHEMA,
        "paper": {"name": paper.name, "title": paper.title, "arxiv": paper.arxiv},
        "data": data,
        "command": command_line(),
        "settings": recipe.document(),
        "versions": versions("torch", "numpy", "onnxruntime", "torch-pruning", "nncf"),
        "seeds": sorted({row.seed for row in rows}),
        "rivals": [{"rival": r.name, "kind": r.kind, "says": r.says} for r in known.values()],
        "not_run": [
            {"rival": r.name, "reason": r.gap() or "not asked for yet"}
            for r in known.values()
            if r.name not in done
        ],
        "ended": folder.ended(),
        "claims": [
            {**msgspec.to_builtins(quote), "status": f"not reproduced here: {quote.differs}"}
            for quote in paper.quotes
        ],
        "checks": checks,
        "holds": all(each["holds"] is not False for each in checks),
        "equal_accuracy": [
            each for measure in paper.measures for each in findings.compare(measure)
        ],
        "summary": findings.summaries,
        **paper.further(findings),
        "rows": rows,
    }
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built
