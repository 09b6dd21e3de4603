"""The sampling process: real processes, a sysfs tree whose values change, a program that prints."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile

import boards
import numpy as np
import pytest

import edgesynth_rt
from edgesynth_rt.energy import Window, energy_per_inference, idle_power
from edgesynth_rt.errors import MeasurementError, MissingError, UserError
from edgesynth_rt.sampler import find_tegrastats, source_sampler, tegrastats_sampler

PERIOD_S = 0.02
POWER = "sys/devices/c250000.i2c/i2c-7/7-0040/iio:device3/in_power0_input"


@pytest.fixture
def board(tmp_path):
    return boards.build(tmp_path / "board", "tx2-nx")


@pytest.fixture
def own_temporary_folder(tmp_path, monkeypatch):
    """Where the samplers of a test keep their files; it has to be empty afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


class Load(object):
    """Changes the power of the board while it runs, as a load does."""

    def __init__(self, root, power_mw):
        self._root, self._power_mw = root, power_mw
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._change)

    def _change(self):
        while not self._over.wait(0.005):
            milliwatts = self._power_mw(time.monotonic())
            if milliwatts is not None:
                boards.write(self._root, POWER, str(int(milliwatts)))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def test_readings_are_stamped_with_the_clock_of_this_process(board, own_temporary_folder):
    before = time.monotonic()
    with source_sampler("ina3221", board, PERIOD_S) as sampler:
        assert until(lambda: len(sampler.trace().stamps_s) >= 10)
        now = time.monotonic()
        sampler.wait_past(now)
        trace = sampler.trace()
        assert trace.failure is None
    assert before < trace.stamps_s[0] < now < trace.stamps_s[-1] < time.monotonic()
    assert PERIOD_S / 2 < np.median(np.diff(trace.stamps_s)) < 5 * PERIOD_S
    assert trace.source == "ina3221" and trace.rails == ("VDD_IN", "VDD_CPU_GPU", "VDD_SOC")
    assert set(trace.power_mw["VDD_IN"]) == {boards.expected_mw("tx2-nx")["VDD_IN"]}
    assert trace.lsb_mw["VDD_IN"] == pytest.approx(40.0)
    assert os.listdir(str(own_temporary_folder)) == []


def test_what_is_read_follows_the_board_and_its_clock(board):
    clock = "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/cur_freq"
    boards.write(board, clock, "1300500000")
    watch = {"gpu_hz": os.path.join(board, clock), "absent": os.path.join(board, "no/such")}
    begin = time.monotonic()
    with Load(board, lambda now: 2000 + 4000 * (now - begin > 0.6)):
        with source_sampler("auto", board, PERIOD_S, watch) as sampler:
            assert until(lambda: 6000.0 in sampler.trace().power_mw["VDD_IN"])
            trace = sampler.stop()
    assert set(trace.power_mw["VDD_IN"]) <= {2000.0, 2400.0, 6000.0}
    changed = trace.stamps_s[trace.power_mw["VDD_IN"] == 6000.0][0]
    assert begin + 0.6 < changed < time.monotonic()
    assert set(trace.watched["gpu_hz"]) == {1300500000.0}
    assert np.isnan(trace.watched["absent"]).all()


def test_a_source_that_dies_is_reported_and_what_was_read_is_kept(board, own_temporary_folder):
    with source_sampler("ina3221", board, PERIOD_S) as sampler:
        time.sleep(0.3)
        shutil.rmtree(os.path.join(board, "sys/devices/c250000.i2c"))
        gone = time.monotonic()
        assert until(lambda: sampler.trace().failure)
        trace = sampler.trace()
        assert "in_power0_input is not there" in trace.failure
        sampler.wait_past(time.monotonic())  # does not wait for a dead source
    assert 3 <= len(trace.stamps_s) and trace.stamps_s[-1] < gone + 1.0
    assert trace.dropped == 3  # it was asked again before it was given up
    assert os.listdir(str(own_temporary_folder)) == []


def test_one_failure_is_a_dropped_reading(board):
    path = os.path.join(board, POWER)
    with source_sampler("ina3221", board, 0.2) as sampler:
        assert until(lambda: len(sampler.trace().stamps_s) >= 1)
        os.rename(path, path + ".away")  # right after a reading: only the next one fails
        time.sleep(0.25)
        os.rename(path + ".away", path)
        assert until(lambda: len(sampler.trace().stamps_s) >= 3)
        trace = sampler.stop()
    assert trace.failure is None and trace.dropped in (1, 2)


def test_no_source_is_an_error_at_once(tmp_path, own_temporary_folder):
    with pytest.raises(MissingError, match="no INA3221"):
        source_sampler("ina3221", str(tmp_path / "empty")).start()
    with pytest.raises(UserError, match="no power source sun"):
        source_sampler("sun", str(tmp_path)).start()
    assert os.listdir(str(own_temporary_folder)) == []


