"""sysfs as the modules of each generation show it, built from data below a folder.

Names, addresses and drivers are those of the boards; voltages, currents and clocks are made up, all
different, of a size that such a board has. Files lie under /sys/devices, and the drivers, classes
and buses lead there by links, as the kernel does it.
"""

import os

# rail, mV, mA, shunt in milliohm
TX1 = [
    ("1-0040", [("VDD_IN", 19080, 141, 20), ("VDD_GPU", 19048, 4, 10), ("VDD_CPU", 19040, 9, 10)]),
    ("1-0042", [("VDD_MUX", 19112, 222, 20), ("5V_IO_SYS", 4984, 31, 5), ("3V3_SYS", 3304, 12, 5)]),
    ("1-0043", [("3V3_IO_SLP", 3296, 3, 10), ("1V8_IO", 1808, 21, 10), ("M2", 3312, 2, 10)]),
]
NANO = [
    (
        "6-0040",
        [("POM_5V_IN", 5008, 412, 5), ("POM_5V_GPU", 5000, 8, 5), ("POM_5V_CPU", 4992, 96, 5)],
    )
]
TX2 = [
    (
        "0-0040",
        [
            ("VDD_SYS_GPU", 19152, 8, 10),
            ("VDD_SYS_SOC", 19144, 24, 10),
            ("VDD_4V0_WIFI", 4816, 1, 10),
        ],
    ),
    (
        "0-0041",
        [
            ("VDD_IN", 19112, 146, 20),
            ("VDD_SYS_CPU", 19160, 20, 10),
            ("VDD_SYS_DDR", 4824, 124, 10),
        ],
    ),
    (
        "0-0042",
        [
            ("VDD_MUX", 19136, 266, 20),
            ("VDD_5V0_IO_SYS", 5032, 54, 5),
            ("VDD_3V3_SYS", 3320, 42, 10),
        ],
    ),
    (
        "0-0043",
        [
            ("VDD_3V3_IO_SLP", 3312, 6, 10),
            ("VDD_1V8_IO", 1816, 32, 10),
            ("VDD_3V3_SYS_M2", 3328, 14, 10),
        ],
    ),
]
TX2_NX = [
    ("7-0040", [("VDD_IN", 5000, 480, 5), ("VDD_CPU_GPU", 5008, 104, 5), ("VDD_SOC", 4992, 168, 5)])
]
XAVIER_NX_R32 = [
    (
        "7-0040",
        [("VDD_IN", 4976, 680, 5), ("VDD_CPU_GPU_CV", 4968, 136, 5), ("VDD_SOC", 4960, 144, 5)],
    )
]
XAVIER_NX_R35 = [
    (
        "7-0040",
        [("VDD_IN", 4984, 560, 5), ("VDD_CPU_GPU_CV", 4968, 128, 5), ("VDD_SOC", 4976, 152, 5)],
    )
]
AGX_XAVIER = [
    ("1-0040", [("GPU", 19096, 16, 5), ("CPU", 19104, 24, 5), ("SOC", 19088, 48, 5)]),
    ("1-0041", [("CV", 19072, 0, 5), ("VDDRQ", 19080, 32, 5), ("SYS5V", 5024, 296, 5)]),
]
ORIN_NX = [
    (
        "1-0040",
        [("VDD_IN", 4960, 1072, 5), ("VDD_CPU_GPU_CV", 4952, 208, 5), ("VDD_SOC", 4944, 304, 5)],
    )
]
AGX_ORIN = [
    (
        "1-0040",
        [
            ("VDD_GPU_SOC", 19560, 140, 2),
            ("VDD_CPU_CV", 19552, 40, 2),
            ("VIN_SYS_5V0", 5040, 660, 2),
        ],
    ),
    ("1-0041", [("NC", 0, 0, 2), ("VDDQ_VDD2_1V8AO", 5024, 180, 2), ("NC", 0, 0, 2)]),
]
THOR = [
    (
        "1-0040",
        [
            ("VDD_GPU", 12040, -32, 2),
            ("VDD_CPU_SOC_MSS", 12048, 326, 2),
            ("VIN_SYS_5V0", 5064, 1000, 2),
        ],
    )
]
THOR_INPUT = ("2-0044", 54, 15004)  # INA238: address, V, mW

IIO_OF_R28, IIO, HWMON = "iio_device", "iio:device", "hwmon"
BOARDS = {
    "tx1": (IIO_OF_R28, "devices/7000c400.i2c", TX1),
    "nano": (IIO, "devices/7000c400.i2c", NANO),
    "tx2-r28": (IIO_OF_R28, "devices/3160000.i2c", TX2),
    "tx2": (IIO, "devices/3160000.i2c", TX2),
    "tx2-nx": (IIO, "devices/c250000.i2c", TX2_NX),
    "xavier-nx-r32": (IIO, "devices/c250000.i2c", XAVIER_NX_R32),
    "xavier-nx-r35": (HWMON, "devices/platform/c250000.i2c", XAVIER_NX_R35),
    "agx-xavier": (IIO, "devices/c240000.i2c", AGX_XAVIER),
    "orin-nx": (HWMON, "devices/platform/c240000.i2c", ORIN_NX),
    "agx-orin": (HWMON, "devices/platform/bus@0/c240000.i2c", AGX_ORIN),
    "thor": (HWMON, "devices/platform/bus@0/810c630000.i2c", THOR),
}


