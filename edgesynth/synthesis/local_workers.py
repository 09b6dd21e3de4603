"""Raises offspring in processes of this machine.

Processes are started fresh (never forked from one that has run torch), load their data once, and
hear nothing of Ctrl-C: the parent ends them. A process that dies is replaced.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import AbstractContextManager, ExitStack
from typing import IO, BinaryIO, cast

import msgspec

from edgesynth.core.progress import Progress, Task
from edgesynth.synthesis.executor import Deaths
from edgesynth.synthesis.jobs import (
    Advanced,
    Began,
    Failed,
    Job,
    Message,
    Order,
    Raised,
    Said,
    WorldSpec,
    result_of,
)
from edgesynth.synthesis.worker import read_frame, write_frame

_START = (
    "import sys; sys.path[:] = sys.argv[1:]; from edgesynth.synthesis.worker import main; main()"
)
_ENDING_S = 5.0


class LocalWorkers(AbstractContextManager["LocalWorkers"]):
    """Up to `workers` processes with `threads` threads each, started when they are needed."""

    def __init__(self, workers: int, world: WorldSpec, threads: int, progress: Progress) -> None:
        self._most, self._world, self._threads = workers, world, threads
        self._progress = progress
        self._waiting: deque[Job] = deque()
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._deaths = Deaths(progress)

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._selector.close()

    def submit(self, job: Job) -> None:
        """Give `job` to a process that is free, to a new one, or keep it until one is."""
        self._waiting.append(job)
        self._hand_out()

    def wait(self) -> Raised:
        """The next job that a process has done."""
        while True:
            for key, _ in self._selector.select():
                worker: _Worker = key.data
                message = worker.read()
                if message is None:
                    self._bury(worker)
                elif isinstance(message, Raised | Failed):
                    worker.rest()
                    self._hand_out()
                    return result_of(message)
                else:
                    worker.show(message)

    def _hand_out(self) -> None:
        while self._waiting:
            worker = next((one for one in self._workers if one.job is None), None)
            if worker is None:
                if len(self._workers) == self._most:
                    return
                worker = _Worker(self._threads, self._progress)
                self._workers.append(worker)
                self._selector.register(worker.messages, selectors.EVENT_READ, worker)
            job = self._waiting.popleft()
            worker.give(Order(job=job, world=self._world, threads=self._threads), job)

    def _bury(self, worker: _Worker) -> None:
        """Take a dead process off the list and have its job done by another one."""
        self._selector.unregister(worker.messages)
        self._workers.remove(worker)
        cause = worker.cause_of_death()
        worker.end()
        if worker.job is not None:
            self._waiting.appendleft(worker.job)
            self._deaths.add(worker.job.identity, cause)
        self._hand_out()


class _Worker:
    """One process, and what its job reports."""

    def __init__(self, threads: int, progress: Progress) -> None:
        self.job: Job | None = None
        self._progress = progress
        self._shown = ExitStack()
        self._bar: Task | None = None
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in end)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # is inherited
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter, our own module)
                [sys.executable, "-c", _START, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._orders = cast(BinaryIO, self._process.stdin)
        self.messages = cast(BinaryIO, self._process.stdout)

    def give(self, order: Order, job: Job) -> None:
        """Send `order`; a process that is gone shows when it is read from."""
        self.job = job
        try:
            write_frame(self._orders, msgspec.msgpack.encode(order))
        except BrokenPipeError:
            return

    def read(self) -> Message | None:
        """The next message, None when the process is gone."""
        frame = read_frame(self.messages)
        return None if frame is None else msgspec.msgpack.decode(frame, type=Message)

    def show(self, message: Message) -> None:
        """Pass on what the job reports."""
        identity = self.job.identity if self.job else ""
        if isinstance(message, Began):
            self._shown.close()
            self._bar = self._shown.enter_context(self._progress.track(identity, message.total))
        elif isinstance(message, Advanced) and self._bar is not None:
            self._bar.advance(message.steps, message.note)
        elif isinstance(message, Said):
            self._progress.say(f"{identity}: {message.text}")

    def rest(self) -> None:
        """The job is done."""
        self._shown.close()
        self.job = self._bar = None

    def cause_of_death(self) -> str:
        """What ended the process, in words, with the last line that it wrote to stderr."""
        try:
            code = self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            return "it closed its messages"
        self._stderr.seek(0)
        last = self._stderr.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        cause = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"{cause}: {last}" if last else cause

    def end(self) -> None:
        """End the process if it still runs."""
        self._shown.close()
        self._process.kill()
        self._process.wait()
        for stream in (self._orders, self.messages, self._stderr):
            stream.close()
