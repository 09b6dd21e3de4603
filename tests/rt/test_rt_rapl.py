"""Energy counters of x86 processors."""

import os

import boards
import pytest

from edgesynth_rt import rapl
from edgesynth_rt.errors import MissingError
from edgesynth_rt.power_source import SourceAbsentError, find_source

RANGE_UJ = 262143328850
ZONES = {
    "intel-rapl:0": ("package-0", 1000000),
    "intel-rapl:0:0": ("core", 400000),
    "intel-rapl:0:1": ("dram", 70000),
    "intel-rapl:1": ("package-1", 3000000),
    "intel-rapl:2": ("psys", 9000000),
    "intel-rapl-mmio:0": ("package-0", 1000000),  # the first package once more
}


@pytest.fixture
def machine(tmp_path):
    boards.write(tmp_path, "sys/class/powercap/intel-rapl/enabled", "1")
    for zone, (name, energy_uj) in ZONES.items():
        set_zone(tmp_path, zone, name=name, energy_uj=energy_uj, max_energy_range_uj=RANGE_UJ)
    return str(tmp_path)


def set_zone(root, zone, **values):
    for key, value in values.items():
        boards.write(root, "sys/class/powercap/%s/%s" % (zone, key), str(value))


def clock(*seconds):
    return iter(seconds).__next__


def test_domains_and_what_is_the_whole(machine):
    source = rapl.open_source(machine)
    assert source.rails == ("package-0", "package-0/core", "package-0/dram", "package-1", "psys")
    assert source.total == ("package-0", "package-1", "package-0/dram")
    assert source.interval_means


def test_power_is_energy_over_time(machine):
    source = rapl.open_source(machine, clock=clock(10.0, 10.5))
    set_zone(machine, "intel-rapl:0", energy_uj=1000000 + 6000000)
    power = source.read()
    assert power["package-0"] == pytest.approx(12000.0)  # 6 J in 0.5 s
    assert power["package-1"] == 0.0


def test_a_counter_that_begins_again(machine):
    set_zone(machine, "intel-rapl:0", energy_uj=RANGE_UJ - 500000)
    source = rapl.open_source(machine, clock=clock(0.0, 1.0, 2.0))
    set_zone(machine, "intel-rapl:0", energy_uj=1500000)
    assert source.read()["package-0"] == pytest.approx(2000.0)
    set_zone(machine, "intel-rapl:0", energy_uj=4500000)
    assert source.read()["package-0"] == pytest.approx(3000.0)


def test_a_counter_that_cannot_be_read_says_so(machine):
    """Linux lets only root read it."""
    path = os.path.join(machine, "sys/class/powercap/intel-rapl:0/energy_uj")
    os.remove(path)
    os.symlink("/proc/self/mem", path)
    with pytest.raises(MissingError, match="intel-rapl:0/energy_uj cannot be read"):
        find_source("auto", machine, candidates=("ina3221", "rapl"))


def test_two_readings_at_one_time(machine):
    source = rapl.open_source(machine, clock=clock(1.0, 1.0))
    with pytest.raises(MissingError, match="read it less often"):
        source.read()


def test_none(tmp_path):
    with pytest.raises(SourceAbsentError, match="no RAPL below"):
        find_source("rapl", str(tmp_path))
