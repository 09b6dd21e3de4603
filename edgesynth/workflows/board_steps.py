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
from edgesynth_rt.record import RAW_SUFFIX, SUFFIX, check_record, read_times

RUNTIME = "runtime/edgesynth_rt.pyz"
_TRACE_SUFFIX = ".power.json"
_ERROR_PREFIX = "edgesynth_rt: "
_EXTRAS, _ENGINES, _CACHE = "extras", "engines", "cache"
_MAX_FETCHED_BYTES = 256 << 20
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
    plugins: str | None = None
    """The plugin library among the files."""
    data: str | None = None
    """The data set among the files."""

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        runtime: Path,
        *,
        plugins: Path | None = None,
        data: Path | None = None,
    ) -> Shipment:
        """An open `bundle`, the zipapp at `runtime`, a library built for the boards, and labelled
        images. Raises UserError when one of them cannot be read."""
        folder = f"bundles/{bundle.name}"
        outgoing = {RUNTIME: Outgoing.of(runtime)}
        for relative, (path, sha256) in bundle.files().items():
            size = Path(path).stat().st_size
            outgoing[f"{folder}/{relative}"] = Outgoing(Path(path), sha256, size)
        for path in filter(None, (plugins, data)):
            outgoing[f"{_EXTRAS}/{path.name}"] = Outgoing.of(path)
        extras = [f"{_EXTRAS}/{path.name}" if path else None for path in (plugins, data)]
        return cls(bundle, folder, outgoing, *extras)


