"""A tegrastats that runs beside something: the replaying one in tests/bin, a real process."""

import os
import stat
import time

import pytest

from edgesynth_rt.errors import MeasurementError, MissingError
from edgesynth_rt.tegrastats_process import RunningTegrastats, find_tegrastats

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPLAY = os.path.join(TESTS, "bin", "tegrastats")
ALWAYS = float("-inf")


def program(tmp_path, text):
    path = os.path.join(str(tmp_path), "tegrastats")
    with open(path, "w") as stream:
        stream.write("#!/bin/sh\n" + text)
    os.chmod(path, stat.S_IRWXU)
    return path


def test_samples_are_stamped_as_they_arrive():
    samples = []
    started_s = time.monotonic()
    with RunningTegrastats(samples.append, 20, REPLAY) as running:
        running.wait_for_sample(ALWAYS, 20)
        first_s = samples[0].arrival_s
        running.wait_for_sample(first_s + 0.1, 20)
    ended_s = time.monotonic()
    stamps = [sample.arrival_s for sample in samples]
    assert started_s < stamps[0] and stamps[-1] < ended_s
    assert stamps == sorted(stamps) and stamps[-1] > first_s + 0.1
    assert len(samples) == running.reader.samples >= 2
    assert samples[0].rails[3].name == "VDD_IN"


def test_half_a_line_at_the_end_is_dropped_and_counted(monkeypatch):
    monkeypatch.setenv("TEGRASTATS_CUT", "1")
    samples = []
    with RunningTegrastats(samples.append, 20, REPLAY) as running:
        running.wait_for_sample(ALWAYS, 20)
    assert running.reader.cut == 1
    assert all(len(sample.rails) == 6 for sample in samples)


def test_it_is_stopped_also_when_something_fails():
    with pytest.raises(ZeroDivisionError):
        with RunningTegrastats(lambda sample: None, 20, REPLAY) as running:
            process = running._process
            raise ZeroDivisionError
    assert process.poll() is not None


def test_one_that_ignores_the_signal_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("edgesynth_rt.tegrastats_process._STOP_S", 0.2)
    path = program(
        tmp_path, "trap '' TERM; echo 'RAM 1/2MB (lfb 3x4MB)'; while :; do sleep 1; done"
    )
    with RunningTegrastats(lambda sample: None, 20, path) as running:
        running.wait_for_sample(ALWAYS, 20)
    assert running._process.poll() == -9


def test_one_that_fails_says_why(tmp_path):
    path = program(tmp_path, "echo 'cannot open /dev/nvmap' >&2; exit 1")
    with pytest.raises(MeasurementError, match="ended by itself: cannot open /dev/nvmap"):
        with RunningTegrastats(lambda sample: None, 20, path) as running:
            running.wait_for_sample(ALWAYS, 20)


def test_one_that_prints_something_else(tmp_path):
    path = program(tmp_path, "echo hello; exec sleep 30")
    with pytest.raises(MeasurementError, match="no line with values"):
        with RunningTegrastats(lambda sample: None, 20, path) as running:
            running.wait_for_sample(ALWAYS, 0.5)


def test_none_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingError, match="tegrastats --logfile"):
        find_tegrastats()
    path = program(tmp_path, "")
    assert find_tegrastats() == path  # on PATH; on L4T 28 it is in the home folder
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_tegrastats() == path


def test_one_that_cannot_be_run(tmp_path):
    path = program(tmp_path, "")
    with open(path, "w") as stream:
        stream.write("#!/nowhere/sh\n")
    with pytest.raises(MissingError, match="cannot be run"):
        with RunningTegrastats(lambda sample: None, 20, path):
            pass
