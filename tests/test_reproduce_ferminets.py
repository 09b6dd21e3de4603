"""`edgesynth reproduce ferminets` on the digits: equal evaluations, kept results, its checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesynth.cli.main import run
from edgesynth.core.search import read_candidates
from edgesynth.core.search_comparison import (
    FamilyRow,
    SearchRow,
    check_searches,
    summarize_searches,
)

WORDS = (
    "reproduce ferminets --data digits --seeds 1 --network lenet5 --ancestor-epochs 2 --epochs 1 "
    "--evaluations 4 --per-cycle 2 --proxy-images 300 --networks 1 --quiet --json "
    "--augment none --distill 0 --require accuracy>=0.1"
).split()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_searches_of_one_seed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--out", str(tmp_path / "f")]
    code = run(
        [
            *words,
            "--rival",
            "generator",
            "--rival",
            "random",
            "--family",
            "2",
            "--family-epochs",
            "1",
        ]
    )
    document = json.loads(capfd.readouterr().out)
    assert code == (0 if document["holds"] else 1)
    assert document == json.loads((tmp_path / "f" / "result.json").read_text())
    assert [(row["search"], row["evaluations"]) for row in document["rows"]] == [
        ("generator", 4), ("random", 4),
    ]  # fmt: skip
    for row in document["rows"]:
        assert row["holds"] and row["netscore"] and row["more_inferences_per_joule"] > 0
        assert len(row["best_so_far"]) == 4 and row["faster"] > 0
    both = [read_candidates(tmp_path / "f" / "s0" / name / "candidates.jsonl")
            for name in ("generator", "random")]  # fmt: skip
    assert both[0][0].accuracy == both[1][0].accuracy  # the prototype after the same training
    (family,) = document["families"]
    assert family["seeds"] == 2 and 1 <= family["distinct"] <= 2
    page = (tmp_path / "f" / "report.html").read_text()
    assert "Searches at equal evaluations" in page and "arXiv:1809.05989" in page
    before = sorted((tmp_path / "f").rglob("weights.safetensors"))
    stamps = [path.stat().st_mtime_ns for path in before]
    run([*words, "--rival", "random"])  # nothing is done again
    assert [path.stat().st_mtime_ns for path in before] == stamps
    capfd.readouterr()
    for more in (["--margin", "2"], ["--network", str(tmp_path / "f/s0/prototype.edgenet")]):
        assert run([*words, "--rival", "random", *more]) == 2
    assert "other settings" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--rival", "rndom"], 'did you mean "random"'),
        (["--generations", "3"], "--generations means nothing"),
        (["--stress", "cull"], "--stress means nothing"),
        (["--epochs", "2,3"], "one number"),
    ],
)
def test_wrong_use(
    words: list[str], reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ["reproduce", "ferminets", "--data", "digits", "--out", str(tmp_path / "f"), *words]
    assert run(given) == 2
    assert reason in capfd.readouterr().err


def test_its_options_are_refused_elsewhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "stressednets", "--out", str(tmp_path / "s"), "--evaluations", "8"]
    assert run(words) == 2
    assert "--evaluations is for reproduce ferminets" in capfd.readouterr().err


def row(search: str, seed: int, gain: float, *, holds: bool = True) -> SearchRow:
    return SearchRow(
        seed=seed, search=search, evaluations=48, feasible=3, holds=holds, test_accuracy=0.92,
        prototype_test_accuracy=0.925, netscore=100 + gain, prototype_netscore=100.0, params=1000,
        macs=10_000, fewer_params=12.0, fewer_macs=11.0, inferences_per_joule=700.0,
        more_inferences_per_joule=3.5, faster=2.0, first_cycle_score=90.0, last_cycles_score=96.0,
        rank_correlation=0.7, seconds=10.0, best_so_far=[90.0, 95.0],
    )  # fmt: skip


def test_what_is_checked() -> None:
    rows = [row("generator", 0, 18.0), row("generator", 1, 16.0), row("random", 0, 17.5),
            row("random", 1, 30.0, holds=False), row("tpe", 0, 20.0)]  # fmt: skip
    summaries = {one.search: one for one in summarize_searches(rows)}
    assert summaries["random"].gain_db.mean == pytest.approx(17.5 / 2)  # nothing found is no gain
    families = [FamilyRow(seed=0, seeds=64, distinct=60, holding=57, wilson95=(0.86, 0.98))]
    found = {check.name: check.holds for check in check_searches(rows, families)}
    assert found == {
        "smaller": True, "joule": False, "F1": True, "NetScore": True, "learned": True,
        "beats random": True, "beats evolution": None, "beats tpe": False, "distinct": True,
        "family": True,
    }  # fmt: skip
    nothing = {check.name: check.holds for check in check_searches(rows, [])}
    assert nothing["distinct"] is nothing["family"] is None
