"""Who descends from whom in a synthesis run, and which offspring it ended with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesynth.core.errors import UserError
from edgesynth.core.history import Offspring, Run, read_history, read_run

HISTORY = "history.jsonl"


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
    _check_parents(history, offspring)
    folder = history.parent
    run = read_run(folder) if (folder / "run.json").exists() else None
    return Evolution(history, folder.absolute().name, offspring, run)


def _check_parents(history: Path, offspring: Sequence[Offspring]) -> None:
    known: set[str] = set()
    for number, one in enumerate(offspring, start=1):
        where = f"history {history}, line {number}: offspring {one.id}"
        if one.id in known:
            raise UserError(f"{where} stands there twice; delete one of the lines")
        if one.parent is None and number > 1:
            raise UserError(f"{where} has no parent; only the first line is the ancestor")
        if one.parent is not None and one.parent not in known:
            raise UserError(f"{where} names the parent {one.parent}, which is not before it")
        known.add(one.id)
