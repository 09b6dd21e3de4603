"""Energy in `edgesynth bench`: a replayed tegrastats is told apart from a measurement."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgesynth.cli.main import run
from edgesynth_rt.power_trace import read_trace
from edgesynth_rt.record import read_record
from make_bundle import make_bundle

TOOLS = Path(__file__).parent / "bin"


@pytest.fixture
def replaying(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tegrastats on PATH that replays the log of a TX2."""
    monkeypatch.setenv("PATH", f"{TOOLS}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.slow
def test_a_replay_gives_a_record_that_proves_nothing(
    replaying: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle, out = make_bundle(tmp_path / "tiny.bundle"), tmp_path / "r.record.json"
    code = run(
        ["bench", str(bundle), "--power", "tegrastats", "--idle", "5", "--duration", "5",
         "--require", "energy<=1000mJ", "--out", str(out), "--json"]
    )  # fmt: skip
    record = json.loads(capfd.readouterr().out)
    assert record == read_record(out) and record["kind"] == "replayed"
    energy = record["energy"]
    assert energy["replayed"] is True and energy["rail"] == "VDD_IN" and energy["samples"] >= 20
    assert energy["net_mj"] is None or energy["gross_mj"] > energy["net_mj"]
    assert len(read_trace(tmp_path / energy["raw"]).stamps_s) > 40
    (verdict,) = record["requirements"]
    assert code == 1 and verdict["holds"] is None and "replayed log" in verdict["reason"]
    assert any("replayed log" in sentence for sentence in record["validity"])

    assert run(["report", str(out), "--out", str(tmp_path / "r.html")]) == 2
    assert "is replayed: its power is that of another machine's log" in capfd.readouterr().err


def test_too_few_samples_for_energy(
    replaying: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle, out = make_bundle(tmp_path / "tiny.bundle"), tmp_path / "r.record.json"
    arguments = ["--power", "tegrastats", "--idle", "0", "--duration", "1", "--out", str(out)]
    assert run(["bench", str(bundle), *arguments]) == 5
    assert "independent samples" in capfd.readouterr().err and not out.exists()
