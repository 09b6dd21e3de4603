"""What is done on one board: send, probe, build, verify, measure, bring the record back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesynth.core.errors import (
    CheckError,
    DeviceError,
    EdgesynthError,
    MeasurementError,
    MissingError,
    UserError,
    shown,
)
from edgesynth.core.requirement import Requirement
from edgesynth.core.verdicts import judge_record
from edgesynth.remote.board import Board
from edgesynth.remote.sync import Outgoing, Sent, push
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth_rt import files, strict_json
from edgesynth_rt.bundle import Bundle
from edgesynth_rt.record import SUFFIX, check_record, read_times

RUNTIME = "runtime/edgesynth_rt.pyz"
_ENGINES = "engines"
_MAX_RECORD_BYTES = 16 << 20
_MAX_TIMES_BYTES = 256 << 20
_KINDS: dict[int, type[EdgesynthError]] = {
    kind.exit_code: kind
    for kind in (CheckError, UserError, DeviceError, MissingError, MeasurementError)
}
Note = Callable[[str], None]


@dataclass(frozen=True)
class DeployPlan:
    """What to do on every board."""

    bench: bool = False
    """Measure there as well, and bring the record back."""
    clean: bool = False
    """Leave nothing on the boards, whether it went well or not."""
    precision: str = "fp32"
    workspace_mib: int | None = None
    measuring: MeasuringPlan = field(default_factory=MeasuringPlan)
    requirements: Sequence[Requirement] = ()
    out: Path | None = None
    """Folder of the records, one folder in it for each board."""


@dataclass(frozen=True)
class Shipment:
    """What every board receives: by the path below its remote folder."""

    bundle: Bundle
    folder: str
    files: Mapping[str, Outgoing]

    @classmethod
    def of(cls, bundle: Bundle, runtime: Path) -> Shipment:
        """The files of an open `bundle` and the zipapp at `runtime`."""
        folder = f"bundles/{bundle.name}"
        outgoing = {RUNTIME: Outgoing.of(runtime)}
        for relative, (path, sha256) in bundle.files().items():
            size = Path(path).stat().st_size
            outgoing[f"{folder}/{relative}"] = Outgoing(Path(path), sha256, size)
        return cls(bundle, folder, outgoing)


class BoardJob:
    """The steps on one board, in order; `done` grows as they succeed."""

    def __init__(self, board: Board, name: str, shipment: Shipment, plan: DeployPlan) -> None:
        self.done: dict[str, Any] = {}
        self._board = board
        self._name = name
        self._shipment = shipment
        self._plan = plan

    def send(self, watch: Callable[[int, int], None]) -> Sent:
        """Bring runtime and bundle over; only what the board does not have."""
        sent = push(self._board, self._shipment.files, watch=watch)
        self.done["sent"] = {"files": sent.files, "bytes": sent.bytes, "kept": sent.kept}
        self.done["python"], self.done["machine"] = sent.python, sent.machine
        return sent

    def probe(self, hear: Note) -> None:
        """What the board is and has."""
        self.done["probe"] = self._runtime(["probe"], hear)

    def build(self, hear: Note) -> None:
        """Make and verify the engines, or find them in the board's cache."""
        self.done["build"] = self._runtime(["build", self._shipment.folder, *self._options()], hear)

    def verify(self, hear: Note) -> None:
        """Golden outputs on the board."""
        words = ["verify", self._shipment.folder, *self._options()]
        self.done["verify"] = self._runtime(words, hear)

    def bench(self, hear: Note) -> None:
        """Measure, bring the record back, judge and write it."""
        folder = f"records/{uuid.uuid4().hex}"
        path = f"{folder}/{self._shipment.bundle.name}{SUFFIX}"
        plan = self._plan.measuring
        words = ["bench", self._shipment.folder, *self._options(), "--out", path]
        words += ["--duration", f"{plan.duration_s:g}", "--warm-up", f"{plan.warm_up_ms:g}"]
        words += ["--iterations", str(plan.iterations), "--power", plan.power]
        if plan.percentiles:
            words += ["--percentile", ",".join(f"{percent:g}" for percent in plan.percentiles)]
        self._runtime(words, hear)
        record = self._fetch(path)
        self._board.remove(folder)
        self.done["record"] = record

    def _options(self) -> list[str]:
        """Options that build, verify and bench share, so that all speak of one engine."""
        plan = self._plan.measuring
        words = ["--backend", plan.backend, "--precision", self._plan.precision]
        words += ["--cache", _ENGINES, "--threads", str(plan.threads)]
        if plan.batch is not None:
            words += ["--batch", str(plan.batch)]
        if self._plan.workspace_mib is not None:
            words += ["--workspace", str(self._plan.workspace_mib)]
        return words

    def _runtime(self, words: Sequence[str], hear: Note) -> dict[str, Any]:
        """One command of the device runtime; returns its one document."""
        said: list[str] = []

        def listen(line: str) -> None:
            said.append(line)
            hear(line)

        finished = self._board.run(
            [self._board.python, RUNTIME, *words], hear=listen, env=self._environment()
        )
        if finished.exit_code != 0:
            raise self._failure(words[0], finished.exit_code, finished.out, said)
        what = f"the answer of {self._name} to {words[0]}"
        document = strict_json.parse(finished.out.encode(), what)
        if not isinstance(document, dict):
            raise DeviceError(f"{what} is no JSON object; deploy again")
        return document

    def _environment(self) -> dict[str, str]:
        """JetPack 4's numpy dies on a Cortex-A57 ("Illegal instruction") without being told."""
        arm = self.done.get("machine") == "aarch64"
        return {"OPENBLAS_CORETYPE": "ARMV8"} if arm else {}

    def _failure(self, word: str, code: int, out: str, said: Sequence[str]) -> EdgesynthError:
        """The board's own error, under the same exit code."""
        try:
            document = strict_json.parse(out.encode(), "")
        except UserError:
            document = None
        message = document.get("error") if isinstance(document, dict) else None
        if not isinstance(message, str):
            last = said[-1] if said else "it said nothing"
            message = f"{word} ended with {code}: {last}"
        return _KINDS.get(code, DeviceError)(f"{self._name}: {shown(message, 500)}")

    def _fetch(self, path: str) -> dict[str, Any]:
        """The record at `path` on the board, checked, judged, and written where `out` says."""
        what = f"the record of {self._name}"
        record = strict_json.parse(self._board.get(path, most=_MAX_RECORD_BYTES), what)
        check_record(record, what)
        if record["bundle"]["id"] != self._shipment.bundle.id:
            raise DeviceError(f"{what} is about another bundle; deploy again")
        record["requirements"] = judge_record(record, self._plan.requirements)
        if self._plan.out is None:
            return dict(record, raw=None)
        return self._write(record, path, self._plan.out)

    def _write(self, record: dict[str, Any], path: str, out: Path) -> dict[str, Any]:
        """Write record and raw latencies to this board's folder; they must fit each other."""
        folder = out / self._name
        target = folder / f"{self._shipment.bundle.name}{SUFFIX}"
        folder.mkdir(parents=True, exist_ok=True)
        raw = record["raw"]
        if raw is not None:
            beside = f"{path.rpartition('/')[0]}/{raw}"
            files.write_bytes(str(folder / raw), self._board.get(beside, most=_MAX_TIMES_BYTES))
            read_times(str(target), record)
        files.write_json(str(target), record)
        self.done["record_file"] = str(target)
        return record
