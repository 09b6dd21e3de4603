"""Facts about machines: copied trees of boards, this machine, and what makes a run doubtful."""

import os

import numpy as np
import pytest

from edgesynth_rt import host
from edgesynth_rt.errors import MeasurementError
from edgesynth_rt.validity import doubts, refuse_throttled

RELEASE = "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64\n"
# lines as they stand on a TX2 with L4T 32.7
NVPMODEL = """\
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=3 NAME=MAXP_CORE_ARM >
< PM_CONFIG DEFAULT=3 >
"""
CPUINFO = "processor\t: 0\nmodel name\t: ARMv8 Processor rev 3 (v8l)\n"


def tree(root, files):
    for name, text in files.items():
        path = os.path.join(str(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write(text)
    return str(root)


def test_a_tx2(tmp_path):
    root = tree(
        tmp_path,
        {
            "proc/device-tree/model": "NVIDIA Jetson TX2 Developer Kit\0",
            "etc/nv_tegra_release": RELEASE,
            "etc/nvpmodel.conf": NVPMODEL,
            "var/lib/nvpmodel/status": "pmode:0003",
            "proc/cpuinfo": CPUINFO,
            "proc/loadavg": "0.52 0.58 0.59 1/467 2120\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1113600\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "2035200\n",
            "sys/class/devfreq/17000000.gp10b/cur_freq": "114750000\n",
            "sys/class/devfreq/17000000.gp10b/max_freq": "1300500000\n",
        },
    )
    facts = host.device_facts(root)
    assert facts["module"] == "tx2" and facts["l4t"] == "32.7.1"
    assert facts["model"] == "NVIDIA Jetson TX2 Developer Kit"
    assert facts["power_mode"] == "MAXP_CORE_ARM"
    assert facts["clocks"] == {
        "cpu_mhz": 1113.6,
        "cpu_max_mhz": 2035.2,
        "gpu_mhz": 114.75,
        "gpu_max_mhz": 1300.5,
    }
    assert facts["cpu"]["model"] == "ARMv8 Processor rev 3 (v8l)"
    assert facts["cpu"]["governor"] == "schedutil"
    assert facts["load_average"] == 0.52


@pytest.mark.parametrize(
    "model, module",
    [
        ("jetson_tx1", "tx1"),
        ("NVIDIA Jetson TX1 Developer Kit", "tx1"),
        ("NVIDIA Jetson Nano Developer Kit", "nano"),
        ("quill", "tx2"),
        ("NVIDIA Jetson TX2 NX Developer Kit", "tx2-nx"),
        ("Jetson-AGX", "agx-xavier"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "xavier-nx"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "agx-orin"),
        ("NVIDIA Jetson Orin Nano Developer Kit", "orin-nano"),
        ("NVIDIA Jetson Orin NX Developer Kit", "orin-nx"),
        ("NVIDIA Jetson AGX Thor Developer Kit", "thor"),
        ("Some Carrier of Theirs", "Some Carrier of Theirs"),
    ],
)
def test_the_module_of_a_jetson(tmp_path, model, module):
    files = {"proc/device-tree/model": model + "\0", "etc/nv_tegra_release": RELEASE}
    assert host.device_facts(tree(tmp_path, files))["module"] == module


def test_a_machine_that_tells_nothing(tmp_path):
    facts = host.device_facts(str(tmp_path))
    assert facts["module"] == "host" and facts["cpu"]["cores"] >= 1 and facts["cpu"]["model"]
    for key in ("model", "l4t", "power_mode", "clocks", "load_average"):
        assert facts[key] is None
    assert host.throttle_count(str(tmp_path)) is None


def test_another_arm_board_is_a_host(tmp_path):
    root = tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"})
    assert host.device_facts(root)["module"] == "host"


def test_a_mode_that_the_table_does_not_name(tmp_path):
    root = tree(tmp_path, {"var/lib/nvpmodel/status": "pmode:0007\n"})
    assert host.device_facts(root)["power_mode"] == "id 7"


def test_this_machine():
    facts = host.device_facts()
    assert facts["cpu"]["cores"] == host.usable_cores() >= 1
    software = host.software_facts()
    assert software["numpy"] == np.__version__ and software["python"].count(".") == 2


def test_throttling_is_counted_over_all_cores_and_refused(tmp_path):
    path = "sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count"
    root = tree(tmp_path, {path % 0: "3\n", path % 11: "4\n"})
    assert host.throttle_count(root) == 7
    refuse_throttled(7, 7)
    refuse_throttled(None, 9)
    with pytest.raises(MeasurementError, match="throttled 2 times"):
        refuse_throttled(5, host.throttle_count(root))


QUIET = {"load_average": 0.1, "cpu": {"cores": 4, "governor": "performance"}}


def test_a_steady_run_is_not_doubted():
    assert doubts(QUIET, np.random.RandomState(0).rand(400) + 10) == []


@pytest.mark.parametrize(
    "device, latencies, said",
    [
        (dict(QUIET, load_average=2.1), np.ones(400), "load average was 2.10 on 4 cores"),
        (
            dict(QUIET, cpu={"cores": 4, "governor": "schedutil"}),
            np.ones(400),
            "governor schedutil",
        ),
        (QUIET, np.linspace(10, 13, 400), "drifted by +22 %"),
        (QUIET, np.ones(99), "p99 of 99 iterations is their largest"),
    ],
)
def test_doubts(device, latencies, said):
    (sentence,) = doubts(device, latencies)
    assert said in sentence
