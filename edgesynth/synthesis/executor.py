"""Where offspring are raised: in this process, in local processes, or on a Ray cluster.

All give the same lineage: a job carries all its randomness, and the number of torch's threads is
part of the run's plan.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.synthesis.jobs import Job, Raised, WorldSpec
from edgesynth.synthesis.raising import World, fixed_threads, raise_offspring

ATTEMPTS = 3
"""How often an offspring is raised at most when its workers die."""


@dataclass(frozen=True)
class ExecutorPlan:
    """Where and how widely to raise; none of this changes a result."""

    kind: str = "local"
    """`local` or `ray`."""
    workers: int | None = None
    """Offspring raised at a time; by default as many as a generation has and the machine can."""
    address: str | None = None
    """Of a Ray cluster; without one, Ray is started on this machine for as long as the run."""


class Executor(Protocol):
    """Raises offspring, in no particular order."""

    def submit(self, job: Job) -> None:
        """Have `job` done."""

    def wait(self) -> Raised:
        """The next of the submitted jobs that is done.

        Raises the job's own error; UserError when its workers died `ATTEMPTS` times.
        """


def open_executor(
    plan: ExecutorPlan,
    world: World,
    spec: WorldSpec,
    *,
    offspring: int,
    threads: int,
    progress: Progress,
) -> AbstractContextManager[Executor]:
    """The executor of `plan` for generations of `offspring`; leaving the context ends its workers.

    `world` serves jobs in this process, `spec` makes it elsewhere. One worker needs no process of
    its own: the start of one takes seconds.

    Raises UserError for an unknown kind, MissingError when Ray is not installed.
    """
    if plan.kind == "ray":
        from edgesynth.synthesis.ray_workers import RayWorkers

        return RayWorkers(plan, spec, offspring=offspring, threads=threads, progress=progress)
    if plan.kind != "local":
        raise UserError(f'no executor "{plan.kind}"; known: local, ray')
    if plan.address is not None:
        raise UserError(f"--address {plan.address} is for --executor ray")
    workers = plan.workers or max(1, min(offspring, cores() // threads))
    if workers == 1:
        return InProcess(world, threads, progress)
    from edgesynth.synthesis.local_workers import LocalWorkers

    return LocalWorkers(workers, spec, threads, progress)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


class InProcess(AbstractContextManager["InProcess"]):
    """Raises one offspring after the other, here."""

    def __init__(self, world: World, threads: int, progress: Progress) -> None:
        self._world, self._threads, self._progress = world, threads, progress
        self._jobs: deque[Job] = deque()

    def __exit__(self, *_: object) -> None:
        self._jobs.clear()

    def submit(self, job: Job) -> None:
        """Keep `job` for `wait`."""
        self._jobs.append(job)

    def wait(self) -> Raised:
        """Do the oldest job."""
        with fixed_threads(self._threads):
            return raise_offspring(self._jobs.popleft(), self._world, self._progress)


class Deaths:
    """Counts how often the workers of each job died, and says when it is enough."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._count: Counter[str] = Counter()

    def add(self, identity: str, cause: str) -> None:
        """A worker died while it raised `identity`.

        Raises UserError at the last of `ATTEMPTS`.
        """
        self._count[identity] += 1
        if self._count[identity] == ATTEMPTS:
            raise UserError(
                f"{identity}: its worker died {ATTEMPTS} times, at last {cause}; where memory is "
                "short use fewer --workers, then add --resume"
            )
        self._progress.say(f"{identity}: its worker died ({cause}); it is raised again")
