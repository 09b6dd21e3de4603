"""Damaged manifests, bundles, records, hosts files and trtexec files, and who reads them.

Each subject is a folder of whole files, one of which a round damages, and a function that reads
them as the command line does. It returns, or raises an error of edgesynth in one line; what it
writes is whole or absent. `tests/mutate.py` does the rounds.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import random
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesynth_rt.errors import EdgesynthError

LIMIT_S = 5.0
"""No file of this size may keep a reader busy for longer."""

_DEEP = json.loads("[" * 50 + "]" * 50)
_ODD = [
    None, True, False, 0, -1, 1, 2**31, 10**30, 1e308, -1e308, 5e-324, 0.5, "", "x", "x" * 5000,
    "..", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "\x00", "\u202e\n\x1b[2J", "\ud800",
    "N", "NaN", [], {}, [[]], {"": None}, ["x"] * 300, _DEEP,
]  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What is damaged and who reads it.

    prepare: fills a folder with whole files; damaged: which of them a round may damage; read: reads
    the folder, writes into another.
    """

    prepare: Callable[[Path], None]
    damaged: tuple[str, ...]
    read: Callable[[Path, Path], None]


def mutated_json(random_: random.Random, data: bytes) -> bytes:
    """`data` with one to four values replaced, removed, renamed, doubled or exchanged."""
    document = json.loads(data)
    for _ in range(random_.randint(1, 4)):
        places = list(_places(document))
        if not places:
            break
        parent, key = random_.choice(places)
        kind = random_.randrange(5)
        if kind == 0:
            parent[key] = copy.deepcopy(random_.choice(_ODD))
        elif kind == 1:
            del parent[key]
        elif kind == 2 and isinstance(parent, dict):
            parent[random_.choice(["x", "", str(key) + " ", "schema"])] = parent.pop(key)
        elif kind == 3 and isinstance(parent, list):
            parent.insert(random_.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
        else:
            other, name = random_.choice(places)
            parent[key] = copy.deepcopy(other[name])
    return json.dumps(document).encode("ascii")


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of every value."""
    pending = [document]
    while pending:
        container = pending.pop()
        if not isinstance(container, (dict, list)):
            continue
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            yield container, key
            pending.append(container[key])


class Trial:
    """One subject with its whole files, read again after each damage."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        self._subject = subject
        self._whole, self._work, self._out = folder / "whole", folder / "work", folder / "out"
        self._whole.mkdir(parents=True)
        subject.prepare(self._whole)
        if not self.round(lambda name, data: data, random.Random(0)):
            raise AssertionError("the undamaged files are refused")

    def round(self, damage: Callable[[str, bytes], bytes], random_: random.Random) -> bool:
        """Whether the files are taken after `damage` to one of them.

        Raises whatever is not an error of edgesynth; AssertionError for one of more than a line, or
        for half a file that was left.
        """
        for folder in (self._work, self._out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._whole, self._work)
        self._out.mkdir()
        name = random_.choice(self._subject.damaged)
        place = self._work / name
        place.write_bytes(damage(name, place.read_bytes()))
        try:
            with _time_limit(LIMIT_S):
                self._subject.read(self._work, self._out)
        except EdgesynthError as error:
            message = str(error)
            if "\n" in message or len(message) > 2000 or not message.isprintable():
                raise AssertionError(f"not one printable line: {message!r}") from error
            return False
        finally:
            left = [path.name for path in self._out.rglob(".*")]
            if left:
                raise AssertionError(f"left behind: {left}")
        return True


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError after `seconds` of processor time, so that a busy machine is no hang."""

    def over(*_: object) -> None:
        raise TimeoutError(f"still reading after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _prepare_bundle(folder: Path) -> None:
    from make_bundle import make_bundle

    make_bundle(folder / "x.bundle")


def _prepare_tar(folder: Path) -> None:
    _prepare_bundle(folder)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder / "x.bundle", ".")
    (folder / "x.tar").write_bytes(packed.getvalue())


def _read_bundle(folder: Path, out: Path) -> None:
    """All that a bundle is asked for before anything runs, and what an import makes of it."""
    from edgesynth.workflows.inspect import inspect
    from edgesynth_rt.bundle import open_bundle
    from edgesynth_rt.chain import check_chain

    place = folder / "x.bundle"
    inspect(place)
    with open_bundle(place) as bundle:
        _look_at(bundle)
        check_chain(bundle)
    _import(place, out)


def _look_at(bundle: Any) -> None:
    import numpy as np

    for name, (path, sha256) in bundle.files().items():
        assert os.path.realpath(path).startswith(os.path.realpath(bundle._folder)), name
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256
    inputs, outputs = bundle.golden()
    assert inputs
    assert outputs
    shape = bundle.inputs[0]["shape"]
    if bundle.manifest["preprocessing"] is not None and len(shape) == 4:
        bundle.preprocess(np.zeros((1, *(side for side in shape[1:] if side < 99)), np.uint8))
    str((bundle.name, bundle.labels, bundle.cost, bundle.batch, bundle.outputs))


def _read_sealed(folder: Path, out: Path) -> None:
    """As `_read_bundle`, where the damaged files have the hashes that the manifest says."""
    place = folder / "x.bundle"
    manifest = json.loads((place / "manifest.json").read_bytes())
    for entry, name in ((manifest["stages"][0], "main.onnx"), (manifest["golden"], "golden.npz")):
        entry["sha256"] = hashlib.sha256((place / name).read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))
    _read_bundle(folder, out)


def _read_tar(folder: Path, out: Path) -> None:
    from edgesynth_rt.bundle import open_bundle

    with open_bundle(folder / "x.tar") as bundle:
        _look_at(bundle)


TIMES = [
    {
        "startEnqMs": start - 0.5, "endEnqMs": start - 0.25, "startH2dMs": start - 0.4,
        "endH2dMs": start - 0.2, "startComputeMs": start, "endComputeMs": start + 2,
        "startD2hMs": start + 2, "endD2hMs": start + 2.1, "h2dMs": 0.2, "computeMs": 2,
        "d2hMs": 0.1, "latencyMs": 2.3, "endToEndMs": 2.5,
    }
    for start in (101.0, 201.0, 211.0, 221.5, 230.25)
]  # fmt: skip
PROFILE = [
    {"count": 300},
    {"name": "conv1 + relu1", "timeMs": 100.0, "averageMs": 0.33, "percentage": 60.0},
    {"name": "fc", "timeMs": 60.0, "averageMs": 0.2, "medianMs": 0.2, "percentage": 40.0},
]


def _prepare_trtexec(folder: Path) -> None:
    _prepare_bundle(folder)
    (folder / "times.json").write_text(json.dumps(TIMES))
    (folder / "profile.json").write_text(json.dumps(PROFILE))


def _import(place: Path, out: Path, times: Path | None = None, profile: Path | None = None) -> None:
    """`bench --import` into a record, which is read back."""
    from edgesynth.workflows.bench import bench_imported
    from edgesynth.workflows.measuring import MeasuringPlan
    from edgesynth_rt.record import read_record, read_times

    if times is None:
        times = out / "times.json"
        times.write_text(json.dumps(TIMES))
    record = out / "x.record.json"
    bench_imported([place], times, profile, "tx2", plan=MeasuringPlan(), out=record)
    read_times(str(record), read_record(str(record)))


def _read_trtexec(folder: Path, out: Path) -> None:
    _import(folder / "x.bundle", out, folder / "times.json", folder / "profile.json")


def _prepare_record(folder: Path) -> None:
    _prepare_trtexec(folder)
    _import(folder / "x.bundle", folder, folder / "times.json", folder / "profile.json")
    shutil.copytree(folder / "x.bundle", folder / "y.bundle")
    (folder / "a.record.json").write_bytes((folder / "x.record.json").read_bytes())


def _read_records(folder: Path, out: Path) -> None:
    """`inspect`, `compare` and `report` of two records, one of them damaged."""
    from edgesynth.workflows.compare import compare
    from edgesynth.workflows.inspect import inspect
    from edgesynth.workflows.report import report

    places = [folder / "a.record.json", folder / "x.record.json"]
    inspect(places[1])
    json.dumps(compare(places), allow_nan=False)
    report(places, out / "report.html")
    assert (out / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


HOSTS = """\
[desk]
address = "nvidia@tx2.local"
python = "python3"
remote-dir = "/mnt/ssd/edgesynth"
timeout = 3600

[shelf-2]
address = "tx1"
"""


def _read_hosts(folder: Path, out: Path) -> None:
    from edgesynth.remote.board import REMOTE_FOLDER, Board
    from edgesynth.remote.hosts import check_distinct, read_hosts
    from edgesynth.remote.ssh import SshTransport

    hosts = read_hosts(folder / "hosts.toml")
    check_distinct(hosts)
    for host in hosts:
        root, python = host.remote_dir or REMOTE_FOLDER, host.python or "python3"
        Board(SshTransport(host.address), root=root, python=python).transport.close()
        assert (out / host.name).resolve().parent == out.resolve()


SUBJECTS = {
    "manifest": Subject(_prepare_bundle, ("x.bundle/manifest.json",), _read_bundle),
    "bundle": Subject(_prepare_bundle, ("x.bundle/main.onnx", "x.bundle/golden.npz"), _read_sealed),
    "tar": Subject(_prepare_tar, ("x.tar",), _read_tar),
    "trtexec": Subject(_prepare_trtexec, ("times.json", "profile.json"), _read_trtexec),
    "record": Subject(_prepare_record, ("x.record.json", "x.times.json"), _read_records),
    "hosts": Subject(
        lambda folder: (folder / "hosts.toml").write_text(HOSTS) and None,
        ("hosts.toml",),
        _read_hosts,
    ),
}
