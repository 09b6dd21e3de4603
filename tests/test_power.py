"""`edgesynth power`: real logs, commands beside a replayed log, drawings, errors."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from edgesynth.cli.main import run
from edgesynth.device.power_text import show_power
from edgesynth.workflows.power import power_of_log
from mutate import rounds, tegrastats_seeds

ROOT = Path(__file__).parents[1]
COMPOSED = ROOT / "tests" / "data" / "tegrastats"
SHARED = ROOT.parent / "shared" / "tegrastats"
REAL = sorted(SHARED.glob("*-*.txt"))
real_logs = pytest.mark.skipif(not REAL, reason="../shared/tegrastats, the real logs, is absent")
LINE = "RAM 1/2MB (lfb 3x4MB) POM_5V_IN {0}/{0} POM_5V_GPU 40/40 POM_5V_CPU 50/50\n"


@pytest.fixture
def power(capfd):
    """(exit code, document or None, stderr) of one command line of `edgesynth power --json`."""

    def call(*arguments):
        own = [str(argument) for argument in arguments]
        code = run(["power", "--json", *own])
        out, err = capfd.readouterr()
        return code, json.loads(out), err

    return call


@pytest.fixture
def replayed(monkeypatch, tmp_path):
    """Put the replaying tegrastats on PATH, with a log of the lines given."""

    def set_up(text):
        log = tmp_path / "replayed.txt"
        log.write_text(text)
        monkeypatch.setenv("PATH", f"{ROOT / 'tests' / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("TEGRASTATS_LOG", str(log))

    return set_up


@real_logs
@pytest.mark.parametrize(
    ("name", "module", "total"),
    [
        ("tx2-r32-1", "tx2", ["VDD_IN"]),
        ("nano-r32.7-1", "nano", ["POM_5V_IN"]),
        ("xaviernx-r35-1", "xavier-nx", ["VDD_IN"]),
        ("agxorin-r36-1", "agx-orin", ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]),
    ],
)
def test_board_power_of_a_real_log_is_that_of_the_right_rails(power, name, module, total):
    log = SHARED / f"{name}.txt"
    code, document, _ = power(log)
    assert (code, document["kind"], document["module"]["names"]) == (0, "log", [module])
    assert document["module"]["total"] == total
    # read once more, by the simplest means
    text = log.read_text()
    found = {rail: re.findall(rf" {rail} (\d+)(?:mW)?/(\d+)", text) for rail in total}
    means = {rail: sum(int(p) for p, _ in pairs) / len(pairs) for rail, pairs in found.items()}
    assert document["board_power_mw"]["mean"] == pytest.approx(sum(means.values()))
    for rail in total:
        last_average = int(found[rail][-1][1])
        assert abs(means[rail] - last_average) <= 1  # tegrastats truncates
    assert document["averages"]["agrees"] is True
    assert (document["lines"]["cut"], document["lines"]["unknown_words"]) == (0, {})
    energy = document["energy"]
    assert energy["board_j"] == pytest.approx(energy["mean_w"] * energy["covered_s"])
    assert energy["mean_w"] == pytest.approx(document["board_power_mw"]["mean"] / 1e3, rel=0.01)


@real_logs
@pytest.mark.parametrize("log", REAL, ids=lambda path: path.name)
def test_every_real_log_is_shown(capfd, log):
    assert run(["power", str(log)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert re.search(
        r"^board power +(mean [\d.]+ W|not known: no line has a power rail)", out, re.M
    )
    assert "cut" not in out


@pytest.mark.parametrize("log", sorted(COMPOSED.glob("*.txt")), ids=lambda path: path.name)
def test_every_composed_log_is_shown(capfd, log):
    assert run(["power", str(log)]) == 0
    assert "not from tegrastats (line 1" in capfd.readouterr().out


def test_the_report_of_a_small_log(capfd, tmp_path):
    log = tmp_path / "log.txt"
    lines = [LINE.format(mw) for mw in (1000, 1000, 3000, 3000)]
    lines[2] = lines[2].replace("3000/3000", "3000/1666")
    lines[3] = lines[3].replace("3000/3000", "3000/2000")
    log.write_text("".join(lines) + LINE[:30])
    assert run(["power", str(log)]) == 0
    out = capfd.readouterr().out
    for expected in [
        r"^lines +4 samples in 5 lines; 1 cut, dropped$",
        r"^module +Jetson Nano$",
        r"^board power +mean 2\.000 W \(1\.000 to 3\.000\) = POM_5V_IN, the 5 V input$",
        r"^energy +6\.00 J in 3\.00 s \(trapezoid of 4 samples, 2\.000 W, 100\.0% covered\)$",
        r"^POM_5V_IN +1\.000 +2\.000 +3\.000 +100% +6\.00 +\S+ +the total *$",
        r"^POM_5V_GPU .* part of the total *$",
        r"^remark: the lines have no time, so one every 1000 ms is assumed \(--interval\)",
        r"^ 3\.00 W┤  ██$",
    ]:
        assert re.search(expected, out, re.M), expected


def test_an_interval_may_be_told(power, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text(LINE.format(2000) * 11)
    assert power(log, "--interval", 500)[1]["energy"]["board_j"] == pytest.approx(10.0)


def test_a_terminal_without_unicode(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "edgesynth.cli.main", "power", str(COMPOSED / "nano-r32.7.txt")],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b" W|" in done.stdout
    done.stdout.decode("ascii")


def test_standard_input():
    done = subprocess.run(
        [sys.executable, "-m", "edgesynth.cli.main", "power", "-", "--json"],
        input=LINE.format(2000).encode() * 3,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}"},
        capture_output=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert (document["source"], document["energy"]["board_j"]) == ("standard input", 4.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.txt"], "tegrastats log nowhere.txt cannot be read: No such file"),
        (["."], "cannot be read: Is a directory"),
        (["empty.txt"], "empty.txt has no line of tegrastats; it is empty"),
        (["cut.txt"], "has no line of tegrastats; its only line is cut off"),
        (["other.txt"], 'has no line of tegrastats; line 1 is "hello[2J"'),
        (["nano.txt", "--module", "tx3"], 'there is no module "tx3"; did you mean "tx2"?'),
        (["nano.txt", "--module", "tx2"], "--module tx2 does not fit: the total of Jetson TX2 is"),
        (["nano.txt", "--out", "power.pdf"], "has to end with .svg, .png, .html or .json"),
        (["nano.txt", "--out", "nowhere/power.svg"], "nowhere/power.svg cannot be written"),
        ([], "name one of: a tegrastats LOG, or -- and a COMMAND"),
        (["--"], "name one of: a tegrastats LOG, or -- and a COMMAND"),
        (["nano.txt", "--", "true"], "name one of: a tegrastats LOG, or -- and a COMMAND"),
        (["nano.txt", "other.txt"], "other.txt"),
        (["--", "no-such-command"], "command no-such-command was not found; is it on PATH?"),
    ],
)
def test_bad_input_is_one_line_and_code_2(power, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    Path("cut.txt").write_text(LINE.format(1000)[:-3])
    Path("other.txt").write_text("hello\x1b[2J\nyou\n")
    Path("nano.txt").write_text(LINE.format(1000) * 3)
    code, document, err = power(*arguments)
    assert (code, document["exit_code"]) == (2, 2)
    assert words in document["error"].replace("?[2J", "[2J")
    assert len(err.strip().splitlines()) == 1
    assert not Path("power.pdf").exists()


def test_a_command_is_measured_between_its_start_and_its_end(power, replayed):
    replayed(LINE.format(2500))
    code, document, err = power("--interval", 20, "--", "sh", "-c", "echo said; sleep 1")
    assert (code, document["validity"]) == (0, [])
    assert document["kind"] == "replayed"  # this machine is no Jetson
    command, energy = document["command"], document["energy"]
    assert command["arguments"] == ["sh", "-c", "echo said; sleep 1"]
    assert (command["exit_status"], err) == (0, "said\n")
    assert 1.0 <= command["duration_s"] < 5
    assert energy["covered_s"] == pytest.approx(command["duration_s"], abs=1e-6)
    assert energy["board_j"] == pytest.approx(2.5 * command["duration_s"], rel=1e-6)
    assert document["time"]["source"] == "arrival"


def test_a_command_that_fails_ends_with_1(power, replayed):
    replayed(LINE.format(2500))
    code, document, _ = power("--interval", 10, "--", "sh", "-c", "sleep 0.5; exit 7")
    assert (code, document["command"]["exit_status"]) == (1, 7)


def test_a_command_that_is_too_short_is_invalid(power, replayed):
    replayed(LINE.format(2500))
    code, document, _ = power("--interval", 50, "--", "sleep", "0.3")
    assert code == 5
    assert re.fullmatch(
        r"\d+ samples are too few, 20 are needed; run longer, or give a shorter --interval",
        document["validity"][0],
    )


def test_without_tegrastats_the_command_does_not_run(power, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    code, document, _ = power("--", "touch", str(tmp_path / "ran"))
    assert (code, document["exit_code"]) == (4, 4)
    assert "it comes with Jetson Linux" in document["error"]
    assert not (tmp_path / "ran").exists()


def test_a_tegrastats_that_ends_is_an_invalid_measurement(power, replayed, monkeypatch):
    replayed(LINE.format(2500) * 2)
    monkeypatch.setenv("TEGRASTATS_ONCE", "1")
    code, document, _ = power("--interval", 20, "--", "sleep", "0.5")
    assert code == 5
    assert "tegrastats ended with code 0, so power is not measured" in document["error"]


def test_a_tegrastats_that_prints_something_else(power, tmp_path, monkeypatch):
    (tmp_path / "tegrastats").write_text("#!/bin/sh\necho hello; exec sleep 60\n")
    (tmp_path / "tegrastats").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("edgesynth.workflows.power._START_TIMEOUT_S", 0.5)
    code, document, _ = power("--", "true")
    assert code == 5
    assert 'printed no line with values within 0.5 s, but "hello"' in document["error"]


def test_ctrl_c_ends_both_programs_and_is_130(replayed, tmp_path):
    replayed(LINE.format(2500))
    started = tmp_path / "started"
    # after a second, so that edgesynth has long got hold of its child, also on a busy machine
    command = ["power", "--", "sh", "-c", f"sleep 1; echo $$ >{started}; exec sleep 60"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgesynth.cli.main", *command],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'deploy'}"},
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 60
        while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().strip() == "edgesynth: interrupted; what was finished is kept"
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.parametrize("name", ["tx2-r32.7", "agx-orin-r39", "tk1-r21", "thor-r38"])
def test_drawings_are_whole_and_repeat(tmp_path, name):
    log = COMPOSED / f"{name}.txt"
    for form in ("svg", "png", "html", "json"):
        files = [tmp_path / f"{turn}.{form}" for turn in (1, 2)]
        for file in files:
            assert run(["power", str(log), "--out", str(file), "--json"]) == 0
        assert files[0].read_bytes() == files[1].read_bytes()
    assert ET.parse(tmp_path / "1.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert (tmp_path / "1.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    html = (tmp_path / "1.html").read_text()
    assert "<svg" in html
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', html) == []
    document = json.loads((tmp_path / "1.json").read_text())
    assert document["schema"] == "edgesynth.power/1"
    assert len(document["trace"]["time_s"]) == document["lines"]["samples"]


def test_words_of_a_log_are_never_markup(tmp_path, capfd):
    log = tmp_path / "log.txt"
    odd = "<script>alert(1)</script> [bold]x[/bold] $x^{2 \x1b[31m"
    log.write_text(f"{odd}\n" + LINE.format(5).replace("POM_5V_GPU", f"{odd} POM_5V_GPU") * 2)
    assert run(["power", str(log), "--out", str(tmp_path / "power.html")]) == 0
    out = capfd.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "\x1b" not in out
    assert "<script" not in (tmp_path / "power.html").read_text()


def test_damaged_logs_are_shown_without_a_traceback(tmp_path):
    from rich.console import Console

    file = tmp_path / "log.txt"
    with (tmp_path / "out.txt").open("w") as stream:
        console, shown = Console(file=stream, width=100), 0
        for number, data in rounds(tegrastats_seeds(), 10_000, 40):
            file.write_bytes(data)
            if b"RAM " in data:
                try:
                    show_power(*power_of_log(file), console)
                    shown += 1
                except Exception as error:
                    if "has no line of tegrastats" not in str(error):
                        pytest.fail(f"round {number}: {error!r} for {data!r}")
    assert shown > 20
