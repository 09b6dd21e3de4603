"""Whether the board slowed itself down while it was measured (Python 3.6).

A Jetson is slowed by heat (cooling devices of its thermal zones), by current (the over-current
events of soctherm, the critical alarms of its power monitors), and it shows in the GPU's clock.
Sources: NVIDIA Jetson Linux developer guide, "Platform Power and Performance"; Linux
Documentation/driver-api/thermal/sysfs-api.rst, Documentation/hwmon/ina3221.rst.
"""

import os
import re
from collections import namedtuple

from edgesynth_rt import sysfs
from edgesynth_rt.errors import MeasurementError

CLOCK_TOLERANCE_MHZ = 2.0
"""tegrastats cuts 1300.5 MHz to 1300, and clocks wobble by 1 MHz."""
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
    for folder in sysfs.below(root, "sys/class/thermal/cooling_device*"):
        kind = (sysfs.text_or_none(os.path.join(folder, "type")) or "").lower()
        state = sysfs.number_or_none(os.path.join(folder, "cur_state"))
        if state is not None and _SLOWING.search(kind) and "fan" not in kind:
            cooling["%s %s" % (kind, _number_of(folder))] = state
    for folder in sysfs.below(root, "sys/class/hwmon/hwmon*"):
        for path in sysfs.below(folder, "oc[0-9]*_event_cnt"):
            name = os.path.basename(path)[: -len("_event_cnt")]
            _add(events, name, sysfs.number_or_none(path))
        for path in sysfs.below(folder, "curr[0-9]*_crit_alarm"):
            _add(alarms, _rail_of(path), sysfs.number_or_none(path))
    return Snapshot(cooling, events, alarms)


def clock_drops(clocks_mhz, locked_mhz, tolerance_mhz=CLOCK_TOLERANCE_MHZ):
    """How many of the clocks lie below the locked one, and the lowest: (count, mhz or None).

    clocks_mhz: what was sampled under load; None, NaN and 0 (no reading, a unit without power) do
    not count.
    """
    known = [clock for clock in clocks_mhz if clock and clock == clock]
    low = [clock for clock in known if clock < locked_mhz - tolerance_mhz]
    return len(low), min(low) if low else None


def reasons(before, after, clocks_mhz=(), locked_mhz=None):
    """What slowed the board between two snapshots, one sentence each; empty when nothing did.

    clocks_mhz: the GPU's clock sampled in between; locked_mhz: what it was held at, or None.
    """
    found = []
    for name in sorted(after.cooling):
        state = max(after.cooling[name], before.cooling.get(name, 0))
        if state > 0:
            found.append("cooling device %s is at state %d" % (name, state))
    for name in sorted(after.events):
        count = after.events[name] - before.events.get(name, 0)
        if count > 0:
            found.append("over-current event %s occurred %d times" % (name, count))
    for rail in sorted(after.alarms):
        if after.alarms[rail]:
            found.append("the current of %s reached its critical limit" % rail)
    if locked_mhz is not None:
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


def _number_of(folder):
    return re.search(r"[0-9]*$", folder).group()


def _add(values, name, value):
    if value is not None:
        values[name] = value
