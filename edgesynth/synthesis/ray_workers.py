"""Raises offspring on a Ray cluster, for users who outgrow one machine.

Every job is one Ray task: bytes in, bytes out, so the nodes share nothing but the network. On each
of them edgesynth must be installed, in the same version, and find the data under the same name.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Progress
from edgesynth.core.provenance import versions
from edgesynth.synthesis.executor import Deaths, ExecutorPlan, cores
from edgesynth.synthesis.jobs import Answer, Job, Order, Raised, WorldSpec, result_of
from edgesynth.synthesis.worker import answer

_LISTEN_S = 1.0
"""Between two looks at Ctrl-C."""


class RayWorkers(AbstractContextManager["RayWorkers"]):
    """Tasks of `threads` CPUs each on the cluster of `plan`, or on one that lives as long as this.

    Raises MissingError when Ray is not installed, UserError when the cluster is not reached.
    """

    def __init__(
        self,
        plan: ExecutorPlan,
        world: WorldSpec,
        *,
        offspring: int,
        threads: int,
        progress: Progress,
    ) -> None:
        self._ray = _connect(plan, offspring, threads)
        self._world, self._threads, self._progress = world, threads, progress
        self._most = plan.workers or offspring
        task = self._ray.remote(num_cpus=threads, max_retries=0)
        self._raise: Any = task(raise_bytes)
        self._waiting: deque[Job] = deque()
        self._running: dict[Any, Job] = {}
        self._deaths = Deaths(progress)

    def __exit__(self, *_: object) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._ray.shutdown()

    def submit(self, job: Job) -> None:
        """Give `job` to the cluster, or keep it while as many as wanted are running."""
        self._waiting.append(job)
        self._hand_out()

    def wait(self) -> Raised:
        """The next job that the cluster has done."""
        while True:
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LISTEN_S)
            for task in done:
                job = self._running.pop(task)
                found = self._fetch(task, job)
                self._hand_out()
                if found is not None:
                    return result_of(found)

    def _hand_out(self) -> None:
        while self._waiting and len(self._running) < self._most:
            job = self._waiting.popleft()
            order = Order(job=job, world=self._world, threads=self._threads)
            self._running[self._raise.remote(msgspec.msgpack.encode(order))] = job

    def _fetch(self, task: Any, job: Job) -> Answer | None:
        """The answer of a finished `task`; None when its worker died and the job waits again."""
        try:
            content = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            raise UserError(
                f"{job.identity}: a Ray node cannot run edgesynth ({error.cause}); install the "
                "same version on every node"
            ) from None
        except self._ray.exceptions.RayError as error:
            self._waiting.appendleft(job)
            self._deaths.add(job.identity, type(error).__name__)
            return None
        found: Answer = msgspec.msgpack.decode(content, type=Answer)
        if isinstance(found, Raised):
            _require_same_version(found)
        return found


def raise_bytes(order: bytes) -> bytes:
    """Do an encoded order and return the encoded answer: what runs on the nodes.

    Lines of talk stay there: Ray has no way back for them.
    """
    from edgesynth.core.progress import Silent

    return msgspec.msgpack.encode(answer(msgspec.msgpack.decode(order, type=Order), Silent()))


def _connect(plan: ExecutorPlan, offspring: int, threads: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent home
    try:
        import ray
    except ImportError:
        raise MissingError(
            "Ray is not installed; pip install 'edgesynth[ray]', or use --executor local"
        ) from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if plan.address is None:
        wanted = plan.workers or max(1, min(offspring, cores() // threads))
        ray.init("local", num_cpus=wanted * threads, include_dashboard=False, **quiet)
        return ray
    try:
        ray.init(plan.address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"no Ray cluster at {plan.address}: {reason}") from None
    largest = max((int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]), default=0)
    if largest < threads:
        ray.shutdown()
        raise UserError(
            f"the Ray cluster at {plan.address} has no node with {threads} CPUs; lower --threads"
        )
    return ray


def _require_same_version(raised: Raised) -> None:
    here, there = versions().get("edgesynth"), raised.versions.get("edgesynth")
    if here != there:
        raise UserError(
            f"{raised.identity} was raised by edgesynth {there} on a Ray node, here is {here}; "
            "install the same version on every node"
        )