class BoardJob:
    """The steps on one board, in order; `done` grows as they succeed."""

    def __init__(self, board: Board, name: str, shipment: Shipment, plan: DeployPlan) -> None:
        self.done: dict[str, Any] = {}
        self._board = board
        self._name = name
        self._shipment = shipment
        self._plan = plan
        self._root = ""

    def send(self, watch: Callable[[int, int], None]) -> Sent:
        """Bring runtime and bundle over; only what the board does not have."""
        sent = push(self._board, self._shipment.files, watch=watch)
        self.done["sent"] = {"files": sent.files, "bytes": sent.bytes, "kept": sent.kept}
        self.done["python"], self.done["machine"] = sent.python, sent.machine
        self._root = sent.root
        return sent

    def probe(self, hear: Note) -> None:
        """What the board is and has."""
        found = self.done["probe"] = self._runtime(["probe"], hear)
        module, software = found["device"].get("module"), []
        if found.get("jetpack"):
            software.append(f"JetPack {found['jetpack']}")
        software += [
            f"{name} {found[key]['version']}"
            for key, name in (("tensorrt", "TensorRT"), ("onnxruntime", "onnxruntime"))
            if "version" in found[key]
        ]
        hear(f"{module}, {', '.join(software) or 'nothing that runs a bundle'}")

    def build(self, hear: Note) -> None:
        """Make and verify the engines, or find them in the board's cache.

        Where ONNX Runtime is to run the bundle, or nothing else is there, none are built.
        """
        backend = self._plan.measuring.backend
        missing = self.done["probe"]["tensorrt"].get("missing")
        if backend == "onnxruntime" or (backend == "auto" and missing):
            self.done["build"] = {"not_built": missing or "--backend onnxruntime"}
            return
        words = ["build", self._shipment.folder, *self._engine_options()]
        self.done["build"] = self._runtime(words, hear)

    def verify(self, hear: Note) -> None:
        """Golden outputs on the board."""
        words = ["verify", self._shipment.folder, "--backend", self._plan.measuring.backend]
        self.done["verify"] = self._runtime([*words, *self._engine_options()], hear)

    def bench(self, hear: Note) -> None:
        """Measure, bring the record back, judge and write it."""
        folder = f"records/{uuid.uuid4().hex}"
        path = f"{folder}/{self._shipment.bundle.name}{SUFFIX}"
        words = ["bench", self._shipment.folder, "--backend", self._plan.measuring.backend]
        words += [*self._engine_options(), *self._bench_options(), "--out", path]
        self._runtime(words, hear, results=folder)
        self.done["record"] = self._fetch(folder)
        self._board.remove(folder)

    def _engine_options(self) -> list[str]:
        """Options that build, verify and bench share, so that all speak of one engine."""
        engine, batch = self._plan.measuring.engine, self._plan.measuring.batch
        words = ["--precision", engine.precision, "--workspace", str(engine.workspace_mib)]
        words += ["--cache", engine.cache or _ENGINES, "--operators", engine.operators]
        if self._shipment.plugins is not None:
            words += ["--plugins", self._shipment.plugins]
        if batch is not None:
            words += ["--batch", str(batch)]
        return [*words, *(["--spin"] if engine.spin else [])]

    def _bench_options(self) -> list[str]:
        plan = self._plan.measuring
        words = ["--duration", f"{plan.duration_s:g}", "--warm-up", f"{plan.warm_up_ms:g}"]
        words += ["--iterations", str(plan.iterations), "--threads", str(plan.threads)]
        words += ["--power", plan.power]
        if plan.percentiles:
            words += ["--percentile", ",".join(f"{percent:g}" for percent in plan.percentiles)]
        if self._shipment.data is not None:
            words += ["--data", self._shipment.data, "--data-name", str(plan.data)]
        if plan.idle_s is not None:
            words += ["--idle", f"{plan.idle_s:g}"]
        if plan.until_ci is not None:
            words += ["--until-ci", f"{plan.until_ci:g}"]
        return [*words, *(["--lock-clocks"] if plan.lock_clocks else [])]

    def _runtime(
        self, words: Sequence[str], hear: Note, results: str | None = None
    ) -> dict[str, Any]:
        """One command of the device runtime; returns its one document."""
        said: list[str] = []

        def listen(line: str) -> None:
            said.append(line)
            if not line.startswith(_ERROR_PREFIX):  # told once, as the error that it is
                hear(line)

        finished = self._board.run(
            [self._board.python, RUNTIME, *words],
            hear=listen,
            env=self._environment(),
            results=results,
        )
        if finished.exit_code != 0:
            raise self._failure(words[0], finished.exit_code, finished.out, said)
        what = f"the answer of {self._name} to {words[0]}"
        document = strict_json.parse(finished.out.encode(), what)
        if not isinstance(document, dict):
            raise DeviceError(f"{what} is no JSON object; deploy again")
        return document

    def _environment(self) -> dict[str, str]:
        """What the runtime's libraries write stays in the remote folder; and JetPack 4's numpy
        dies on a Cortex-A57 ("Illegal instruction") without being told what that is."""
        arm = self.done["machine"] == "aarch64"
        return {
            "XDG_CACHE_HOME": f"{self._root}/{_CACHE}",
            "CUDA_CACHE_PATH": f"{self._root}/{_CACHE}/cuda",
            **({"OPENBLAS_CORETYPE": "ARMV8"} if arm else {}),
        }

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

    def _fetch(self, folder: str) -> dict[str, Any]:
        """The record in `folder` on the board, checked, judged, and written where `out` says."""
        name, what = self._shipment.bundle.name, f"the record of {self._name}"
        data = self._board.get(f"{folder}/{name}{SUFFIX}", most=_MAX_FETCHED_BYTES)
        record = strict_json.parse(data, what)
        check_record(record, what)
        if record["bundle"]["id"] != self._shipment.bundle.id or record["kind"] == "predicted":
            raise DeviceError(f"{what} is not a measurement of this bundle; deploy again")
        record["requirements"] = judge_record(record, self._plan.requirements)
        if self._plan.out is None:
            return {**record, "raw": None}
        return self._write(record, folder, self._plan.out / self._name)

    def _write(self, record: dict[str, Any], folder: str, out: Path) -> dict[str, Any]:
        """Write latencies, power trace and record to `out`; the latencies must be the record's."""
        name = self._shipment.bundle.name
        beside = {f"{name}{_TRACE_SUFFIX}"}
        if record["raw"] is not None:
            record["raw"] = f"{name}{RAW_SUFFIX}"  # our own name, not one that the board chose
            beside.add(record["raw"])
        for wanted in sorted(beside & self._board.names(folder)):
            data = self._board.get(f"{folder}/{wanted}", most=_MAX_FETCHED_BYTES)
            files.write_bytes(out / wanted, data)
        target = out / f"{name}{SUFFIX}"
        read_times(target, record)
        files.write_json(target, record)
        self.done["record_file"] = str(target)
        return record
