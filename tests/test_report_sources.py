"""What a report is made of: everything in a folder, once; bad input is answered in one line."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.report import build_report
from edgesynth.report.evidence import gather
from edgesynth.report.lineage import read_evolution
from report_samples import offspring_of, write_demo, write_predicted


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "demo"
    write_demo(folder)
    return folder


def test_a_folder_stands_for_everything_in_it_and_nothing_counts_twice(demo, tmp_path):
    copy = tmp_path / "demo"
    shutil.copytree(demo, copy)
    for closed in ("child.bundle", "run/networks/g01-0.edgenet", ".hidden"):
        (copy / closed).mkdir(parents=True)
        (copy / closed / "x.record.json").write_text("not for us")
    found = gather([copy, copy / "run", copy / "records" / "parent.record.json"])
    assert (len(found.runs), len(found.findings)) == (1, 6)


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
