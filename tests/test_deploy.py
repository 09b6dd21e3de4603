"""`edgesynth deploy` as a user runs it: over a real OpenSSH server, and on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesynth.cli.main import run
from edgesynth_rt.power_trace import read_trace
from edgesynth_rt.record import read_record, read_times
from make_bundle import make_bundle, read_manifest, sha256, write_manifest
from ssh_server import ABSENT, SSHD, SshServer, command_of, descendants

ROOT = Path(__file__).parents[1]
QUICK = ["--backend", "onnxruntime", "--duration", "0", "--warm-up", "1", "--iterations", "50"]
QUICK += ["--power", "none"]
needs_sshd = pytest.mark.skipif(SSHD is None, reason=ABSENT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    server = SshServer(tmp_path_factory.mktemp("ssh"))
    yield server
    server.stop()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "tiny.bundle")


@pytest.fixture
def deployed(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Run `deploy tiny.bundle ...`; returns exit code, document and the lines on stderr."""

    def deploy(*arguments: object) -> tuple[int, Any, list[str]]:
        words = ["deploy", str(tiny), "--out", str(tmp_path / "records"), "--json", *arguments]
        code = run([str(word) for word in words])
        captured = capfd.readouterr()
        return code, json.loads(captured.out), captured.err.splitlines()

    return deploy


def over(server: SshServer, remote: Path) -> list[object]:
    return ["--ssh-config", server.config, "--remote-dir", remote, "--python", sys.executable]


def test_this_machine_in_a_temporary_folder(deployed, tiny, tmp_path):
    code, document, talk = deployed("local:", "--bench", *QUICK, "--require", "params<=100")
    assert code == document["exit_code"] == 0
    (outcome,) = document["hosts"]
    assert document["schema"] == "edgesynth.deployment/1"
    assert document["bundle"] == {"name": "tiny", "id": sha256(tiny / "manifest.json")}
    assert outcome["sent"]["files"] == 4 and outcome["seconds"] > 0
    path = tmp_path / "records" / "local" / "tiny.record.json"
    record = read_record(path)
    assert record == outcome["record"] and outcome["record_file"] == str(path)
    assert record["kind"] == "measured" and record["bundle"] == document["bundle"]
    assert record["requirements"][0]["holds"] is True
    assert len(read_times(path, record)) == record["latency_ms"]["n"] >= 50
    assert any(line.startswith("local: sent 4 files") for line in talk)
    assert any(line.startswith("local: done in") for line in talk)


def test_a_requirement_that_does_not_hold(deployed):
    code, document, _ = deployed("local:", "--bench", *QUICK, "--require", "params<=1")
    assert code == 1
    assert document["hosts"][0]["exit_code"] == 0  # the board did its work
    assert document["hosts"][0]["record"]["requirements"][0]["holds"] is False


def test_what_a_person_sees(tiny, tmp_path, capfd):
    out = tmp_path / "r"
    assert run(["deploy", str(tiny), "local:", "--bench", "--out", str(out), *QUICK]) == 0
    shown = capfd.readouterr().out
    assert "tiny on boards" in shown and "local" in shown and "done" in shown and " ms" in shown


@needs_sshd
@pytest.mark.slow
def test_over_ssh_only_what_changed_is_sent(deployed, server, tiny, tmp_path):
    remote = tmp_path / "on board's disk"
    code, document, _ = deployed("board", "--bench", *QUICK, *over(server, remote))
    assert code == 0
    assert read_record(tmp_path / "records" / "board" / "tiny.record.json")
    assert not list(remote.glob("records/*"))
    code, document, _ = deployed("board", *QUICK, *over(server, remote))
    assert document["hosts"][0]["sent"] == {"files": 0, "bytes": 0, "kept": 4}
    write_manifest(tiny, {**read_manifest(tiny), "task": "other"})
    code, document, _ = deployed("board", *QUICK, *over(server, remote))
    assert code == 0
    assert document["hosts"][0]["sent"]["files"] == 1  # the manifest; the ONNX file is there


@needs_sshd
def test_clean_leaves_nothing_behind(deployed, server, tmp_path):
    code, document, _ = deployed(
        "board", "--bench", *QUICK, "--clean", *over(server, tmp_path / "a" / "b")
    )
    assert (code, document["hosts"][0]["cleaned"]) == (0, True)
    assert not (tmp_path / "a").exists()
    code, document, _ = deployed(
        "board", *QUICK, "--clean", "--ssh-config", server.config, "--python", sys.executable
    )
    assert (code, document["hosts"][0]["cleaned"]) == (0, True)
    assert list(server.home.iterdir()) == []


@needs_sshd
def test_dead_and_stuck_boards_do_not_stop_the_others(deployed, server, tmp_path):
    stuck = tmp_path / "stuck-python"
    stuck.write_text("#!/bin/sh\nexec sleep 100\n")
    stuck.chmod(0o755)
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(
        f'[stuck]\naddress = "unstuck"\npython = "{stuck}"\ntimeout = 2\n'
        f'[roof]\naddress = "board"\npython = "{sys.executable}"\n'
    )
    server.add_alias("unstuck", server.port)
    start = time.monotonic()
    code, document, talk = deployed(
        "closed", "--hosts", hosts, "--bench", *QUICK, *over(server, tmp_path / "r")[:4]
    )
    assert time.monotonic() - start < 60
    assert code == 3
    closed, stuck_one, roof = document["hosts"]
    assert (closed["host"], closed["exit_code"]) == ("closed", 3)
    assert "nothing listens there" in closed["error"]
    assert stuck_one["exit_code"] == 3 and "did not finish within 2 s" in stuck_one["error"]
    assert roof["exit_code"] == 0
    assert read_record(tmp_path / "records" / "roof" / "tiny.record.json") == roof["record"]
    assert sum(line.startswith("edgesynth: ") for line in talk) == 2


