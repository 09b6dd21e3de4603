"""Who descends from whom in a synthesis run, and which offspring it ended with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.core.history import Offspring, Run, in_birth_order, read_history, read_run
from edgesynth.core.metric import ACCURACY
from edgesynth.report.record import Verdict

HISTORY = "history.jsonl"
_MOST_GENERATIONS = 1_000_000


@dataclass(frozen=True)
class Evolution:
    """A synthesis run: its offspring, oldest first, and its `run.json` where there is one.

    Every offspring but the ancestor has its parent before it.
    """

    path: Path
    """Of `history.jsonl`."""
    name: str
    offspring: tuple[Offspring, ...]
    run: Run | None = None

    @property
    def ancestor(self) -> Offspring:
        return self.offspring[0]

    @property
    def best(self) -> Offspring:
        """What the run delivers: the one `run.json` names, else the last one selected."""
        named = self.run.best if self.run else None
        for one in self.offspring:
            if one.id == named:
                return one
        return ([self.ancestor] + [one for one in self.offspring if one.selected])[-1]

    @property
    def metric(self) -> str:
        """What the accuracy of every offspring is."""
        return self.run.metric if self.run else ACCURACY

    @property
    def selected(self) -> list[Offspring]:
        """The ancestor and what natural selection chose, one per generation."""
        return [one for one in self.offspring if one.selected or one is self.ancestor]

    def descent(self, descendant: Offspring) -> list[Offspring]:
        """From the ancestor to `descendant`, both included."""
        by_id = {one.id: one for one in self.offspring}
        line = [descendant]
        while line[-1].parent is not None:
            line.append(by_id[line[-1].parent])
        return line[::-1]

    def children(self, parent: Offspring) -> list[Offspring]:
        """The offspring that descend directly from `parent`."""
        return [one for one in self.offspring if one.parent == parent.id]

    def test_accuracy(self, one: Offspring) -> float | None:
        """On test data, a fraction; only the ancestor and the best have one."""
        return self.run.test_accuracy.get(one.id) if self.run else None


def read_evolution(path: Path) -> Evolution:
    """The run in the folder at `path`, or whose `history.jsonl` is at `path`.

    Raises UserError naming the file and the line when something in it is malformed.
    """
    history = path / HISTORY if path.is_dir() else path
    offspring = tuple(read_history(history))
    if not offspring:
        raise UserError(f"history {history} holds no finished offspring; run evolve again")
    known: set[str] = set()
    for number, one in enumerate(offspring, start=1):
        where = f"history {history}, line {number}: offspring {one.id}"
        _check_parent(where, one, known)
        _check_figures(where, one)
        known.add(one.id)
    folder = history.parent
    run = read_run(folder) if (folder / "run.json").exists() else None
    born = tuple(in_birth_order(offspring))
    return Evolution(history, folder.absolute().name, born, run)


def _check_parent(where: str, one: Offspring, known: set[str]) -> None:
    if one.id in known:
        raise UserError(f"{where} stands there twice; delete one of the lines")
    if one.parent is None and known:
        raise UserError(f"{where} has no parent; only the first line is the ancestor")
    for parent in one.parents:
        if parent not in known:
            raise UserError(f"{where} names the parent {parent}, which is not before it")


def _check_figures(where: str, one: Offspring) -> None:
    """The charts rely on this much; everything else is only printed."""
    for accuracy in (one.accuracy, one.accuracy_at_birth or 0.0):
        if not 0 <= accuracy <= 1:
            raise UserError(f"{where} has an accuracy of {accuracy}, which is no fraction")
    if not 1 <= one.generation <= _MOST_GENERATIONS:
        raise UserError(f"{where} is of generation {one.generation}, which cannot be")
    try:
        msgspec.convert(one.requirements, list[Verdict])
    except msgspec.ValidationError as error:
        raise UserError(f"{where} has a verdict that is none: {error}") from None
