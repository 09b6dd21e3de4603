"""A board for the emulated `nvpmodel` and `jetson_clocks` of tests/bin: its sysfs and its modes."""

import os

import boards

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")
GPU = "sys/devices/17000000.gp10b/devfreq/17000000.gp10b"
EMC = "sys/kernel/debug/bpmp/debug/clk/emc"
CPU = "sys/devices/system/cpu/cpu%d/cpufreq"
CONF = """
# FAN_CONFIG and other lines are not read
< PARAM TYPE=CLOCK NAME=CPU_DENVER >
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_1 1
< POWER_MODEL ID=1 NAME=MAXQ >
GPU MAX_FREQ 850000000
< POWER_MODEL ID=2 NAME=MAXP_CORE_ALL >
< POWER_MODEL ID=3 NAME=MAXP_CORE_ARM >
< POWER_MODEL ID=4 NAME=MAXP_CORE_DENVER >
# mandatory
< PM_CONFIG DEFAULT=3 >
"""
FILES = {
    "etc/nvpmodel.conf": CONF,
    "var/lib/nvpmodel/status": "pmode:0003",
    "proc/sys/kernel/random/boot_id": "5bd0b1c2-0001",
    GPU + "/min_freq": "114750000",
    GPU + "/max_freq": "1300500000",
    GPU + "/cur_freq": "216750000",
    GPU + "/governor": "nvhost_podgov",
    EMC + "/rate": "665600000",
    EMC + "/max_rate": "1866000000",
    EMC + "/mrq_rate_locked": "0",
    CPU % 0 + "/scaling_min_freq": "345600",
    CPU % 0 + "/scaling_max_freq": "1996800",
    CPU % 0 + "/scaling_cur_freq": "806400",
    CPU % 0 + "/scaling_governor": "schedutil",
    CPU % 1 + "/scaling_min_freq": "345600",
    CPU % 1 + "/scaling_max_freq": "2035200",
    CPU % 1 + "/scaling_cur_freq": "345600",
    CPU % 1 + "/scaling_governor": "schedutil",
}
SET = (GPU + "/min_freq", EMC + "/mrq_rate_locked", CPU % 0 + "/scaling_min_freq")
FREE = ("114750000", "0", "345600")
LOCKED = ("1300500000", "1", "1996800")


def build(root):
    """Write the board below `root`; returns `root` as text."""
    for path, text in FILES.items():
        boards.write(root, path, text)
    boards.link(root, "sys/class/devfreq/17000000.gp10b", GPU)
    return str(root)


def environment(root):
    """What the emulated programs need, to be put into the environment."""
    return {"FAKE_BOARD": root, "PATH": BIN + os.pathsep + os.environ["PATH"]}


def settings(root):
    """What jetson_clocks changes: the GPU's lowest clock, whether memory is held, the CPU's."""
    return tuple(read(root, path) for path in SET)


def calls(root):
    """How the programs were called, in order."""
    return read(root, "calls").splitlines() if os.path.exists(os.path.join(root, "calls")) else []


def read(root, path):
    with open(os.path.join(root, path)) as stream:
        return stream.read().strip()
