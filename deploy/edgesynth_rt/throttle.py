"""Whether the board slowed itself down while it was measured (Python 3.6).

A Jetson is slowed by heat (cooling devices of its thermal zones), by current (the over-current
events of soctherm, the critical alarms of its power monitors), and it shows in the GPU's clock.
Sources: NVIDIA Jetson Linux developer guide, "Platform Power and Performance"; Linux
Documentation/driver-api/thermal/sysfs-api.rst, Documentation/hwmon/ina3221.rst.
"""

import math
import os
import re
from collections import namedtuple

from edgesynth_rt import sysfs
from edgesynth_rt.clocks import gpu_clock_file
from edgesynth_rt.errors import MeasurementError

CLOCK_TOLERANCE_MHZ = 2.0
"""tegrastats cuts 1300.5 MHz to 1300, and clocks wobble by 1 MHz."""
_COOLING = "cooling "
_SLOWING = re.compile(
    r"throttle|balanced|emergency|alert|cpufreq|devfreq|^[0-9a-f]+\.g|^processor$"
)

Snapshot = namedtuple("Snapshot", "cooling events alarms")
"""cooling: {cooling device that slows something: its state, 0 for off}; events: {over-current
event: how often since boot}; alarms: {rail: its critical alarm, 0 or 1}."""


def snapshot(root="/"):
    """The present `Snapshot` below `root`; what the board does not show is left out.

    Reading an alarm also ends it, so a snapshot before the load starts a fresh observation.
    """
    cooling, events, alarms = {}, {}, {}
    for name, path in _cooling_devices(root):
        _add(cooling, name, sysfs.number_or_none(path))
    for folder in sysfs.below(root, "sys/class/hwmon/hwmon*"):
        for path in sysfs.below(folder, "oc[0-9]*_event_cnt"):
            name = os.path.basename(path)[: -len("_event_cnt")]
            _add(events, name, sysfs.number_or_none(path))
        for path in sysfs.below(folder, "curr[0-9]*_crit_alarm"):
            _add(alarms, _rail_of(path), sysfs.number_or_none(path))
    return Snapshot(cooling, events, alarms)


def files_to_watch(root="/"):
    """{name: path} for a sampler's `watch`: what may rise and fall again between two snapshots."""
    files = {_COOLING + name: path for name, path in _cooling_devices(root)}
    clock = gpu_clock_file(root)
    if clock:
        files["gpu_hz"] = clock
    return files


def clock_drops(clocks_mhz, locked_mhz, tolerance_mhz=CLOCK_TOLERANCE_MHZ):
    """How many of the clocks lie below the locked one, and the lowest: (count, mhz or None).

    clocks_mhz: what was sampled under load; None, NaN and 0 (no reading, a unit without power) do
    not count.
    """
    known = [clock for clock in clocks_mhz if clock and not math.isnan(clock)]
    low = [clock for clock in known if clock < locked_mhz - tolerance_mhz]
    return len(low), min(low) if low else None


def reasons(before, after, watched=None, locked_mhz=None):
    """What slowed the board between two snapshots, one sentence each; empty when nothing did.

    watched: {name: values} that was sampled under load (`PowerTrace.watched_in`): "gpu_mhz" of
    tegrastats, or what `files_to_watch` names; locked_mhz: what the GPU was held at, or None.
    """
    watched = watched or {}
    found = []
    for name in sorted(after.cooling):
        states = [before.cooling.get(name, 0), after.cooling[name]]
        states += [state for state in watched.get(_COOLING + name, ()) if state > 0]
        if max(states) > 0:
            found.append("cooling device %s was at state %d" % (name, max(states)))
    for name in sorted(after.events):
        count = after.events[name] - before.events.get(name, 0)
        if count > 0:
            found.append("over-current event %s occurred %d times" % (name, count))
    for rail in sorted(after.alarms):
        if after.alarms[rail]:
            found.append("the current of %s reached its critical limit" % rail)
    if locked_mhz is not None:
        clocks_mhz = list(watched.get("gpu_mhz", ()))
        clocks_mhz += [hertz / 1e6 for hertz in watched.get("gpu_hz", ())]
        count, lowest = clock_drops(clocks_mhz, locked_mhz)
        if count:
            found.append(
                "the GPU's clock fell to %g MHz, locked at %g MHz, in %d of %d samples"
                % (lowest, locked_mhz, count, len(clocks_mhz))
            )
    return found


def refuse(found):
    """Raise MeasurementError when `reasons` found something: such a measurement is not valid."""
    if found:
        raise MeasurementError(
            "the board was slowed down: %s; cool it, check its power supply, or choose a lower "
            "power mode" % "; ".join(found)
        )


def _rail_of(path):
    """The label of the channel whose alarm lies at `path`, else folder and channel."""
    folder, name = os.path.split(path)
    channel = re.match(r"curr([0-9]+)_", name).group(1)
    label = sysfs.text_or_none(os.path.join(folder, "in%s_label" % channel))
    return label or "%s curr%s" % (os.path.basename(folder), channel)


def _cooling_devices(root):
    """(name, file of its state) of every cooling device that slows something down."""
    for folder in sysfs.below(root, "sys/class/thermal/cooling_device*"):
        kind = (sysfs.text_or_none(os.path.join(folder, "type")) or "").lower()
        if _SLOWING.search(kind) and "fan" not in kind:
            number = re.search(r"[0-9]*$", folder).group()
            yield "%s %s" % (kind, number), os.path.join(folder, "cur_state")


def _add(values, name, value):
    if value is not None:
        values[name] = value
