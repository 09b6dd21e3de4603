"""One generation: its offspring are raised side by side, and sampled again when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgesynth.core.history import SCHEMA, Offspring, Recipe
from edgesynth.core.progress import Task
from edgesynth.synthesis.jobs import Job, Raised
from edgesynth.synthesis.selection import facts

if TYPE_CHECKING:
    from edgesynth.synthesis.evolution import EvolutionPlan, Surroundings

_AGAIN = "?abcdefghijklmnopqrstuvwxyz"
"""What the second, third, ... try adds to the id of the first."""
MOST_TRIES = len(_AGAIN) - 1


class Generation:
    """The offspring of `parents`, each tried up to `plan.tries` times."""

    def __init__(
        self,
        number: int,
        parents: list[Offspring],
        ancestor: Offspring,
        plan: EvolutionPlan,
        around: Surroundings,
    ) -> None:
        self._number, self._parents, self._ancestor = number, parents, ancestor
        self._plan, self._around = plan, around
        self._parcels: tuple[dict[str, bytes], ...] = ()
        self._lesson: dict[str, bytes] | None = None

    def raise_all(self, task: Task) -> list[Offspring]:
        """All offspring in the order of their birth, every try among them.

        Those that the run's folder holds are not raised again; `task` advances with every one that
        needs no further try.
        """
        running: dict[str, tuple[int, int]] = {}
        for index in range(1, self._plan.offspring + 1):
            self._go_on(index, running, task)
        while running:
            raised = self._around.executor.wait()
            index, attempt = running.pop(raised.identity)
            offspring = self._keep(raised, self._seeds(index, attempt))
            self._around.progress.say(_line(offspring, self._ancestor))
            self._go_on(index, running, task)
        tries = [
            self._around.folder.find(self._identity(index, attempt))
            for index in range(1, self._plan.offspring + 1)
            for attempt in range(1, self._plan.tries + 1)
        ]
        return [offspring for offspring in tries if offspring is not None]

    def _go_on(self, index: int, running: dict[str, tuple[int, int]], task: Task) -> None:
        """Submit the next try of offspring `index`, if it needs one."""
        for attempt in range(1, self._plan.tries + 1):
            identity = self._identity(index, attempt)
            found = self._around.folder.find(identity)
            if found is None:
                running[identity] = (index, attempt)
                self._around.executor.submit(self._job(identity, self._seeds(index, attempt)))
                return
            if not found.rejected or attempt == self._plan.tries:
                task.advance(note=f"{found.id} {found.accuracy:.4f}")
                return

    def _identity(self, index: int, attempt: int) -> str:
        again = "" if attempt == 1 else _AGAIN[attempt - 1]
        return f"g{self._number:02d}-{index}{again}"

    def _seeds(self, index: int, attempt: int) -> tuple[int, ...]:
        first = (self._plan.seed, self._number, index)
        return first if attempt == 1 else (*first, attempt)

    def _job(self, identity: str, seeds: tuple[int, ...]) -> Job:
        run = self._around.folder.run
        if not self._parcels:
            self._parcels = tuple(map(self._around.folder.parcel, self._parents))
        return Job(
            identity=identity,
            name=f"{run.parent}-{identity}",
            generation=self._number,
            parents=self._parcels,
            genome=self._plan.genome,
            stress=self._plan.stress,
            precision=self._plan.precision.policy(self._number),
            teacher=self._teacher(),
            distill=self._plan.distill,
            seeds=seeds,
            command=run.command,
            trust=self._around.trust,
        )

    def _teacher(self) -> dict[str, bytes] | None:
        if not self._plan.distill:
            return None
        if self._lesson is None:
            self._lesson = self._around.folder.parcel(self._ancestor)
        return self._lesson

    def _keep(self, raised: Raised, seeds: tuple[int, ...]) -> Offspring:
        """Judge what a worker has raised and write it to the run's folder."""
        plan, mother = self._plan, self._parents[0]
        found = facts(
            raised.counted,
            raised.accuracy,
            self._ancestor.accuracy,
            plan.requirements,
            raised.predictions,
        )
        lost = 100 * (mother.accuracy - raised.accuracy)
        offspring = Offspring(
            schema=SCHEMA,
            id=raised.identity,
            generation=self._number,
            parent=mother.id,
            mate=self._parents[1].id if len(self._parents) > 1 else None,
            seed=plan.seed,
            accuracy_at_birth=raised.accuracy_at_birth,
            epochs=plan.epochs,
            seconds=raised.seconds,
            network=f"networks/{raised.identity}.edgenet",
            weights_sha256=raised.weights_sha256,
            precision=raised.precision,
            recipe=Recipe(
                seeds=seeds,
                parents_sha256=tuple(parent.weights_sha256 for parent in self._parents),
                genome=plan.genome.document(),
                stress=plan.stress.text,
                precision=msgspec.to_builtins(plan.precision.policy(self._number)),
                distill=plan.distill,
                world=self._around.spec.settings,
                threads=plan.threads,
                versions=raised.versions,
            ),
            rejected=plan.reject is not None and lost > plan.reject,
            **found,
        )
        self._around.folder.add(offspring, raised.parcel)
        return offspring


def _line(child: Offspring, ancestor: Offspring) -> str:
    return (
        f"{child.id}: accuracy {child.accuracy:.4f} (at birth {child.accuracy_at_birth:.4f}), "
        f"{ancestor.params / child.params:.2f}x fewer parameters, "
        f"{ancestor.macs / child.macs:.2f}x fewer MACs{', rejected' if child.rejected else ''}"
    )