@needs_sshd
def test_a_board_without_tensorrt_says_so(deployed, server, tmp_path):
    code, document, talk = deployed("board", "--backend", "tensorrt", *over(server, tmp_path / "r"))
    assert code == 4
    assert "TensorRT" in document["hosts"][0]["error"]
    assert talk[-1] == f"edgesynth: {document['hosts'][0]['error']}"
    assert talk[-1].startswith("edgesynth: board: ")


@needs_sshd
@pytest.mark.slow
def test_a_replayed_power_log_is_never_called_measured(deployed, server, tmp_path):
    replay = server.folder / "bin" / "tegrastats"
    replay.parent.mkdir()
    replay.write_text(f'#!/bin/sh\nexec "{ROOT}/tests/bin/tegrastats" "$@"\n')
    replay.chmod(0o755)
    quick = ["--backend", "onnxruntime", "--duration", "8", "--idle", "0"]
    code, document, _ = deployed(
        "board", "--bench", *quick, "--power", "tegrastats", *over(server, tmp_path / "r")
    )
    (outcome,) = document["hosts"]
    assert code == 0, outcome.get("error")
    assert outcome["probe"]["tegrastats"]["path"] == str(replay)
    assert outcome["record"]["kind"] == "replayed"
    assert outcome["record"]["energy"]["gross_mj"] > 0
    folder = tmp_path / "records" / "board"
    trace = read_trace(folder / "tiny.power.json")
    assert trace.source == "tegrastats" and len(trace.stamps_s) >= 20
    assert read_record(folder / "tiny.record.json") == outcome["record"]


@needs_sshd
def test_accuracy_on_data_that_were_sent(deployed, server, tmp_path):
    words = ["board", "--bench", *QUICK, "--data", "digits@200", *over(server, tmp_path / "r")]
    code, document, _ = deployed(*words)
    (outcome,) = document["hosts"]
    assert (code, outcome["sent"]["files"]) == (0, 5)
    assert outcome["record"]["accuracy"]["data"] == "digits@200"
    assert outcome["record"]["accuracy"]["n"] > 0
    assert deployed(*words)[1]["hosts"][0]["sent"]["files"] == 0  # the same data, the same bytes


def test_a_library_for_the_boards_is_sent(deployed, tmp_path, capfd):
    library = tmp_path / "libplugins.so"
    library.write_bytes(b"built for aarch64")
    code, document, _ = deployed("local:", *QUICK, "--plugins", library)
    assert (code, document["hosts"][0]["sent"]["files"]) == (0, 5)
    library.unlink()
    code, document, _ = deployed("local:", *QUICK, "--plugins", library)
    assert code == 2 and "libplugins.so cannot be read" in document["error"]


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/main.onnx", "a\\b.onnx", "a\nb.onnx"])
def test_a_hostile_manifest_goes_nowhere(tiny, tmp_path, capfd, name):
    manifest = read_manifest(tiny)
    manifest["stages"][0]["onnx"] = name
    write_manifest(tiny, manifest)
    assert run(["deploy", str(tiny), "local:", "--remote-dir", str(tmp_path / "r")]) == 2
    assert "onnx" in capfd.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no board was given"),
        (["local:", "local:"], "given twice"),
        (["-oProxyCommand=id"], "No such option"),
        (["--", "-oProxyCommand=id"], "is no address of a board"),
        (["local:", "--require", "params<=1"], "add --bench"),
        (["local:", "--hosts", "none.toml"], "cannot be read"),
    ],
)
def test_wrong_usage(tiny, capfd, arguments, words):
    assert run(["deploy", str(tiny), *arguments]) == 2
    assert words in capfd.readouterr().err


def started(server: SshServer, tiny: Path, remote: Path, *arguments: str) -> subprocess.Popen:
    """A deployment in a process of its own that measures for minutes, once it measures."""
    command = [sys.executable, "-m", "edgesynth.cli.main", "deploy", str(tiny), "board", "--bench"]
    command += ["--backend", "onnxruntime", "--power", "none", "--duration", "300", *arguments]
    temporary = tiny.parent / "t"  # what a killed deployment leaves on the host
    temporary.mkdir()
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}",
        "TMPDIR": str(temporary),
    }
    process = subprocess.Popen(
        [*command, *map(str, over(server, remote))],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wait_until(lambda: measuring(server)), process.communicate(timeout=10)
    return process


def measuring(server: SshServer) -> list[int]:
    """Processes below the server that run the device runtime's bench."""
    below = descendants(server.process.pid)
    return [
        pid for pid in below if ".pyz bench" in command_of(pid) and "exec(" not in command_of(pid)
    ]


def wait_until(condition, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


@needs_sshd
def test_ctrl_c_ends_what_runs_on_the_board_and_cleans(server, tiny, tmp_path):
    process = started(server, tiny, tmp_path / "r", "--clean")
    pids = measuring(server)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "edgesynth: interrupted; what was finished is kept"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not (tmp_path / "r").exists()
    assert list((tmp_path / "t").iterdir()) == []


@needs_sshd
def test_a_host_that_dies_leaves_nothing_running_on_the_board(server, tiny, tmp_path):
    process = started(server, tiny, tmp_path / "r")
    pids = measuring(server)
    process.kill()
    process.communicate(timeout=60)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 30)
