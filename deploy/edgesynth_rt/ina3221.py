"""The power monitors on Jetson modules and carriers: INA3221, on Thor also INA238 (Python 3.6).

JetPack 3 and 4 show them through NVIDIA's IIO driver `ina3221x`: `rail_name_N`, `in_powerN_input`
(mW), `in_voltageN_input` (mV), `in_currentN_input` (mA), N from 0. JetPack 5 and later use the
kernel's hwmon drivers: `inN_label`, `inN_input` (mV), `currN_input` (mA), N from 1 to 3, and no
power for the INA3221; its fourth current and seventh voltage are sums. Device numbers change from
boot to boot, so rails are found by their label. Sources: NVIDIA's drivers/staging/iio/meter/
ina3221.c of L4T 32; Linux Documentation/hwmon/ina3221.rst and ina238.rst.
"""

import os
import re
from collections import namedtuple

from edgesynth_rt import sysfs
from edgesynth_rt.power_source import PowerSource, SourceAbsentError

_IIO = (
    "sys/bus/i2c/drivers/ina3221x/*/iio:device*",
    "sys/bus/i2c/drivers/ina3221x/*/iio_device",  # L4T 28
    "sys/bus/i2c/devices/*/iio:device*",
    "sys/bus/i2c/devices/*/iio_device",
    "sys/devices/*.i2c/i2c-*/*-00*/iio[:_]device*",  # a copied tree without the links above
    "sys/devices/platform/*.i2c/i2c-*/*-00*/iio[:_]device*",
)
_HWMON = (
    "sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*",
    "sys/bus/i2c/drivers/ina238/*/hwmon/hwmon*",
    "sys/class/hwmon/hwmon*",
)
_HWMON_CHANNELS = (1, 2, 3)
_UNUSED = ("", "NC", "(NULL)")  # not connected; a rail that the device tree does not name
_SHUNT_STEP_UV = 40.0  # INA3221 data sheet (TI SBOS576): 40 uV of shunt voltage a step
_INPUT_OF_THOR = "VIN"  # what tegrastats calls the INA238's channel, which has no label

Channel = namedtuple("Channel", "rail chip power_path power_per_mw voltage_path current_path shunt")
"""One rail: the file of its power and how many of its units make 1 mW, or the files of its voltage
(mV) and current (mA); `shunt` in ohm, None where the system does not tell it."""


class Ina3221(PowerSource):
    """Every named rail of every monitor on the board."""

    name = "ina3221"

    def __init__(self, channels, refresh_s=None):
        self._channels = tuple(channels)
        self.rails = tuple(channel.rail for channel in self._channels)
        self.refresh_s = refresh_s
        self.lsb_mw = {channel.rail: _step_mw(channel) for channel in self._channels}
        self.read()

    def read(self):
        """{rail: mW}. A gated rail may read a little below 0. Raises MissingError."""
        return {channel.rail: _power_mw(channel) for channel in self._channels}


def open_source(root="/"):
    """The board's monitors below `root`.

    Raises SourceAbsentError when there are none, MissingError when one cannot be read.
    """
    folders = [folder for folder in sysfs.below(root, *_IIO) if _has(folder, "rail_name_0")]
    channels = [channel for folder in folders for channel in _iio_channels(folder)]
    refresh_s = []
    for folder in sysfs.below(root, *_HWMON):
        chip = (sysfs.text_or_none(os.path.join(folder, "name")) or "").lower()
        if chip == "ina3221":
            channels += _ina3221_channels(folder)
            refresh_s.append(sysfs.number_or_none(os.path.join(folder, "update_interval")))
        elif chip == "ina238":
            channels.append(_ina238_channel(folder))
    if not channels:
        raise SourceAbsentError("no INA3221 with a named rail below %s" % os.path.join(root, "sys"))
    known = refresh_s and None not in refresh_s and not folders
    return Ina3221(_distinct(channels), max(refresh_s) / 1e3 if known else None)


def _iio_channels(folder):
    for path in sysfs.below(folder, "rail_name_[0-9]*"):
        rail = sysfs.text(path) or ""
        if rail.upper() in _UNUSED:
            continue
        index = path.rpartition("_")[2]
        power = os.path.join(folder, "in_power%s_input" % index)
        yield Channel(
            rail,
            _chip(folder),
            power if os.path.exists(power) else None,
            1.0,
            os.path.join(folder, "in_voltage%s_input" % index),
            os.path.join(folder, "in_current%s_input" % index),
            _shunt_of_device_tree(folder, index),
        )


def _ina3221_channels(folder):
    """The three measured channels; in4 to in6 are shunt voltages, in7 and curr4 are sums."""
    for index in _HWMON_CHANNELS:
        rail = sysfs.text(os.path.join(folder, "in%d_label" % index)) or ""
        enabled = sysfs.number_or_none(os.path.join(folder, "in%d_enable" % index))
        if rail.upper() in _UNUSED or enabled == 0:
            continue
        microohms = sysfs.number_or_none(os.path.join(folder, "shunt%d_resistor" % index))
        yield Channel(
            rail,
            _chip(folder),
            None,
            None,
            os.path.join(folder, "in%d_input" % index),
            os.path.join(folder, "curr%d_input" % index),
            microohms / 1e6 if microohms else None,
        )


def _ina238_channel(folder):
    label = sysfs.text(os.path.join(folder, "in1_label"))
    power = os.path.join(folder, "power1_input")
    return Channel(
        label or _INPUT_OF_THOR,
        _chip(folder),
        power,
        1e3,  # hwmon's power is in microwatt
        os.path.join(folder, "in1_input"),
        os.path.join(folder, "curr1_input"),
        None,
    )


def _shunt_of_device_tree(folder, index):
    """The shunt in ohm as the driver reads it, None where the device tree is not shown."""
    chip = os.path.dirname(os.path.realpath(folder))
    for path in sysfs.below(chip, "of_node/channel@%s/ti,shunt-resistor-mohm" % index):
        try:
            with open(path, "rb") as stream:
                cell = stream.read(4)
        except OSError:
            return None
        return int.from_bytes(cell, "big") / 1e3 or None
    return None


def _power_mw(channel):
    if channel.power_path:
        return sysfs.number(channel.power_path) / channel.power_per_mw
    return sysfs.number(channel.voltage_path) * sysfs.number(channel.current_path) / 1e3


def _step_mw(channel):
    """One step of the shunt's converter at the present voltage, in mW."""
    if channel.shunt is None:
        return None
    millivolts = sysfs.number(channel.voltage_path)
    return _SHUNT_STEP_UV / channel.shunt * millivolts / 1e6


def _distinct(channels):
    """Each rail of each chip once; a name that two chips have is followed by the second's address.

    One chip may be found twice in a copied tree, whose links have become folders.
    """
    names, seen = set(), set()
    for channel in channels:
        if (channel.rail, channel.chip) in seen:
            continue
        seen.add((channel.rail, channel.chip))
        name = channel.rail
        if name in names:
            name = "%s@%s" % (channel.rail, channel.chip)
        names.add(name)
        yield channel._replace(rail=name)


def _chip(folder):
    """Bus and address, such as 1-0040; the folder's own name where there is none."""
    match = re.search(r"/([0-9]+-00[0-9a-f]{2})/", os.path.realpath(folder) + "/")
    return match.group(1) if match else os.path.basename(folder)


def _has(folder, name):
    return os.path.exists(os.path.join(folder, name))
