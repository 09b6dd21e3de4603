"""jetson_clocks: what each release shows, and the ways it fails."""

import os

import boards
import fake_board
import pytest

from edgesynth_rt import clocks, jetson_clocks
from edgesynth_rt.errors import MissingError

NANO_R32 = """\
SOC family:tegra210  Machine:jetson-nano
Online CPUs: 0-3
CPU Cluster Switching: Disabled
cpu0: Online=1 Governor=schedutil MinFreq=102000 MaxFreq=1428000 CurrentFreq=1326000 IdleStates:
cpu1: Online=0 Governor=schedutil MinFreq=102000 MaxFreq=1428000 CurrentFreq=0 IdleStates:
GPU MinFreq=76800000 MaxFreq=921600000 CurrentFreq=153600000
EMC MinFreq=204000000 MaxFreq=1600000000 CurrentFreq=1600000000 FreqOverride=0
Fan: PWM=0
NV Power Mode: MAXN
"""
TX2_R28 = """\
SOC family:tegra186  Machine:quill
Online CPUs: 0,3-5
CPU Cluster Switching: Disabled
cpu0: Gonvernor=schedutil MinFreq=2035200 MaxFreq=2035200 CurrentFreq=2035200
GPU MinFreq=1300500000 MaxFreq=1300500000 CurrentFreq=1300500000
EMC MinFreq=40800000 MaxFreq=1866000000 CurrentFreq=1866000000 FreqOverride=1
Fan: speed=255
"""
AGX_ORIN_R35 = """\
SOC family:tegra234  Machine:Jetson AGX Orin
Online CPUs: 0-11
cpu0: Online=1 Governor=schedutil MinFreq=2201600 MaxFreq=2201600 CurrentFreq=2201600 IdleStates:
GPU MinFreq=1300500000 MaxFreq=1300500000 CurrentFreq=1300500000
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=3199000000 FreqOverride=1
DLA0_CORE:   Online=1 MinFreq=0 MaxFreq=1600000000 CurrentFreq=1600000000
PVA0_AXI:  Online=1 MinFreq=0 MaxFreq=832000000 CurrentFreq=832000000
FAN Dynamic Speed control=active hwmon2_pwm1=55
NV Power Mode: MAXN
"""
ORIN_NANO_R36 = """\
SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano Developer Kit
Online CPUs: 0-5, Offline CPUs:\x20
cpu0:  Governor=schedutil MinFreq=729600 MaxFreq=1510400 CurrentFreq=1420800 IdleStates:
GPU MinFreq=306000000 MaxFreq=918000000 CurrentFreq=306000000
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride=0
FAN Dynamic Speed Control=nvfancontrol hwmon0_pwm1=69
NV Power Mode: 25W
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    root = fake_board.build(tmp_path / "board")
    for key, value in fake_board.environment(root).items():
        monkeypatch.setenv(key, value)
    return root


def test_a_nano():
    state = jetson_clocks.parse_show(NANO_R32)
    assert state["soc"] == "tegra210" and state["power_mode"] == "MAXN"
    assert state["cpus"][0] == {
        "online": True,
        "governor": "schedutil",
        "min_mhz": 102.0,
        "max_mhz": 1428.0,
        "current_mhz": 1326.0,
    }
    assert not state["cpus"][1]["online"]
    assert state["gpu"] == {"min_mhz": 76.8, "max_mhz": 921.6, "current_mhz": 153.6}
    assert state["emc"]["max_mhz"] == 1600.0 and not state["emc"]["locked"]
    assert not jetson_clocks.is_locked(state)


def test_the_spelling_of_l4t_28():
    state = jetson_clocks.parse_show(TX2_R28)
    assert state["cpus"][0]["governor"] == "schedutil" and state["cpus"][0]["online"]
    assert state["power_mode"] is None
    assert jetson_clocks.is_locked(state)


def test_an_orin_with_its_engines():
    state = jetson_clocks.parse_show(AGX_ORIN_R35)
    assert state["engines"]["DLA0_CORE"]["max_mhz"] == 1600.0
    assert state["engines"]["PVA0_AXI"]["current_mhz"] == 832.0
    assert jetson_clocks.is_locked(state)
    state = jetson_clocks.parse_show(ORIN_NANO_R36)
    assert state["power_mode"] == "25W" and state["cpus"][0]["online"]
    assert not jetson_clocks.is_locked(state)


@pytest.mark.parametrize("text", ["", "GPU MinFreq= MaxFreq=cat: no such file", "cpuX: MaxFreq=1"])
def test_what_is_not_understood_is_left_out(text):
    assert not jetson_clocks.is_locked(jetson_clocks.parse_show(text))


def test_store_lock_restore(board, tmp_path):
    program = jetson_clocks.find_program()
    assert program == os.path.join(fake_board.BIN, "jetson_clocks")
    path = str(tmp_path / "settings")
    jetson_clocks.store(program, path)
    jetson_clocks.lock(program)
    assert fake_board.settings(board) == fake_board.LOCKED
    assert jetson_clocks.is_locked(jetson_clocks.show(program))
    jetson_clocks.restore(program, path)
    assert fake_board.settings(board) == fake_board.FREE


def test_an_existing_file_is_not_overwritten(board, tmp_path):
    path = tmp_path / "settings"
    path.write_text("mine")
    with pytest.raises(MissingError, match="already exists!"):
        jetson_clocks.store("jetson_clocks", str(path))
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("not-root", "as a root user.*; run as root"),
        ("just-booted", r"exit code 255.*after 35 Seconds"),
        ("locking-fails", r"exit code 0.*Failed to max GPU frequency!"),
    ],
)
def test_failures(board, monkeypatch, how, words):
    monkeypatch.setenv("FAKE_CLOCKS", how)
    with pytest.raises(MissingError, match=words):
        jetson_clocks.lock("jetson_clocks")


def test_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingError, match="jetson_clocks is not on PATH; on a Jetson"):
        jetson_clocks.find_program()
    old = tmp_path / "jetson_clocks.sh"
    old.write_text("#!/bin/sh\n")
    old.chmod(0o755)
    assert jetson_clocks.find_program() == str(old)


def test_clocks_from_sysfs(board):
    found = clocks.read_clocks(board)
    assert found["gpu"]["current_mhz"] == 216.75 and found["gpu"]["governor"] == "nvhost_podgov"
    assert found["emc"] == {"current_mhz": 665.6, "max_mhz": 1866.0, "locked": False}
    assert found["cpus"][1]["max_mhz"] == 2035.2
    assert clocks.locked_gpu_mhz(found) is None
    assert clocks.gpu_clock_file(board).endswith("17000000.gp10b/cur_freq")


def test_the_state_is_what_is_set_and_not_what_is_momentary(board):
    before = clocks.limits(clocks.read_clocks(board))
    boards.write(board, fake_board.GPU + "/cur_freq", "1300500000")
    assert clocks.limits(clocks.read_clocks(board)) == before
    jetson_clocks.lock("jetson_clocks")
    locked = clocks.read_clocks(board)
    assert clocks.limits(locked) != before
    assert clocks.locked_gpu_mhz(locked) == 1300.5
    assert clocks.limits(locked)["emc_locked_mhz"] == 665.6


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sys/class/devfreq/57000000.gpu", "57000000.gpu"),
        ("sys/devices/57000000.gpu/devfreq/57000000.gpu", "57000000.gpu"),
        ("sys/class/devfreq/17000000.gv11b", "17000000.gv11b"),
        ("sys/class/devfreq/17000000.ga10b", "17000000.ga10b"),
        ("sys/class/devfreq/17000000.gpu", "17000000.gpu"),
        ("sys/class/devfreq/gpu-gpc-0", "gpu-gpc-0"),
    ],
)
def test_the_gpu_of_each_generation(tmp_path, path, name):
    boards.write(tmp_path, "sys/class/devfreq/15340000.vic/cur_freq", "115200000")
    boards.write(tmp_path, path + "/cur_freq", "306000000")
    assert os.path.basename(clocks.gpu_folder(str(tmp_path))) == name
    assert clocks.read_clocks(str(tmp_path))["gpu"]["current_mhz"] == 306.0


def test_memory_of_a_nano(tmp_path):
    boards.write(tmp_path, "sys/kernel/debug/clk/override.emc/clk_rate", "1600000000")
    boards.write(tmp_path, "sys/kernel/debug/clk/override.emc/clk_state", "1")
    emc = clocks.read_clocks(str(tmp_path))["emc"]
    assert emc == {"current_mhz": 1600.0, "max_mhz": None, "locked": True}


def test_a_machine_without_any(tmp_path):
    assert clocks.read_clocks(str(tmp_path)) == {"gpu": None, "emc": None, "cpus": {}}
    assert clocks.gpu_clock_file(str(tmp_path)) is None