def build(root, board, first_device=3):
    """Write the power monitors of `board` below the folder `root`; returns `root` as text.

    first_device: number of the first IIO or hwmon device, which changes from boot to boot.
    """
    layout, controller, chips = BOARDS[board]
    for offset, (address, channels) in enumerate(chips):
        number = first_device + offset
        if layout == HWMON:
            _hwmon_chip(root, controller, address, channels, number)
        else:
            _iio_chip(root, controller, address, channels, layout, number)
    if board == "thor":
        _input_of_thor(root, controller, first_device + len(chips))
    return str(root)


def expected_mw(board):
    """{rail: mW} that the monitors of `board` show."""
    power = {}
    for _, channels in BOARDS[board][2]:
        for rail, millivolts, milliamperes, _ in channels:
            if rail != "NC":
                exact = millivolts * milliamperes / 1000.0
                power[rail] = exact if BOARDS[board][0] == HWMON else int(exact)
    if board == "thor":
        power["VIN"] = float(THOR_INPUT[2])
    return power


def write(root, path, text):
    """Write `text` and a newline to `path` below `root`, in one step as sysfs shows a value."""
    path = os.path.join(str(root), path)
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path))
    with open(path + ".new", "wb") as stream:
        stream.write(text if isinstance(text, bytes) else (text + "\n").encode())
    os.replace(path + ".new", path)


def link(root, path, target):
    """Make `path` a relative link to `target`, both below `root`."""
    path, target = os.path.join(str(root), path), os.path.join(str(root), target)
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path))
    os.symlink(os.path.relpath(target, os.path.dirname(path)), path)


def _device(root, controller, address, driver):
    bus = "i2c-" + address.split("-")[0]
    device = "sys/%s/%s/%s" % (controller, bus, address)
    link(root, "sys/bus/i2c/drivers/%s/%s" % (driver, address), device)
    link(root, "sys/bus/i2c/devices/%s" % address, device)
    write(root, device + "/name", driver)
    return device


def _iio_chip(root, controller, address, channels, layout, number):
    device = _device(root, controller, address, "ina3221x")
    folder = "%s/%s" % (device, "iio_device" if layout == IIO_OF_R28 else "iio:device%d" % number)
    link(root, "sys/bus/iio/devices/iio:device%d" % number, folder)
    write(root, folder + "/name", "ina3221x")
    write(root, folder + "/running_mode", "1")
    write(root, folder + "/in_current_sum_input", "999 ma")
    for index, (rail, millivolts, milliamperes, shunt) in enumerate(channels):
        write(root, "%s/rail_name_%d" % (folder, index), rail)
        write(root, "%s/in_voltage%d_input" % (folder, index), str(millivolts))
        write(root, "%s/in_current%d_input" % (folder, index), str(milliamperes))
        write(root, "%s/in_power%d_input" % (folder, index), str(millivolts * milliamperes // 1000))
        write(root, "%s/warn_current_limit_%d" % (folder, index), "32760 ma")
        write(root, "%s/crit_current_limit_%d" % (folder, index), "32760 ma")
        cell = bytes(bytearray([0, 0, 0, shunt]))
        write(root, "%s/of_node/channel@%d/ti,shunt-resistor-mohm" % (device, index), cell)


def _hwmon_chip(root, controller, address, channels, number):
    device = _device(root, controller, address, "ina3221")
    folder = "%s/hwmon/hwmon%d" % (device, number)
    link(root, "sys/class/hwmon/hwmon%d" % number, folder)
    write(root, folder + "/name", "ina3221")
    write(root, folder + "/update_interval", "7")
    write(root, folder + "/samples", "1")
    for index, (rail, millivolts, milliamperes, shunt) in enumerate(channels, 1):
        write(root, "%s/in%d_label" % (folder, index), rail)
        write(root, "%s/in%d_input" % (folder, index), str(millivolts))
        write(root, "%s/in%d_enable" % (folder, index), "1")
        write(root, "%s/curr%d_input" % (folder, index), str(milliamperes))
        write(root, "%s/curr%d_crit_alarm" % (folder, index), "0")
        write(root, "%s/shunt%d_resistor" % (folder, index), str(shunt * 1000))
        write(root, "%s/in%d_input" % (folder, index + 3), str(milliamperes * shunt // 1000))
    write(root, folder + "/in7_label", "sum of shunt voltages")
    write(root, folder + "/in7_input", "777")
    write(root, folder + "/curr4_input", "888")


def _input_of_thor(root, controller, number):
    address, volts, milliwatts = THOR_INPUT
    device = _device(root, controller, address, "ina238")
    folder = "%s/hwmon/hwmon%d" % (device, number)
    link(root, "sys/class/hwmon/hwmon%d" % number, folder)
    write(root, folder + "/name", "ina238")
    write(root, folder + "/in1_input", str(volts * 1000))
    write(root, folder + "/curr1_input", str(milliwatts // volts))
    write(root, folder + "/power1_input", str(milliwatts * 1000))
    write(root, folder + "/temp1_input", "41000")
