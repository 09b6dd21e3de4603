"""Energy counters of x86 processors through Linux' powercap (RAPL; Python 3.6).

`energy_uj` counts up to `max_energy_range_uj` and begins again at 0. Package domains hold their
cores; memory (dram) is a domain of its own beside them. Source: Linux
Documentation/power/powercap/powercap.rst.
"""

import os
import time
from collections import namedtuple

from edgesynth_rt import sysfs
from edgesynth_rt.errors import MissingError
from edgesynth_rt.power_source import PowerSource, SourceAbsentError

_ZONES = ("sys/class/powercap/intel-rapl:*",)  # intel-rapl-mmio:* counts the same packages again

Zone = namedtuple("Zone", "rail path range_uj")
"""One domain: its name ("package-0", "package-0/core"), the file of its counter, its range."""


class Rapl(PowerSource):
    """Mean power of each domain since the reading before; the first reading is made on opening.

    A counter that runs around more than once between two readings cannot be told from one that
    ran around once: that takes minutes even at full load, so read every second at least.
    """

    name = "rapl"
    interval_means = True

    def __init__(self, zones, clock=time.monotonic):
        self._zones = tuple(zones)
        self._clock = clock
        self.rails = tuple(zone.rail for zone in self._zones)
        self.lsb_mw = dict.fromkeys(self.rails)
        self.total = tuple(
            rail for rail in self.rails if "/" not in rail and rail.startswith("package")
        ) + tuple(rail for rail in self.rails if rail.endswith("dram"))
        self._last = self._counters()

    def read(self):
        """{rail: mW}, the mean since the last reading. Raises MissingError."""
        earlier, now = self._last, self._counters()
        seconds = now[0] - earlier[0]
        if seconds <= 0:
            raise MissingError("RAPL was read twice at one time; read it less often")
        self._last = now
        power = {}
        for zone, before, after in zip(self._zones, earlier[1], now[1]):
            used = after - before if after >= before else after - before + zone.range_uj
            power[zone.rail] = used / seconds / 1e3  # uJ / s = uW
        return power

    def _counters(self):
        return self._clock(), [sysfs.number(zone.path) for zone in self._zones]


def open_source(root="/", clock=time.monotonic):
    """The processor's energy counters below `root`.

    Raises SourceAbsentError when there are none, MissingError when they cannot be read (Linux lets
    only root read them since CVE-2020-8694).
    """
    zones, packages = [], {}
    for folder in sysfs.below(root, *_ZONES):
        name = sysfs.text(os.path.join(folder, "name"))
        if not name:
            continue
        place = os.path.basename(folder)  # intel-rapl:0, and intel-rapl:0:1 for a part of it
        packages[place] = name
        package = packages.get(place.rpartition(":")[0])
        counter = os.path.join(folder, "energy_uj")
        range_uj = sysfs.number(os.path.join(folder, "max_energy_range_uj"))
        zones.append(Zone("%s/%s" % (package, name) if package else name, counter, range_uj))
    if not zones:
        raise SourceAbsentError(
            "no RAPL below %s (x86 processors have it, virtual machines mostly do not)"
            % os.path.join(root, "sys/class/powercap")
        )
    return Rapl(zones, clock)
