"""Time and energy of one load together: clocks held, idle power, until the interval is narrow."""

import functools
import os
import time

import boards
import fake_board
import pytest

from edgesynth_rt import powered
from edgesynth_rt.clock_lock import lock_clocks
from edgesynth_rt.errors import MeasurementError, MissingError, UserError
from edgesynth_rt.host import device_facts
from edgesynth_rt.measure import measure
from edgesynth_rt.powered import PowerPlan, measure_powered

NONE = PowerPlan("none", None, None, False)


def load(duration_s):
    """A load of about 1 ms an iteration."""
    (series,) = measure(
        [lambda: time.sleep(1e-3)],
        warm_up_ms=0,
        iterations=5,
        duration_s=0.1 if duration_s is None else duration_s,
        clock=time.monotonic,
    )
    return series


@pytest.fixture
def replaying(monkeypatch):
    monkeypatch.setenv("PATH", fake_board.BIN + os.pathsep + os.environ["PATH"])


@pytest.fixture
def tx2(tmp_path, monkeypatch):
    """(root, device) of a TX2 whose clocks can be locked."""
    root = fake_board.build(tmp_path)
    boards.write(root, "etc/nv_tegra_release", "# R32 (release), REVISION: 7.1, GCID: 1, BOARD: t")
    boards.write(root, "proc/device-tree/model", "quill\0")
    for name, value in fake_board.environment(root).items():
        monkeypatch.setenv(name, value)
    locking = functools.partial(lock_clocks, folder=str(tmp_path / "keeper"))
    monkeypatch.setattr(powered, "lock_clocks", locking)
    return root, device_facts(root)


def gpu_minimum(root):
    with open(os.path.join(root, fake_board.SET[0])) as stream:
        return stream.read().strip()


def test_clocks_are_held_during_the_load_and_given_back(tx2):
    root, device = tx2
    seen = []

    def run(duration_s):
        seen.append(gpu_minimum(root))
        return load(duration_s)

    outcome = measure_powered(run, 1, NONE._replace(lock_clocks=True), device, True, root)
    assert seen == ["1300500000"] and gpu_minimum(root) == "114750000"
    assert outcome.conditions["clocks_locked"] is True
    assert outcome.energy == {"not_measured": "switched off with --power none"}
    free = measure_powered(run, 1, NONE, device, True, root)
    assert seen[1] == "114750000" and free.conditions["clocks_locked"] is False
    assert free.conditions["limits"]["gpu_mhz"] == [114.75, 1300.5]


def test_clocks_are_given_back_when_the_load_fails(tx2):
    root, device = tx2

    def run(duration_s):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_powered(run, 1, NONE._replace(lock_clocks=True), device, True, root)
    assert gpu_minimum(root) == "114750000"


def test_a_board_that_slowed_down_is_refused(tx2):
    root, device = tx2

    def run(duration_s):
        boards.write(root, "sys/class/thermal/cooling_device3/cur_state", "1")
        return load(duration_s)

    boards.write(root, "sys/class/thermal/cooling_device3/type", "gpu-balanced")
    boards.write(root, "sys/class/thermal/cooling_device3/cur_state", "0")
    with pytest.raises(MeasurementError, match="the board was slowed down: cooling device gpu-bal"):
        measure_powered(run, 1, NONE, device, True, root)


def test_a_source_that_is_not_there(tmp_path):
    device = device_facts(str(tmp_path))
    auto = PowerPlan("auto", None, None, False)
    outcome = measure_powered(load, 1, auto, device, False, str(tmp_path))
    assert "no power sensor found on this machine" in outcome.energy["not_measured"]
    with pytest.raises(MissingError):
        measure_powered(load, 1, auto._replace(source="ina3221"), device, False, str(tmp_path))
    with pytest.raises(MissingError):
        measure_powered(load, 1, auto._replace(until_ci=0.02), device, False, str(tmp_path))
    with pytest.raises(UserError, match="needs a power source"):
        measure_powered(load, 1, NONE._replace(until_ci=0.02), device, False, str(tmp_path))


def test_until_the_interval_is_narrow(replaying, monkeypatch):
    """Stretches of load become one series, all of whose iterations are in the record.

    A second has too few readings for any interval, so there are several stretches. A busy machine
    that stops the sampler for a while leaves a hole, which more stretches make up for.
    """
    shorter = functools.partial(powered.measure_until_ci, minimum_s=1.0, maximum_s=120.0)
    monkeypatch.setattr(powered, "measure_until_ci", shorter)
    asked = []

    def run(duration_s):
        asked.append(duration_s)
        return load(duration_s)

    plan = PowerPlan("tegrastats", 0.0, 0.5, False)
    outcome = measure_powered(run, 2, plan, device_facts(), False)
    assert asked[0] == 1.5 and len(asked) >= 2  # each with half a second to settle
    assert outcome.energy["until_ci"]["target"] == 0.5
    assert outcome.energy["until_ci"]["reached"] is True
    assert outcome.energy["samples"] >= 20 and outcome.energy["coverage"] >= 0.95
    assert outcome.energy["replayed"] is True and outcome.energy["inferences"] % 2 == 0
    starts = list(outcome.series.start_ms)
    assert starts == sorted(starts) and starts[-1] > 1e3 * sum(asked[:-1])
    assert len(starts) == len(outcome.series.latency_ms) == len(outcome.series.wall_ms)
