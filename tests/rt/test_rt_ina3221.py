"""Power monitors of every Jetson generation, on trees of sysfs built from data."""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager

import boards
import pytest

from edgesynth_rt import ina3221
from edgesynth_rt.errors import MissingError, UserError
from edgesynth_rt.power_source import SourceAbsentError, find_source


@pytest.mark.parametrize("board", sorted(boards.BOARDS))
@pytest.mark.parametrize("first_device", [0, 9])
def test_every_rail_is_read_by_its_label(tmp_path, board, first_device):
    root = boards.build(tmp_path, board, first_device)
    source = find_source("ina3221", root)
    assert source.name == "ina3221"
    assert source.read() == pytest.approx(boards.expected_mw(board))
    assert set(source.rails) == set(boards.expected_mw(board))


def test_rails_come_in_the_order_of_the_hardware(tmp_path):
    source = ina3221.open_source(boards.build(tmp_path, "tx2", first_device=10))
    assert source.rails[:6] == (
        "VDD_SYS_GPU",
        "VDD_SYS_SOC",
        "VDD_4V0_WIFI",
        "VDD_IN",
        "VDD_SYS_CPU",
        "VDD_SYS_DDR",
    )


def test_sums_and_unconnected_channels_are_no_rails(tmp_path):
    rails = ina3221.open_source(boards.build(tmp_path, "agx-orin")).rails
    assert rails == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO")


def test_a_gated_rail_may_be_negative(tmp_path):
    assert ina3221.open_source(boards.build(tmp_path, "thor")).read()["VDD_GPU"] < 0


def test_the_board_is_found_where_only_the_devices_are(tmp_path):
    """A tree copied without links, as `cp -r /sys/devices` gives it."""
    root = boards.build(tmp_path, "tx1")
    shutil.rmtree(os.path.join(root, "sys/bus"))
    assert find_source("auto", root).read() == pytest.approx(boards.expected_mw("tx1"))


def test_a_tree_whose_links_became_folders_has_each_rail_once(tmp_path):
    root = boards.build(tmp_path / "tree", "tx2")
    copy = str(tmp_path / "copy")
    shutil.copytree(root, copy, symlinks=False)
    assert ina3221.open_source(copy).rails == ina3221.open_source(root).rails


def test_one_name_on_two_chips_is_told_apart(tmp_path):
    root = boards.build(tmp_path, "tx2")
    folder = "sys/devices/3160000.i2c/i2c-0/0-0042/iio:device5/"
    boards.write(root, folder + "rail_name_0", "VDD_IN")
    power = ina3221.open_source(root).read()
    assert power["VDD_IN"] == boards.expected_mw("tx2")["VDD_IN"]
    assert power["VDD_IN@0-0042"] == boards.expected_mw("tx2")["VDD_MUX"]


def test_power_is_voltage_times_current_where_there_is_no_power(tmp_path):
    root = boards.build(tmp_path, "nano")
    folder = "sys/devices/7000c400.i2c/i2c-6/6-0040/iio:device3/"
    os.remove(os.path.join(root, folder + "in_power0_input"))
    boards.write(root, folder + "in_current0_input", "412 ma")
    assert ina3221.open_source(root).read()["POM_5V_IN"] == pytest.approx(5008 * 412 / 1000.0)


@pytest.mark.parametrize(
    ("board", "rail", "step_mw"),
    [
        ("tx2", "VDD_IN", 38.2),  # the steps that real logs of these boards show
        ("tx2", "VDD_SYS_GPU", 76.6),
        ("tx2", "VDD_SYS_DDR", 19.3),
        ("nano", "POM_5V_IN", 40.1),
        ("agx-orin", "VDD_GPU_SOC", 391.2),
        ("agx-orin", "VIN_SYS_5V0", 100.8),
    ],
)
def test_the_step_comes_from_shunt_and_voltage(tmp_path, board, rail, step_mw):
    source = ina3221.open_source(boards.build(tmp_path, board))
    assert source.lsb_mw[rail] == pytest.approx(step_mw, abs=0.1)


