"""Deploy a bundle to boards: all at once, each for itself."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesynth.core.dataset import boxed, labelled
from edgesynth.core.errors import DeviceError, EdgesynthError, UserError
from edgesynth.core.progress import Progress, Silent, Task
from edgesynth.core.verdicts import all_hold
from edgesynth.device.zipapp import NAME, write_runtime
from edgesynth.remote.board import REMOTE_FOLDER, Board
from edgesynth.remote.hosts import Host, check_distinct
from edgesynth.remote.local import ADDRESS, LocalTransport
from edgesynth.remote.ssh import SshTransport
from edgesynth.remote.transport import Cancelled, UnreachableError
from edgesynth.workflows.board_steps import BoardJob, DeployPlan, Note, Shipment
from edgesynth_rt.boxed_images import write_boxed_images
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.labelled_images import write_images

SCHEMA = "edgesynth.deployment/1"
_MOST_AT_ONCE = 16
_MAX_CONNECT_S = 15.0


@dataclass(frozen=True)
class Reach:
    """How boards are reached, where a host does not say otherwise."""

    remote_dir: str | None = None
    """None: below the user's cache folder on the board; for `local:` a temporary folder."""
    python: str | None = None
    """None: `python3`; for `local:` the Python that runs this."""
    timeout_s: float = 1800.0
    """Of one step on a board."""
    ssh_config: Path | None = None


