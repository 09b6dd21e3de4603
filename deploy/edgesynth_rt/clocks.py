"""GPU, memory and processor clocks from sysfs, of any Jetson generation (Python 3.6).

Clocks in MHz. What a user without root cannot read (memory) or a board does not have is None.
"""

import os
import re

from edgesynth_rt import sysfs

_GPU_FOLDERS = (
    "sys/class/devfreq/*",
    "sys/devices/57000000.gpu/devfreq/57000000.gpu",  # TX1, Nano
    "sys/devices/17000000.g*/devfreq/17000000.g*",  # TX2, Xavier, Orin
)
_GPU_NAME = re.compile(r"^(?:[0-9a-f]+\.g[a-z0-9]+|gpu-gpc-0)$")
_EMC_FILES = (
    ("sys/kernel/debug/bpmp/debug/clk/emc/rate", "sys/kernel/debug/bpmp/debug/clk/emc/max_rate"),
    ("sys/kernel/debug/clk/override.emc/clk_rate", "sys/kernel/debug/tegra_bwmgr/emc_max_rate"),
    ("sys/kernel/debug/clk/emc/clk_rate", "sys/kernel/debug/tegra_bwmgr/emc_max_rate"),
)
_EMC_LOCKED = (
    "sys/kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked",
    "sys/kernel/debug/clk/override.emc/clk_state",
)


def read_clocks(root="/"):
    """{"gpu": {...} or None, "emc": {...} or None, "cpus": {0: {...}}} below `root`.

    gpu and each online CPU: current_mhz, min_mhz, max_mhz, governor; emc: current_mhz, max_mhz,
    locked.
    """
    folder = gpu_folder(root)
    return {
        "gpu": _clock(folder, "cur_freq", "min_freq", "max_freq", "governor", 1e6)
        if folder
        else None,
        "emc": _emc(root),
        "cpus": dict(_cpus(root)),
    }


def gpu_folder(root="/"):
    """The devfreq folder of the GPU, None where there is none."""
    for folder in sysfs.below(root, *_GPU_FOLDERS):
        if _GPU_NAME.match(os.path.basename(folder)):
            return folder
    return None


def gpu_clock_file(root="/"):
    """The file of the GPU's present clock in Hz, for a sampler to watch; None without one."""
    folder = gpu_folder(root)
    return os.path.join(folder, "cur_freq") if folder else None


def limits(clocks):
    """What of `read_clocks` is set and not momentary: comparable with ==, goes into a record.

    Two measurements were made in the same state when power mode and limits are equal.
    """
    cpus = {}
    for number, cpu in clocks["cpus"].items():
        cpus[str(number)] = [cpu["min_mhz"], cpu["max_mhz"]]
    gpu, emc = clocks["gpu"], clocks["emc"]
    return {
        "gpu_mhz": [gpu["min_mhz"], gpu["max_mhz"]] if gpu else None,
        "emc_locked_mhz": emc["current_mhz"] if emc and emc["locked"] else None,
        "cpu_mhz": cpus,
    }


def locked_gpu_mhz(clocks):
    """The one clock that the GPU is held at, None when it is free to change or unknown."""
    gpu = clocks["gpu"]
    if gpu and gpu["max_mhz"] is not None and gpu["min_mhz"] == gpu["max_mhz"]:
        return gpu["max_mhz"]
    return None


def _cpus(root):
    for folder in sysfs.below(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq"):
        number = re.search(r"cpu([0-9]+)/cpufreq$", folder)
        clock = _clock(
            folder,
            "scaling_cur_freq",
            "scaling_min_freq",
            "scaling_max_freq",
            "scaling_governor",
            1e3,
        )
        if number and clock["max_mhz"] is not None:
            yield int(number.group(1)), clock


def _emc(root):
    for current, highest in _EMC_FILES:
        hertz = sysfs.number_or_none(os.path.join(root, current))
        if hertz is None:
            continue
        held = [sysfs.number_or_none(os.path.join(root, path)) for path in _EMC_LOCKED]
        return {
            "current_mhz": hertz / 1e6,
            "max_mhz": _scaled(os.path.join(root, highest), 1e6),
            "locked": 1 in held,
        }
    return None


def _clock(folder, current, lowest, highest, governor, unit):
    return {
        "current_mhz": _scaled(os.path.join(folder, current), unit),
        "min_mhz": _scaled(os.path.join(folder, lowest), unit),
        "max_mhz": _scaled(os.path.join(folder, highest), unit),
        "governor": sysfs.text_or_none(os.path.join(folder, governor)),
    }


def _scaled(path, unit):
    value = sysfs.number_or_none(path)
    return None if value is None else value / unit
