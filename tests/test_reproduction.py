"""Reproductions from rows written by hand: summary, checks, page."""

from __future__ import annotations

import re

import msgspec
import pytest

from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.reproduction import Row, read_rows, summarize
from edgesynth.report.reproduction import sections_of
from edgesynth.workflows.reproduce import ReproductionPlan, precision, reproduce, stressednets
from edgesynth.workflows.reproduce.paper import Findings
from edgesynth.workflows.reproduce.recipe import Recipe
from reproduction_rows import lineage, row, two_seeds

RIVALS = {rival.name: rival for rival in stressednets.rivals(Recipe())}


def findings(rows: list[Row]) -> Findings:
    return Findings(rows, RIVALS)


def verdicts(rows: list[Row]) -> dict[str, bool | None]:
    return {each.name: each.holds for each in stressednets.check(findings(rows))}


def test_the_summary_compares_each_seed_with_its_own_ancestor() -> None:
    found = {(s.rival, s.generation): s for s in summarize(two_seeds())}
    third = found["edgesynth", 3]
    assert third.seeds == [0, 1]
    assert third.fewer["synapses"].mean == pytest.approx(4)
    assert third.test_accuracy.low == pytest.approx(0.89)
    assert third.test_accuracy.high == pytest.approx(0.90)
    assert third.lost_points.mean == pytest.approx(1.0)
    assert third.faster is not None and third.faster.mean == pytest.approx(4)


def test_a_row_without_its_ancestor_is_left_out() -> None:
    assert summarize([row("edgesynth", 2, seed=7, test=0.9)]) == []


def test_a_claim_holds_at_the_first_network_that_is_small_and_accurate_enough() -> None:
    rows = [row("ancestor", 1, test=0.90), row("edgesynth", 2, test=0.896, fewer=41)]
    assert verdicts(rows)["synapses"] is True
    rows[1] = row("edgesynth", 2, test=0.894, fewer=41)  # 0.6 points
    assert verdicts(rows)["synapses"] is False
    rows[1] = row("edgesynth", 2, test=0.90, fewer=39)
    assert verdicts(rows)["synapses"] is False
    assert verdicts(rows[:1])["synapses"] is None


def test_a_baseline_that_is_small_enough_proves_nothing() -> None:
    rows = [row("ancestor", 1, test=0.90), row("magnitude", 2, test=0.90, fewer=50)]
    assert verdicts(rows)["synapses"] is None


def test_equal_accuracy_fails_where_a_baseline_is_smaller() -> None:
    assert verdicts(two_seeds())["equal accuracy, synapses"] is True
    better = [r for r in two_seeds() if r.rival != "magnitude"]
    better += [r for s in (0, 1) for r in lineage("magnitude", {2: 0.91, 3: 0.91, 4: 0.91}, seed=s)]
    assert verdicts(better)["equal accuracy, synapses"] is False


def test_random_culling_and_stress_are_judged_by_generation() -> None:
    assert verdicts(two_seeds())["E4"] is True
    rows = [msgspec.structs.replace(r, accuracy_at_birth=0.7 if "+" in r.rival else 0.64)
            if r.generation > 1 else r for r in two_seeds()]  # fmt: skip
    found = [each for each in stressednets.check(findings(rows)) if each.name == "E5"]
    assert [each.holds for each in found] == [True, True]
    assert "+6.00 points" in found[0].found


def test_precision_is_judged_against_float32_trained_as_long() -> None:
    rows = [row("ancestor", 1, test=0.90), row("plain-fp32", 2, test=0.91),
            row("plain-int8", 2, test=0.904, weight_bytes=100_000)]  # fmt: skip
    known = {rival.name: rival for rival in precision.rivals(Recipe())}
    found = {c.name: c for c in precision.check(Findings(rows, known))}
    assert found["Q1 int8"].holds is True
    assert "+0.60 points, 4.00 times" in found["Q1 int8"].found
    assert found["Q1 int4"].holds is None


def test_the_page_has_the_three_figures_and_keeps_measured_and_predicted_apart() -> None:
    rows = two_seeds()
    found = findings(rows)
    document = msgspec.to_builtins({
        "paper": {"name": "stressednets", "title": "T", "arxiv": "1801.05387"},
        "data": "digits", "command": "edgesynth", "settings": {}, "versions": {}, "seeds": [0, 1],
        "rivals": [], "not_run": [{"rival": "nncf", "reason": "not installed"}], "claims": [],
        "checks": [each.document() for each in stressednets.check(found)],
        "equal_accuracy": found.compare("synapses"), "summary": found.summaries, "rows": rows,
    })  # fmt: skip
    sections = {section.id: section for section in sections_of(document)}
    charts = sections["figures"].blocks[0].charts
    assert [chart.title for chart in charts] == [
        "Test accuracy against synapses",
        "Stress on against off, the papers' rule for clusters",
        "Test accuracy against dense parameters",
    ]
    assert all('class="band"' in chart.drawing for chart in charts)
    assert len(re.findall("at birth, with", str(charts[1].legend))) == 2
    assert [getattr(b, "kind", "") for b in sections["generations"].blocks] == [
        "", "measured", "predicted",
    ]  # fmt: skip


def test_half_a_line_is_not_a_row(tmp_path) -> None:
    line = msgspec.json.encode(row("ancestor", 1, test=0.9))
    (tmp_path / "rows.jsonl").write_bytes(line + b"\n" + line[:40])
    assert len(read_rows(tmp_path / "rows.jsonl")) == 1
    (tmp_path / "rows.jsonl").write_bytes(b"{}\n")
    with pytest.raises(UserError, match="line 1"):
        read_rows(tmp_path / "rows.jsonl")


def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path) -> None:
    for paper, rival, error, words in (
        ("stresednets", "edgesynth", UserError, "stressednets"),
        ("stressednets", "magnitud", UserError, "magnitude"),
        ("stressednets", "modelopt", MissingError, "2:4"),
        ("stressednets", "magnitude", UserError, "add --rival edgesynth"),
    ):
        with pytest.raises(error, match=words):
            reproduce(paper, "digits", tmp_path / "r", plan=ReproductionPlan(rivals=(rival,)))
    assert not list(tmp_path.rglob("*.edgenet"))