def test_a_killed_sampling_process_is_reported(board):
    with source_sampler("ina3221", board, PERIOD_S) as sampler:
        assert until(lambda: len(sampler.trace().stamps_s) >= 2)
        os.kill(sampler.pid, signal.SIGKILL)
        assert until(lambda: sampler.trace().failure)
        trace = sampler.trace()
        assert trace.failure == "the sampling process failed: it was killed"
    assert len(trace.stamps_s) >= 2


def test_it_runs_from_one_file(board, tmp_path):
    """The runtime travels as a zipapp; the folder where it is called has a module of ours."""
    package = os.path.dirname(edgesynth_rt.__file__)
    archive = str(tmp_path / "edgesynth_rt.pyz")
    with zipfile.ZipFile(archive, "w") as archived:
        for name in os.listdir(package):
            if name.endswith(".py"):
                archived.write(os.path.join(package, name), "edgesynth_rt/" + name)
    (tmp_path / "select.py").write_text("raise RuntimeError('not the standard library')")
    script = (
        "import sys; sys.path[0] = sys.argv[1]\n"
        "from edgesynth_rt.sampler import source_sampler\n"
        "with source_sampler('ina3221', sys.argv[2]) as sampler:\n"
        "    print(sampler.trace().rails, sys.modules['edgesynth_rt'].__file__)\n"
    )
    command = [sys.executable, "-c", script, archive, board]
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONPATH"}
    said = subprocess.check_output(command, cwd=str(tmp_path), env=environment).decode()
    assert said.split() == ["('VDD_IN',", "'VDD_CPU_GPU',", "'VDD_SOC')"] + [
        os.path.join(archive, "edgesynth_rt", "__init__.py")
    ]


