"""What a report says: who is compared, which figures, what is missing; bad input in one line."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from edgesynth.report import build_report
from edgesynth.report.evidence import gather
from edgesynth.report.sections.gaps import gaps
from edgesynth.report.sections.generations import generations
from edgesynth.report.sections.headline import headline
from edgesynth.report.sections.measured import measured
from edgesynth.report.sections.predicted import predicted
from edgesynth.report.sections.requirements import requirements
from edgesynth.report.subjects import cast
from edgesynth_rt import record
from edgesynth_rt.statistics import summarize
from report_samples import write_demo, write_measured, write_predicted, write_run

NBSP = "\u00a0"
SMALL = {"params": 65_979, "macs": 593_609}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "demo"
    write_demo(folder)
    return folder


def tiles_of(section):
    return [tile for block in section.blocks if block.template == "tiles" for tile in block.tiles]


def charts_of(section):
    found = []
    for block in section.blocks:
        found += getattr(block, "charts", []) or ([block.chart] if hasattr(block, "chart") else [])
    return found


def test_the_headline_compares_the_parent_with_the_best_child(demo):
    players = cast(gather([demo]))
    assert (players.parent.name, players.child.name) == ("lenet5", "lenet5-g04-1")
    tiles = {tile.title: tile for tile in tiles_of(headline(players))}
    assert tiles["Parameters"].figure == "6.53× fewer"  # 431080 / 65979
    assert tiles["MACs"].figure == "3.86× fewer"  # 2293000 / 593609
    assert tiles["Accuracy"].figure == f"−0.79{NBSP}pt"  # 90.61 % to 89.82 %, both on test data
    assert tiles["Accuracy"].detail == "test"
    assert tiles["Size"].before[0] == f"1.72{NBSP}MB"
    assert tiles["Latency, host CPU"].kind == "measured"
    assert {tiles[f"Latency, {board}, MAXN"].kind for board in ("tx1", "tx2")} == {"predicted"}
    lead = headline(players).blocks[0].text
    assert "6.53× fewer parameters" in lead and "0.79 points of test accuracy lost" in lead


def test_measured_and_predicted_stay_apart(demo):
    players = cast(gather([demo]))
    assert [chart.kind for chart in charts_of(measured(players))] == ["measured"]
    assert {chart.kind for chart in charts_of(predicted(players))} == {"predicted"}
    assert "hatched" not in charts_of(measured(players))[0].drawing
    assert all('class="bar"' not in chart.drawing for chart in charts_of(predicted(players)))
    rows = [block for block in headline(players).blocks if block.template == "tiles"]
    assert ["predicted" in {tile.kind for tile in row.tiles} for row in rows] == [False, True]


def test_the_run_names_parent_and_best_and_the_charts_show_both(demo):
    section = generations(gather([demo]).runs[0])
    titles = [chart.title for chart in charts_of(section)]
    assert titles == [
        "Family tree",
        "Accuracy at birth and after training",
        "Reduction against the ancestor",
        "Accuracy against parameters",
        "Accuracy against MACs",
    ]
    for chart in charts_of(section)[3:]:
        assert ">g01-0</text>" in chart.drawing and ">g04-1</text>" in chart.drawing
        assert ">accuracy_loss&lt;=1</text>" in chart.drawing  # the bound is drawn
        assert {entry.text for entry in chart.legend} >= {"Pareto front", "selected", "required"}
    table = section.blocks[1]
    assert len(table.rows) == 21
    best = next(row for row in table.rows if row[0].text == "g04-1")
    assert [cell.text for cell in best][1:4] == ["g03-2", "76.44", "90.30"]
    assert best[4].text == "65,979" and best[-1].text == "best"


def test_a_requirement_shows_what_was_found_and_whether_it_holds(demo):
    table = requirements(cast(gather([demo]))).blocks[0]
    shown = {row[0].text: [cell.text.replace(NBSP, " ") for cell in row[1:3]] for row in table.rows}
    assert shown == {
        "accuracy_loss<=1": ["0.75 pt", "holds"],
        "params<=43k": ["66 k", "fails"],
    }


def test_a_verdict_that_nobody_could_judge_says_why(tmp_path):
    verdict = {"requirement": "energy<=60mJ@tx2", "key": "energy_mj", "limit": 60.0, "value": None,
               "holds": None, "reason": "measured on host, not on tx2"}  # fmt: skip
    write_measured(
        tmp_path / "a.record.json", name="a", accuracy=0.9, requirements=[verdict], **SMALL
    )
    row = requirements(cast(gather([tmp_path]))).blocks[0].rows[0]
    assert (row[1].text, row[2].text) == ("–", "not judged")
    assert "measured on host, not on tx2" in row[3].text


def test_without_a_run_the_larger_bundle_is_the_parent(tmp_path):
    for name, params, macs in (("b", 50_000, 400_000), ("a", 400_000, 2_000_000), ("c", 1, 1)):
        write_measured(
            tmp_path / f"{name}.record.json", name=name, params=params, macs=macs, accuracy=0.9
        )
    players = cast(gather([tmp_path]))
    assert (players.parent.name, players.child.name) == ("a", "c")
    assert [(one.name, one.ink) for one in players.others] == [("b", "third")]
    assert len(charts_of(measured(players))[0].legend) == 3


def test_one_network_alone_is_reported_without_ratios(tmp_path):
    write_predicted(tmp_path / "a.record.json", name="a", module="tx2", **SMALL)
    players = cast(gather([tmp_path]))
    assert players.parent is None
    tiles = {tile.title: tile for tile in tiles_of(headline(players))}
    assert tiles["Parameters"].figure == f"66{NBSP}k"
    assert tiles["Parameters"].before is None
    assert measured(players) is None
    missing = dict(gaps(players).blocks[0].pairs)
    assert "predicted only" in missing["Latency on tx2"].text
    assert "no measured record" in missing["Latency anywhere"].text


def test_energy_that_was_not_measured_is_a_reason_and_never_zero(demo, tmp_path):
    players = cast(gather([demo]))
    reasons = dict(gaps(players).blocks[0].pairs)
    assert "no power source" in reasons["Energy, host CPU"].text
    out = tmp_path / "r.html"
    build_report([demo], out)
    assert not re.search(rf">0{NBSP}mJ<", out.read_text())


def test_an_ancestor_without_offspring_is_a_report_too(tmp_path):
    write_run(tmp_path / "run", generations=1)
    document = build_report([tmp_path / "run"], tmp_path / "r.html")
    assert (document["parent"], document["child"]) == (None, "lenet5")


def test_several_runs_have_a_section_each(tmp_path):
    for seed in (0, 1, 2):
        write_run(tmp_path / f"seed-{seed}", generations=3, litter=2, seed=seed)
    document = build_report([tmp_path], tmp_path / "r.html")
    assert document["runs"] == 3
    assert [f"generations-{n}" in document["sections"] for n in (1, 2, 3)] == [True] * 3


def test_raw_latencies_that_stayed_behind_leave_a_dashed_line(demo, tmp_path):
    shutil.copytree(demo / "records", tmp_path / "r")
    (tmp_path / "r" / "child.times.json").unlink()
    chart = charts_of(measured(cast(gather([tmp_path / "r"]))))[0]
    assert "dashed" in chart.drawing
    assert "not at hand" in chart.note


def facts_of(section):
    return {
        name: cell.text.replace(NBSP, " ")
        for block in section.blocks
        if block.template == "facts"
        for name, cell in block.pairs
    }


def test_a_difference_comes_with_its_interval(demo):
    facts = facts_of(measured(cast(gather([demo]))))
    speed = facts["Latency p50, lenet5-g04-1"]
    factors = [float(text) for text in re.findall(r"([\d.]+)×", speed)]
    assert "faster" in speed and "no difference" not in speed
    assert factors[1] <= factors[0] <= factors[2]
    # 90.61 % and 89.82 % of 10,000 images: the standard error of the difference is 0.42 points
    assert facts["Accuracy, lenet5-g04-1"] == (
        "−0.79 pt, 95 % interval −1.61 pt to +0.03 pt: no difference shown"
    )


def test_a_slower_network_is_called_slower(tmp_path):
    write_measured(tmp_path / "a.record.json", name="a", params=9, macs=400_000, accuracy=0.9)
    write_measured(tmp_path / "b.record.json", name="b", params=8, macs=399_999, accuracy=0.9)
    for name, latency in (("a", 1.0), ("b", 2.0)):
        series = SimpleNamespace(parts_ms={}, start_ms=range(100), latency_ms=[latency] * 100)
        path = tmp_path / f"{name}.record.json"
        document = json.loads(path.read_text())
        document["latency_ms"] = summarize(series.latency_ms)
        record.write_record(path, document, series)
    assert facts_of(measured(cast(gather([tmp_path]))))["Latency p50, b"].startswith(
        "2.00× slower, 95 % interval 2.00× to 2.00×"
    )


def test_a_doubt_of_the_record_is_printed_once(tmp_path):
    for name, macs in (("a", 9000), ("b", 8000)):
        write_measured(
            tmp_path / f"{name}.record.json", name=name, params=9, macs=macs, accuracy=0.9,
            validity=["the load average was 7"],
        )  # fmt: skip
    texts = [b.text for b in measured(cast(gather([tmp_path]))).blocks if b.template == "paragraph"]
    assert texts.count("Doubt about a, b: the load average was 7.") == 1


def test_a_prediction_says_how_far_it_may_be_off(tmp_path):
    for name, macs in (("a", 900_000), ("b", 300_000)):
        write_predicted(
            tmp_path / f"{name}.record.json", name=name, params=9000, macs=macs, module="tx2",
            validity=["launching kernels decides"],
        )  # fmt: skip
    players = cast(gather([tmp_path]))
    section = predicted(players)
    latency, energy = charts_of(section)
    assert "whisker" in latency.drawing and "mean absolute error" in latency.note
    assert "whisker" not in energy.drawing and energy.note == ""  # nobody knows that error
    table = next(block for block in section.blocks if block.template == "table")
    cells = [cell.text.replace(NBSP, " ") for cell in table.rows[0]]
    assert (cells[0], cells[1], cells[3]) == ("tx2, MAXN, fp32", "± 18 %", "± ?")
    assert "9 networks" in cells[2] and "module's input rail" in cells[4]
    assert section.blocks[-1].text == "Doubt about a, b: launching kernels decides."
    tiles = {tile.title: tile.detail.replace(NBSP, " ") for tile in tiles_of(headline(players))}
    assert tiles["Latency, tx2, MAXN"] == "fp32, ± 18 %"


def test_a_layer_table_names_the_bound_and_the_share_of_each_layer(demo):
    folds = [b for b in predicted(cast(gather([demo]))).blocks if b.template == "fold"]
    assert [fold.summary for fold in folds] == [
        f"Layers on {board}, MAXN: tensorrt, fp32, batch 1" for board in ("tx1", "tx2")
    ]
    parent, child = folds[0].tables
    assert parent.caption.startswith("lenet5: ") and child.caption.startswith("lenet5-g04-1: ")
    assert [row[0].text for row in child.rows] == ["conv1", "conv2", "fc1", "fc2"]
    assert sum(row[4].share for row in child.rows) == pytest.approx(1)
    assert {row[5].text for row in child.rows} == {"compute", "memory"}


def test_energy_that_cannot_be_predicted_says_why(tmp_path):
    reason = {"not_predicted": "no published power measurements"}
    write_predicted(tmp_path / "a.record.json", name="a", module="tx1", energy=reason, **SMALL)
    players = cast(gather([tmp_path]))
    assert [chart.title for chart in charts_of(predicted(players))] == ["Latency"]
    missing = dict(gaps(players).blocks[0].pairs)
    assert missing["Energy, tx1, MAXN"].text == "not predicted: no published power measurements"


def test_the_same_sources_give_the_same_page(demo, tmp_path):
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    for page in pages:
        build_report([demo], page)
    assert pages[0].read_bytes() == pages[1].read_bytes()


class _Collector(HTMLParser):
    """Tags and attributes of a page; fails on a tag that is closed out of turn."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_without_scripts_or_inline_styles(demo, tmp_path):
    out = tmp_path / "r.html"
    build_report([demo], out)
    page = _Collector()
    page.feed(out.read_text())
    assert page.open == []
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert "style" not in names and not any(name.startswith("on") for name in names)
    targets = [value for name, value in page.attributes if name in ("href", "src")]
    assert all(target.startswith("#") or target == "data:," for target in targets)
    identities = [value for name, value in page.attributes if name == "id"]
    assert len(identities) == len(set(identities))
    assert {t[1:] for t in targets if t.startswith("#")} <= set(identities)
