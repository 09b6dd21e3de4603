"""What slowed a board down: heat, current, and the clock that shows it."""

import os
import time

import boards
import numpy as np
import pytest

from edgesynth_rt import throttle
from edgesynth_rt.errors import MeasurementError
from edgesynth_rt.sampler import source_sampler

COOLING = {  # as an Orin and a Thor with L4T 36 and 38 show it
    0: ("cpufreq-cpu0", 0),
    7: ("pwm-fan", 4),
    8: ("cpu-throttle-alert", 0),
    9: ("gpu-throttle-alert", 0),
    10: ("hot-surface-alert", 0),
    12: ("devfreq-gpu-gpc-0", 0),
    13: ("17000000.gpu", 0),
    14: ("LCD", 9),  # the brightness of a laptop's screen
}


@pytest.fixture
def board(tmp_path):
    root = boards.build(tmp_path, "agx-orin")
    for number, (kind, state) in COOLING.items():
        boards.write(root, "sys/class/thermal/cooling_device%d/type" % number, kind)
        set_cooling(root, number, state)
    for event in (1, 2, 3):
        boards.write(root, "sys/class/hwmon/hwmon8/oc%d_event_cnt" % event, str(10 * event))
    boards.write(root, "sys/class/hwmon/hwmon8/name", "soctherm_oc")
    return root


def set_cooling(root, number, state):
    boards.write(root, "sys/class/thermal/cooling_device%d/cur_state" % number, str(state))


def test_a_cool_board(board):
    before = throttle.snapshot(board)
    assert len(before.cooling) == 6 and before.events == {"oc1": 10, "oc2": 20, "oc3": 30}
    assert before.alarms["VDD_GPU_SOC"] == 0
    found = throttle.reasons(
        before, throttle.snapshot(board), {"gpu_mhz": [1300.0, 1300.5, 1299.0]}, 1300.5
    )
    assert found == []
    throttle.refuse(found)


def test_heat(board):
    before = throttle.snapshot(board)
    set_cooling(board, 9, 1)
    set_cooling(board, 12, 18)
    found = throttle.reasons(before, throttle.snapshot(board))
    assert found == [
        "cooling device devfreq-gpu-gpc-0 12 was at state 18",
        "cooling device gpu-throttle-alert 9 was at state 1",
    ]
    with pytest.raises(MeasurementError, match="the board was slowed down: cooling") as caught:
        throttle.refuse(found)
    assert caught.value.exit_code == 5 and "choose a lower power mode" in str(caught.value)


def test_a_board_that_was_hot_at_the_beginning(board):
    set_cooling(board, 8, 2)
    before = throttle.snapshot(board)
    set_cooling(board, 8, 0)
    assert throttle.reasons(before, throttle.snapshot(board)) == [
        "cooling device cpu-throttle-alert 8 was at state 2"
    ]


def test_current(board):
    before = throttle.snapshot(board)
    boards.write(board, "sys/class/hwmon/hwmon8/oc3_event_cnt", "843")
    boards.write(board, "sys/class/hwmon/hwmon3/curr2_crit_alarm", "1")
    assert throttle.reasons(before, throttle.snapshot(board)) == [
        "over-current event oc3 occurred 813 times",
        "the current of VDD_CPU_CV reached its critical limit",
    ]


def test_the_clock_of_the_gpu(board):
    still = throttle.snapshot(board)
    clocks = [1300.0, None, float("nan"), 0, 1134.75, 1224.0, 1300.5]
    assert throttle.reasons(still, still, {"gpu_mhz": clocks}, 1300.5) == [
        "the GPU's clock fell to 1134.75 MHz, locked at 1300.5 MHz, in 2 of 7 samples"
    ]
    assert throttle.reasons(still, still, {"gpu_mhz": np.array([522.0, 522.0])}, 522.75) == []
    assert throttle.reasons(still, still, {"gpu_mhz": clocks}, None) == []


def test_what_rose_and_fell_in_between(board):
    boards.write(board, "sys/class/devfreq/17000000.gpu/cur_freq", "1300500000")
    files = throttle.files_to_watch(board)
    assert sorted(files)[-1] == "gpu_hz" and len(files) == 7
    alert = files["cooling gpu-throttle-alert 9"]
    with source_sampler("ina3221", board, 0.02, files) as sampler:
        before, begin = throttle.snapshot(board), time.monotonic()
        time.sleep(0.2)
        boards.write("/", alert, "2")
        boards.write("/", files["gpu_hz"], "1134750000")
        time.sleep(0.3)
        boards.write("/", alert, "0")
        boards.write("/", files["gpu_hz"], "1300500000")
        after, end = throttle.snapshot(board), time.monotonic()
        sampler.wait_past(end)
        trace = sampler.stop()
    found = throttle.reasons(before, after, trace.watched_in([(begin, end)]), 1300.5)
    assert found[0] == "cooling device gpu-throttle-alert 9 was at state 2"
    assert found[1].startswith("the GPU's clock fell to 1134.75 MHz, locked at 1300.5 MHz")
    assert throttle.reasons(before, after, trace.watched_in([(begin, begin + 0.1)]), 1300.5) == []


def test_what_cannot_be_read_is_left_out(board):
    os.remove(os.path.join(board, "sys/class/thermal/cooling_device9/cur_state"))
    os.symlink("/proc/self/mem", os.path.join(board, "sys/class/thermal/cooling_device9/cur_state"))
    assert len(throttle.snapshot(board).cooling) == 5


def test_a_machine_without_any_of_it(tmp_path):
    empty = throttle.snapshot(str(tmp_path))
    assert empty == ({}, {}, {})
    assert throttle.reasons(empty, empty) == []
