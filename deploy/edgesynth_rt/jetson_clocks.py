"""NVIDIA's jetson_clocks: what it shows, and its three actions (Python 3.6).

Sources: jetson_clocks.sh of L4T 24 to 28, jetson_clocks of L4T 32 to 36.
"""

import os
import re
import shutil

from edgesynth_rt import programs
from edgesynth_rt.errors import MissingError

_OLD_PLACES = (
    "~/jetson_clocks.sh",
    "/home/nvidia/jetson_clocks.sh",
    "/home/ubuntu/jetson_clocks.sh",
)
_REMEDY = "on a Jetson it comes with L4T (sudo apt install nvidia-l4t-tools)"
_TIMEOUT_S = 60.0
_HERTZ_PER_MHZ = 1e6
_KILOHERTZ_PER_MHZ = 1e3
_CLOCK_KEYS = (("MinFreq", "min_mhz"), ("MaxFreq", "max_mhz"), ("CurrentFreq", "current_mhz"))


def find_program():
    """jetson_clocks on PATH, or L4T 28's jetson_clocks.sh in a home folder.

    Raises MissingError when there is neither.
    """
    found = shutil.which("jetson_clocks")
    if found:
        return found
    for place in _OLD_PLACES:
        path = os.path.expanduser(place)
        if os.access(path, os.X_OK):
            return path
    raise MissingError("jetson_clocks is not on PATH; %s" % _REMEDY)


def show(program):
    """What `jetson_clocks --show` tells, see `parse_show`. Raises MissingError (it needs root)."""
    return parse_show(_run([program, "--show"]))


def store(program, path):
    """Write the present settings to `path`, which must not exist: jetson_clocks would ask."""
    _run([program, "--store", path])
    if not os.path.exists(path) or not os.path.getsize(path):
        raise MissingError("%s --store wrote nothing to %s; run it by hand" % (program, path))


def restore(program, path):
    """Set what `store` has written to `path`. Raises MissingError when any of it fails."""
    _run([program, "--restore", path])


def lock(program):
    """Set CPU, GPU and memory clocks to the maximum of the present power mode."""
    _run([program])


def parse_show(output):
    """Clocks in MHz: {"cpus": {0: {...}}, "gpu": {...}, "emc": {...}, "engines": {...}, ...}.

    Each clock has min_mhz, max_mhz, current_mhz, a CPU also `online` and `governor` (which L4T 28
    spells "Gonvernor"), emc also `locked`. `power_mode` and `soc` are None where not shown.
    """
    state = {"soc": None, "power_mode": None, "cpus": {}, "gpu": None, "emc": None, "engines": {}}
    for line in output.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        name = re.match(r"\s*(\w+)", line)
        if "MaxFreq" in fields and name:
            _add_clock(state, name.group(1), fields)
        match = re.match(r"SOC family:(\S+)", line)
        if match:
            state["soc"] = match.group(1)
        match = re.match(r"NV Power Mode:\s*(\S.*?)\s*$", line)
        if match:
            state["power_mode"] = match.group(1)
    return state


def is_locked(state):
    """Whether every online CPU and the GPU have one clock only, and memory is held at its own."""
    clocks = [cpu for cpu in state["cpus"].values() if cpu["online"]]
    clocks += [state["gpu"]] if state["gpu"] else []
    held = state["emc"] is None or state["emc"]["locked"]
    one = [
        clock["max_mhz"] is not None and clock["min_mhz"] == clock["max_mhz"] for clock in clocks
    ]
    return bool(clocks) and held and all(one)


def _add_clock(state, name, fields):
    cpu = re.match(r"cpu([0-9]+)$", name)
    unit = _KILOHERTZ_PER_MHZ if cpu or name == "CPU" else _HERTZ_PER_MHZ
    clock = {key: _number(fields.get(field), unit) for field, key in _CLOCK_KEYS}
    if cpu or name == "CPU":  # L4T 24 shows one clock for all
        clock["online"] = fields.get("Online", "1") == "1"
        clock["governor"] = fields.get("Governor", fields.get("Gonvernor"))
        state["cpus"][int(cpu.group(1)) if cpu else 0] = clock
    elif name == "GPU":
        state["gpu"] = clock
    elif name == "EMC":
        state["emc"] = dict(clock, locked=fields.get("FreqOverride") == "1")
    else:
        state["engines"][name] = clock


def _number(text, unit):
    return int(text) / unit if re.match(r"[0-9]{1,18}$", text or "") else None


def _run(command):
    """The output; jetson_clocks ends with 0 although it prints "Error: Failed to restore ..."."""
    code, output = programs.run(command, _REMEDY, _TIMEOUT_S)
    failed = re.search(r"(?im)^\s*error[:! ].*$", output)
    if code == 0 and not failed:
        return output
    said = failed.group().strip() if failed else programs.complaint(output)
    remedy = "run as root" if "root" in said.lower() else "run it by hand to see more"
    raise MissingError(
        '%s failed (exit code %d): "%s"; %s' % (" ".join(command), code, said[:300], remedy)
    )