SCRIPT = """
import sys, time
from edgesynth_rt.sampler import source_sampler, tegrastats_sampler
kind, place = sys.argv[1:]
if kind == "source":
    sampler = source_sampler("ina3221", place, 0.02)
else:
    sampler = tegrastats_sampler(lambda line: ({}, {}), place, 0.02)
with sampler:
    print(sampler.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["source", "tegrastats"])
def test_it_ends_with_the_benchmark_however_that_ends(board, tmp_path, kind, number):
    program = talking_program(tmp_path, "for i in $(seq 3000); do echo RAM $i; sleep 0.02; done")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    benchmark = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, kind, board if kind == "source" else program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, TMPDIR=str(temporary), PYTHONPATH=os.pathsep.join(sys.path)),
    )
    sampling = int(benchmark.stdout.readline())
    children = descendants(sampling)
    assert bool(children) == (kind == "tegrastats")
    benchmark.send_signal(number)
    benchmark.wait()
    benchmark.stdout.close()
    gone = [sampling] + children
    assert until(lambda: not any(alive(process) for process in gone)), gone
    assert until(lambda: os.listdir(str(temporary)) == [])


def test_tegrastats_ends_when_the_sampling_process_is_killed(tmp_path):
    program = talking_program(tmp_path, "while :; do echo RAM; sleep 0.05; done")
    with tegrastats_sampler(parse, program, 0.05) as sampler:
        (child,) = [p for p in descendants(sampler.pid) if "program" in command(p)]
        os.kill(sampler.pid, signal.SIGKILL)
        assert until(lambda: not alive(child))


def parse(line):
    """`RAM ... VDD_IN 2532/2698 GR3D_FREQ 1%@998`, for these tests only."""
    words = line.split()
    if "VDD_IN" not in words:
        return {}, {}
    power = float(words[words.index("VDD_IN") + 1].split("/")[0])
    return {"VDD_IN": power}, {"gpu_mhz": 998.0}


def talking_program(folder, script):
    """A program that prints lines; to a pipe it would print a block of them at once."""
    path = str(folder / "program")
    with open(path, "w") as stream:
        stream.write("#!/bin/sh\n" + script + "\n")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def test_lines_of_tegrastats_are_stamped_when_they_come(tmp_path):
    lines = "for i in 1 2 3 4 5 6 7 8 9; do echo RAM 1 VDD_IN ${i}000/1; sleep 0.1; done; sleep 9"
    before = time.monotonic()
    with tegrastats_sampler(parse, talking_program(tmp_path, lines), 0.1) as sampler:
        assert until(lambda: len(sampler.trace().stamps_s) == 8)
        trace = sampler.trace()
    assert trace.source == "tegrastats"
    assert list(trace.power_mw["VDD_IN"][:3]) == [2000.0, 3000.0, 4000.0]  # without the first
    assert before < trace.stamps_s[0] and np.median(np.diff(trace.stamps_s)) > 0.09
    assert set(trace.watched["gpu_mhz"]) == {998.0} and trace.dropped == 1


def test_a_program_that_buffers_in_blocks_is_still_seen_line_by_line(tmp_path):
    """C programs and Python print to a pipe in blocks; the terminal makes them print lines."""
    path = talking_program(tmp_path, 'exec "%s" "$0.py"' % sys.executable)
    with open(path + ".py", "w") as stream:
        stream.write(
            "import time\nfor i in range(200):\n"
            "    print('RAM VDD_IN %d/1' % i)\n    time.sleep(0.05)\n"
        )
    with tegrastats_sampler(parse, path, 0.05) as sampler:
        assert until(lambda: len(sampler.trace().stamps_s) >= 3)


def test_other_lines_and_a_cut_last_line_are_dropped(tmp_path):
    lines = "echo Welcome; echo RAM VDD_IN 1/1; echo RAM VDD_IN 2/2; printf 'RAM VDD_IN 3'; sleep 9"
    with tegrastats_sampler(parse, talking_program(tmp_path, lines), 0.1) as sampler:
        assert until(lambda: len(sampler.trace().stamps_s) == 1)
        trace = sampler.stop()
    assert list(trace.power_mw["VDD_IN"]) == [2.0] and trace.dropped == 2


def test_a_tegrastats_that_dies_says_why(tmp_path):
    lines = "echo RAM VDD_IN 1/1; echo RAM VDD_IN 2/2; echo sensor lost >&2; exit 3"
    with tegrastats_sampler(parse, talking_program(tmp_path, lines), 0.1) as sampler:
        assert until(lambda: sampler.trace().failure)
        trace = sampler.trace()
    assert trace.failure.endswith('program ended with code 3, saying "sensor lost"')
    assert list(trace.power_mw["VDD_IN"]) == [2.0]


def test_a_tegrastats_that_prints_nothing_and_ends(tmp_path):
    with pytest.raises(MeasurementError, match="program ended with code 0"):
        tegrastats_sampler(parse, talking_program(tmp_path, "exit 0"), 0.1).start()


def test_the_lines_themselves_as_they_came(tmp_path):
    lines = "echo Welcome; echo RAM VDD_IN 1/1; sleep 0.2; echo RAM; printf 'RAM VDD'; sleep 9"
    with tegrastats_sampler(parse, talking_program(tmp_path, lines), 0.1) as sampler:
        assert until(lambda: len(list(sampler.lines())) == 3)
        stamps_s, texts = zip(*sampler.lines())
        assert sampler.failure() is None
    assert texts == ("Welcome", "RAM VDD_IN 1/1", "RAM")
    assert stamps_s[0] <= stamps_s[1] < stamps_s[2] < time.monotonic()


def test_a_tegrastats_that_will_not_end_is_killed(tmp_path):
    lines = "trap '' TERM; echo RAM; while :; do sleep 1; done"
    with tegrastats_sampler(parse, talking_program(tmp_path, lines), 0.1) as sampler:
        children = descendants(sampler.pid)
    assert children and until(lambda: not any(alive(child) for child in children))


def test_where_tegrastats_is_and_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingError, match="tegrastats --logfile"):
        find_tegrastats()
    path = str(tmp_path / "tegrastats")
    os.rename(talking_program(tmp_path, "exit 0"), path)
    assert find_tegrastats() == path  # on PATH; on L4T 28 it is in the home folder
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_tegrastats() == path


def test_no_tegrastats():
    with pytest.raises(MissingError, match="tegrastats-of-nobody cannot be run: No such file"):
        tegrastats_sampler(parse, "tegrastats-of-nobody").start()


def test_idle_and_load_of_a_board(board):
    """The whole way: idle at 2 W, then a load of 6 W with 100 inferences, both for 2 s."""
    found = undisturbed(lambda: idle_then_load(board))
    assert found["gross_mj"] == pytest.approx(120.0, rel=0.01)
    assert found["net_mj"] == pytest.approx(80.0, rel=0.02)


def idle_then_load(board):
    begin = time.monotonic()
    rng = np.random.RandomState(0)

    def power_mw(now):
        return (6000 if now - begin > 2.8 else 2000) + rng.randint(-50, 51)

    with Load(board, power_mw), source_sampler("ina3221", board, 0.05) as sampler:
        time.sleep(max(begin + 2.7 - time.monotonic(), 0))
        idle = idle_power(sampler.trace(), "VDD_IN", begin + 0.6, begin + 2.6)
        time.sleep(max(begin + 5.2 - time.monotonic(), 0))
        sampler.wait_past(begin + 5.0)
        trace = sampler.stop()
    window = Window(begin + 3.0, begin + 5.0, 100)
    return energy_per_inference(trace, "VDD_IN", [window], idle)


def undisturbed(measure):
    """The result of `measure`, which is repeated where a busy machine held up the sampling."""
    for _ in range(4):
        try:
            return measure()
        except MeasurementError:
            time.sleep(1.0)
    return measure()


def until(condition, seconds=10.0):
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def command(process):
    try:
        with open("/proc/%d/cmdline" % process, "rb") as stream:
            return stream.read().decode()
    except OSError:
        return ""


def alive(process):
    """Whether it runs; one that nobody has waited for yet is over."""
    try:
        with open("/proc/%d/stat" % process) as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(process):
    """The processes that it started, and those that these started."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and parent(int(name)) == process:
            found += [int(name)] + descendants(int(name))
    return found


def parent(process):
    try:
        with open("/proc/%d/stat" % process) as stream:
            return int(stream.read().rpartition(")")[2].split()[1])
    except OSError:
        return None
