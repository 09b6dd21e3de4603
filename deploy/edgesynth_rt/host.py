"""Facts about the machine that measures: hardware, clocks, software (Python 3.6).

Every path is taken below `root`, so the same code reads this machine and a copied tree of one.
"""

import glob
import os
import platform
import re
import sys

import numpy

from edgesynth_rt import __version__
from edgesynth_rt.clocks import read_clocks
from edgesynth_rt.nvpmodel import stored_mode

#: part of the device tree's model, lower case -> module; the longer name stands before the shorter
_MODULES = (
    ("tx2 nx", "tx2-nx"),
    ("tx2", "tx2"),
    ("quill", "tx2"),  # the name in the device trees of L4T 28
    ("tx1", "tx1"),
    ("orin nano", "orin-nano"),
    ("orin nx", "orin-nx"),
    ("agx orin", "agx-orin"),
    ("xavier nx", "xavier-nx"),
    ("xavier", "agx-xavier"),
    ("jetson-agx", "agx-xavier"),  # the name in the device trees of L4T 31 and 32
    ("thor", "thor"),
    ("nano", "nano"),
)
HOST = "host"


def device_facts(root="/"):
    """`module l4t power_mode clocks cpu ...` of this machine; None where it has no such thing.

    `module` is a board's short name on a Jetson and "host" elsewhere.
    """
    model = _read(root, "proc/device-tree/model").rstrip("\0\n")
    l4t = _l4t(_read(root, "etc/nv_tegra_release"))
    return {
        "module": _module(model) if l4t or "jetson" in model.lower() else HOST,
        "model": model or None,
        "l4t": l4t,
        "power_mode": _power_mode(root),
        "clocks": _clocks(root),
        "cpu": {
            "model": _cpu_model(root),
            "architecture": platform.machine(),
            "cores": usable_cores(),
            "governor": _read(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
            or None,
        },
        "load_average": load_average(root),
    }


def software_facts(root="/"):
    """Versions of what takes part in a measurement; a backend adds its own."""
    pretty = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read(root, "etc/os-release"), re.MULTILINE)
    return {
        "edgesynth": __version__,
        "os": pretty.group(1) if pretty else platform.system(),
        "kernel": platform.release(),
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "numpy": numpy.__version__,
    }


def usable_cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average(root="/"):
    """Mean number of running processes over the last minute, None where the system has none."""
    text = _read(root, "proc/loadavg").split()
    return float(text[0]) if text else None


def throttle_count(root="/"):
    """How often the processor was slowed down for heat since boot, None where it is not counted."""
    pattern = "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"
    counts = [_read("", path) for path in glob.glob(os.path.join(root, pattern))]
    counts = [int(count) for count in counts if count.strip().isdigit()]
    return sum(counts) if counts else None


def _read(root, path):
    try:
        with open(os.path.join(root, path), "rb") as stream:
            return stream.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""


def _l4t(release):
    """`# R32 (release), REVISION: 7.1, ...` is L4T 32.7.1."""
    match = re.match(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", release)
    return "%s.%s" % match.groups() if match else None


def _module(model):
    for part, module in _MODULES:
        if part in model.lower():
            return module
    return model or "jetson"


def _power_mode(root):
    """Name of the nvpmodel mode that was set last, or `id N` where its table does not name it."""
    mode = stored_mode(root)
    return mode and (mode.name or "id %d" % mode.id)


def _clocks(root):
    """Current and highest clocks of the first processor and the GPU in MHz, None without any."""
    state, clocks = read_clocks(root), {}
    for name, unit in (("cpu", state["cpus"].get(0)), ("gpu", state["gpu"])):
        if unit is not None:
            clocks[name + "_mhz"] = unit["current_mhz"]
            clocks[name + "_max_mhz"] = unit["max_mhz"]
    return {name: mhz for name, mhz in clocks.items() if mhz is not None} or None


def _cpu_model(root):
    """The processor's name; ARM kernels often tell only implementer and part."""
    text = _read(root, "proc/cpuinfo")
    for key in ("model name", "Hardware", "CPU part"):
        match = re.search(r"^%s\s*:\s*(\S.*)$" % key, text, re.MULTILINE)
        if match:
            return match.group(1).strip()
    return platform.processor() or platform.machine()