def test_the_step_is_unknown_without_the_device_tree(tmp_path):
    root = boards.build(tmp_path, "nano")
    shutil.rmtree(os.path.join(root, "sys/devices/7000c400.i2c/i2c-6/6-0040/of_node"))
    assert ina3221.open_source(root).lsb_mw["POM_5V_IN"] is None


def test_how_often_a_reading_is_new(tmp_path):
    assert ina3221.open_source(boards.build(tmp_path / "orin", "orin-nx")).refresh_s == 0.007
    assert ina3221.open_source(boards.build(tmp_path / "tx2", "tx2")).refresh_s is None


def test_a_disabled_or_nameless_channel_is_no_rail(tmp_path):
    root = boards.build(tmp_path, "orin-nx")
    folder = "sys/devices/platform/c240000.i2c/i2c-1/1-0040/hwmon/hwmon3/"
    boards.write(root, folder + "in2_enable", "0")
    os.remove(os.path.join(root, folder + "in3_label"))
    assert ina3221.open_source(root).rails == ("VDD_IN",)


def test_none_there(tmp_path):
    with pytest.raises(SourceAbsentError, match="no INA3221 with a named rail below"):
        find_source("ina3221", str(tmp_path))


def test_auto_says_what_was_looked_for(tmp_path):
    with pytest.raises(MissingError) as caught:
        find_source("auto", str(tmp_path), candidates=("ina3221", "rapl"))
    assert "INA3221" in str(caught.value) and "RAPL" in str(caught.value)
    assert "--power none" in str(caught.value) and caught.value.exit_code == 4


def test_unknown_source():
    with pytest.raises(UserError, match="choose auto, ina3221, nvml, rapl"):
        find_source("battery")


@pytest.mark.parametrize("name", ["auto", "ina3221"])
def test_a_sensor_that_fails_says_so(tmp_path, name):
    """Reading /proc/self/mem at 0 fails with EIO, as a chip does that does not answer."""
    root = boards.build(tmp_path, "xavier-nx-r35")
    path = os.path.join(
        root, "sys/devices/platform/c250000.i2c/i2c-7/7-0040/hwmon/hwmon3/curr1_input"
    )
    os.remove(path)
    os.symlink("/proc/self/mem", path)
    with pytest.raises(MissingError, match="curr1_input cannot be read: Input/output error"):
        find_source(name, root)


def test_a_vanished_sensor_says_so(tmp_path):
    root = boards.build(tmp_path, "tx2-nx")
    source = ina3221.open_source(root)
    shutil.rmtree(os.path.join(root, "sys/devices/c250000.i2c"))
    with pytest.raises(MissingError, match="in_power0_input is not there; is its driver loaded"):
        source.read()


@pytest.mark.parametrize("text", ["", "n/a", "1.5", "--3"])
def test_what_is_no_number_is_refused(tmp_path, text):
    root = boards.build(tmp_path, "nano")
    path = "sys/devices/7000c400.i2c/i2c-6/6-0040/iio:device3/in_power1_input"
    boards.write(root, path, text)
    with pytest.raises(MissingError, match=r"in_power1_input holds .* where a number should stand"):
        ina3221.open_source(root)


def test_a_file_for_root_only_names_the_remedy():
    with public_folder() as root:
        boards.build(root, "nano")
        path = os.path.join(
            root, "sys/devices/7000c400.i2c/i2c-6/6-0040/iio:device3/in_power0_input"
        )
        os.chmod(path, 0o000)
        with another_user(), pytest.raises(MissingError) as caught:
            find_source("auto", root)
    assert str(caught.value).startswith(root)
    assert "/in_power0_input cannot be read: Permission denied; run as root" in str(caught.value)


@contextmanager
def public_folder():
    """A temporary folder that other users can look into."""
    root = tempfile.mkdtemp()
    os.chmod(root, 0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root)


@contextmanager
def another_user():
    """Root can read everything, so be nobody for a while."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
