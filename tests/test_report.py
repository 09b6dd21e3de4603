"""What a report says: who is compared, which figures, what is missing; bad input in one line."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.report import build_report
from edgesynth.report.evidence import gather
from edgesynth.report.lineage import read_evolution
from edgesynth.report.sections.gaps import gaps
from edgesynth.report.sections.generations import generations
from edgesynth.report.sections.headline import headline
from edgesynth.report.sections.measured import measured
from edgesynth.report.sections.predicted import predicted
from edgesynth.report.sections.requirements import requirements
from edgesynth.report.subjects import cast
from edgesynth_rt import record
from edgesynth_rt.statistics import summarize
from report_samples import offspring_of, write_demo, write_measured, write_predicted, write_run

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
        "Accuracy at birth and after training",
        "Reduction against the ancestor",
        "Accuracy against parameters",
        "Accuracy against MACs",
    ]
    for chart in charts_of(section)[2:]:
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


def test_a_folder_stands_for_everything_in_it_and_nothing_counts_twice(demo, tmp_path):
    copy = tmp_path / "demo"
    shutil.copytree(demo, copy)
    for closed in ("child.bundle", "run/networks/g01-0.edgenet", ".hidden"):
        (copy / closed).mkdir(parents=True)
        (copy / closed / "x.record.json").write_text("not for us")
    found = gather([copy, copy / "run", copy / "records" / "parent.record.json"])
    assert (len(found.runs), len(found.findings)) == (1, 6)


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
        series = SimpleNamespace(start_ms=range(100), latency_ms=[latency] * 100)
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


counts = st.integers(-(2**63), 2**63 - 1)
latencies = st.floats(1e-12, 1e15)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.none() | st.floats(0, 1), counts, counts), min_size=1)
)
def test_every_history_that_can_be_read_can_be_reported(figures):
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            msgspec.structs.replace(
                offspring_of(1, 0, None), id=f"o{n}", parent="o0" if n else None, generation=n + 1,
                accuracy=accuracy, accuracy_at_birth=birth, params=params, macs=macs, synapses=macs,
                size_bytes=params, seconds=float(macs), selected=bool(params % 2),
            )
            for n, (accuracy, birth, params, macs) in enumerate(figures)
        ]  # fmt: skip
        history = Path(folder, "history.jsonl")
        history.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        assert build_report([history], Path(folder, "r.html"))["runs"] == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(latencies, min_size=1, max_size=4), st.none() | latencies, st.integers(0, 2**60))
def test_every_record_that_can_be_read_can_be_reported(layer_ms, energy_mj, macs):
    with tempfile.TemporaryDirectory() as folder:
        energy = {"not_predicted": "no power"} if energy_mj is None else {"gross_mj": energy_mj}
        layers = [{"name": "l", "latency_ms": value} for value in layer_ms]
        for name, latency_ms in (("a", layer_ms[0]), ("b", layer_ms[-1])):
            write_predicted(
                Path(folder, f"{name}.record.json"), name=name, params=macs, macs=macs,
                module="tx2", latency_ms={"mean": latency_ms}, energy=energy, layers=layers,
            )  # fmt: skip
        assert build_report([Path(folder)], Path(folder, "r.html"))["predicted"] == 2


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def broken(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda d: (d / "records/child.record.json").write_bytes(b'{"schema": "edge'),
            "child.record",
        ),
        (lambda d: (d / "run/history.jsonl").write_bytes(b"{}\n"), "history.jsonl, line 1"),
        (lambda d: (d / "run/history.jsonl").write_bytes(b'{"id": 3'), "no finished offspring"),
        (lambda d: (d / "run/run.json").write_bytes(b"[]"), "run.json"),
        (lambda d: (d / "records/child.times.json").write_bytes(b"[]"), "child.times.json"),
        (
            lambda d: broken(
                d / "records/child.record.json", lambda r: r["latency_ms"].update(p50="fast")
            ),
            "latency_ms",
        ),
        (
            lambda d: broken(
                d / "records/child-tx1.record.json", lambda r: r["latency_ms"].update(mean=0)
            ),
            "child-tx1.record.json",
        ),
        (
            lambda d: broken(d / "records/child-tx1.record.json", lambda r: r["layers"].append(3)),
            "child-tx1.record.json",
        ),
    ],
)
def test_a_damaged_file_is_named_in_one_line_and_no_page_is_written(demo, tmp_path, damage, words):
    copy = tmp_path / "demo"
    shutil.copytree(demo, copy)
    damage(copy)
    with pytest.raises(UserError) as caught:
        build_report([copy], tmp_path / "r.html")
    assert words in one_line(caught)
    assert not (tmp_path / "r.html").exists()


def test_a_history_cut_by_a_crash_keeps_its_whole_lines(demo, tmp_path):
    history = tmp_path / "history.jsonl"
    data = (demo / "run" / "history.jsonl").read_bytes()
    history.write_bytes(data[:-100])
    assert len(read_evolution(history).offspring) == data.count(b"\n") - 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda lines: [lines[0], lines[2].replace('"g01-0"', '"g99-1"')],
            "line 2: offspring g02-2",
        ),
        (lambda lines: [lines[0], lines[0]], "stands there twice"),
        (
            lambda lines: [lines[0], lines[1].replace('"parent":"g01-0"', '"parent":null')],
            "has no parent",
        ),
        (lambda lines: [lines[0].replace("0.9105", "91.05")], "accuracy of 91.05"),
        (lambda lines: [lines[0].replace('"generation":1', '"generation":0')], "generation 0"),
        (lambda lines: [lines[0].replace('"limit":1.0', '"limit":"1"')], "limit"),
    ],
)
def test_a_family_that_cannot_be_is_refused(demo, tmp_path, change, words):
    lines = (demo / "run" / "history.jsonl").read_text().splitlines()
    history = tmp_path / "history.jsonl"
    history.write_text("".join(line + "\n" for line in change(lines)))
    with pytest.raises(UserError) as caught:
        read_evolution(history)
    assert words in one_line(caught)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "absent", "there is no"),
        (lambda p: p, "holds neither a run"),
        (lambda p: (p / "net.onnx").write_bytes(b"x") and p / "net.onnx", "cannot be reported"),
    ],
)
def test_a_source_of_another_kind_is_refused_with_the_known_kinds(tmp_path, make, words):
    with pytest.raises(UserError, match=words) as caught:
        build_report([make(tmp_path)], tmp_path / "r.html")
    assert "record" in one_line(caught)


def test_the_command_writes_the_page_and_says_so(demo, tmp_path, capsys):
    out = tmp_path / "report.html"
    assert run(["report", str(demo), "--out", str(out), "--title", "A <b> & c", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "edgesynth.report/1"
    assert (document["runs"], document["measured"], document["predicted"]) == (1, 2, 4)
    assert document["size_bytes"] == out.stat().st_size
    assert "<h1>A &lt;b&gt; &amp; c</h1>" in out.read_text()


def test_a_source_is_never_overwritten(demo, tmp_path, capsys):
    source = tmp_path / "history.jsonl"
    shutil.copy(demo / "run" / "history.jsonl", source)
    before = source.read_bytes()
    assert run(["report", str(source), "--out", str(source)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_an_unwritable_place_is_one_line(demo, tmp_path, capsys):
    assert run(["report", str(demo), "--out", str(tmp_path / "no" / "r.html")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "r.html cannot be written" in error