def deploy(
    bundle: Path,
    hosts: Sequence[Host],
    *,
    plan: DeployPlan | None = None,
    reach: Reach | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Send `bundle` to every host, build and verify it there, measure it if the plan says so.

    Returns `edgesynth.deployment/1`: for each host what was done, or its error; a host that fails
    never stops another. `exit_code`: 0, or 3 where any board was out of reach, else that of the
    first host that failed, else 1 where a requirement does not hold.

    Raises UserError for a bad bundle, a host given twice or an address that is none; an
    interruption ends what runs on the boards before it is passed on.
    """
    plan, reach, progress = plan or DeployPlan(), reach or Reach(), progress or Silent()
    if not hosts:
        raise UserError("no board was given; write USER@HOST, or --hosts hosts.toml")
    check_distinct(hosts)
    cancel = threading.Event()
    with tempfile.TemporaryDirectory(prefix="edgesynth-") as folder, open_bundle(bundle) as opened:
        boards = [board_of(host, reach, folder, cancel) for host in hosts]
        runtime = Path(folder) / NAME
        write_runtime(runtime)
        library = plan.measuring.engine.plugins
        shipment = Shipment.of(
            opened,
            runtime,
            plugins=Path(library) if library is not None else None,
            data=_data(plan, opened.manifest["task"], Path(folder), progress),
        )
        _make_room(plan, hosts)
        label = f"deploy {opened.name} to {len(hosts)} board{'s' * (len(hosts) > 1)}"
        with progress.track(label, len(hosts)) as task:
            run = _Run(shipment, plan, progress, task, cancel)
            outcomes = run.on_all(list(zip(hosts, boards, strict=True)))
        return {
            "schema": SCHEMA,
            "bundle": {"name": opened.name, "id": opened.id},
            "hosts": outcomes,
            "exit_code": _exit_code(outcomes),
        }


def _data(plan: DeployPlan, task: str, folder: Path, progress: Progress) -> Path | None:
    """The test split as one file for the boards; None where no accuracy is wanted."""
    if not plan.bench or plan.measuring.data is None:
        return None
    from edgesynth.data.source import load_dataset

    dataset = load_dataset(plan.measuring.data, seed=0, progress=progress)
    if dataset.task != task:
        raise UserError(f"{dataset.name} is for {dataset.task}, the bundle for {task}")
    path = folder / "test.npz"
    indices = np.arange(len(dataset.test))
    images = dataset.test.images(indices)
    if dataset.task == "detection":
        objects = boxed(dataset.test).boxes(indices)
        write_boxed_images(path, images, [(o.corners, o.classes, o.ignored) for o in objects])
    else:
        write_images(path, images, labelled(dataset.test).labels)
    return path


def _make_room(plan: DeployPlan, hosts: Sequence[Host]) -> None:
    """The folders of the records, before anything long begins."""
    if not plan.bench or plan.out is None:
        return
    for host in hosts:
        try:
            (plan.out / host.name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"folder {plan.out / host.name} cannot be made: {error.strerror}; "
                "choose another --out"
            ) from None


def board_of(host: Host, reach: Reach, temporary: str, cancel: threading.Event) -> Board:
    """The board at `host`, not yet connected; `temporary` is for `local:`, `cancel` ends its
    programs."""
    timeout_s = host.timeout_s or reach.timeout_s
    root, python = host.remote_dir or reach.remote_dir, host.python or reach.python
    if host.address == ADDRESS:
        return Board(
            LocalTransport(),
            root=root or f"{temporary}/board",
            python=python or sys.executable,
            timeout_s=timeout_s,
            cancel=cancel,
        )
    connect_s = min(timeout_s, _MAX_CONNECT_S)
    return Board(
        SshTransport(host.address, config=reach.ssh_config, connect_timeout_s=connect_s),
        root=root or REMOTE_FOLDER,
        python=python or "python3",
        timeout_s=timeout_s,
        cancel=cancel,
    )


@dataclass(frozen=True)
class _Run:
    """One deployment to several boards."""

    shipment: Shipment
    plan: DeployPlan
    progress: Progress
    task: Task
    cancel: threading.Event

    def on_all(self, boards: Sequence[tuple[Host, Board]]) -> list[dict[str, Any]]:
        """The outcome of every board, in the order given."""
        with ThreadPoolExecutor(min(len(boards), _MOST_AT_ONCE)) as pool:
            running: list[Future[dict[str, Any]]] = [
                pool.submit(self._on_one, host, board) for host, board in boards
            ]
            try:
                return [future.result() for future in running]
            except BaseException:  # Ctrl-C: every thread ends its board's program, then itself
                self.cancel.set()
                raise

    def _on_one(self, host: Host, board: Board) -> dict[str, Any]:
        started = time.monotonic()
        job = BoardJob(board, host.name, self.shipment, self.plan)
        outcome: dict[str, Any] = {"host": host.name, "address": host.address, "exit_code": 0}
        with board:
            clean = self.plan.clean
            try:
                self._steps(job, host.name)
            except UnreachableError as error:
                outcome.update(exit_code=error.exit_code, error=str(error))
                clean = False
            except EdgesynthError as error:
                outcome.update(exit_code=error.exit_code, error=str(error))
            except Cancelled:
                outcome.update(exit_code=130, error=f"{host.name}: interrupted")
            if clean:
                outcome["cleaned"] = self._clean(board, outcome)
        outcome.update(job.done, seconds=round(time.monotonic() - started, 3))
        self.progress.say(_sentence(outcome))
        self.task.advance(1, host.name)
        return outcome

    def _steps(self, job: BoardJob, name: str) -> None:
        if self.cancel.is_set():
            raise Cancelled
        steps: list[tuple[str, Callable[[Note], object]]] = [
            ("send", lambda hear: self._send(job, name)),
            ("probe", job.probe),
            ("build", job.build),
            ("verify", job.verify),
        ]
        if self.plan.bench:
            steps.append(("bench", job.bench))
        with self.progress.track(name, len(steps)) as task:
            for word, step in steps:
                task.advance(0, word)
                step(lambda line: self.progress.say(f"{name}: {line}"))
                task.advance(1)

    def _send(self, job: BoardJob, name: str) -> None:
        size = sum(file.size for file in self.shipment.files.values())
        with self.progress.track(f"{name}: bytes", size) as task:
            before = 0

            def watch(sent: int, total: int) -> None:
                nonlocal before
                task.advance(sent - before)
                before = sent

            sent = job.send(watch)
        self.progress.say(
            f"{name}: sent {sent.files} files, {sent.bytes / 1e6:.1f} MB; {sent.kept} were there"
        )

    def _clean(self, board: Board, outcome: dict[str, Any]) -> bool:
        """Remove what was made on the board; says so where it cannot be."""
        try:
            board.clean()
        except EdgesynthError as error:
            if "error" in outcome:
                outcome["error"] += f"; {board.root} was not removed there"
            else:
                outcome.update(exit_code=error.exit_code, error=str(error))
            return False
        return True


def _exit_code(outcomes: Sequence[dict[str, Any]]) -> int:
    codes = [int(outcome["exit_code"]) for outcome in outcomes if outcome["exit_code"]]
    if DeviceError.exit_code in codes:
        return DeviceError.exit_code
    if codes:
        return codes[0]
    records = [outcome["record"] for outcome in outcomes if "record" in outcome]
    return 0 if all(all_hold(record["requirements"]) for record in records) else 1


def _sentence(outcome: dict[str, Any]) -> str:
    name, seconds = outcome["host"], outcome["seconds"]
    if "error" in outcome:
        return f"{name}: failed after {seconds:.1f} s"
    return f"{name}: done in {seconds:.1f} s"
