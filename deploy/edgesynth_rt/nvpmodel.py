"""The board's power mode, as NVIDIA's nvpmodel keeps it (Python 3.6).

Mode numbers differ from module to module and from release to release (0 is 15 W on an Orin Nano
Super), so a mode is always told with its name from /etc/nvpmodel.conf.
"""

import os
import re
from collections import namedtuple

from edgesynth_rt import programs, sysfs
from edgesynth_rt.errors import MissingError, UserError

STATUS = "var/lib/nvpmodel/status"
CONF = "etc/nvpmodel.conf"
_REMEDY = "it comes with L4T (sudo apt install nvidia-l4t-nvpmodel)"
_MAX_CONF_BYTES = 1 << 20

Mode = namedtuple("Mode", "id name")
"""A power mode; the name is None where nothing tells it."""

Table = namedtuple("Table", "names default_id")
"""The modes of a module, {id: name}, and the one that a fresh board is in (or None)."""


def parse_query(output):
    """The `Mode` in the output of `nvpmodel -q`, None when it holds none.

    NV Power Mode: MAXN
    0

    Warnings ("NVPM WARN: fan mode is not set!") may stand before and between.
    """
    lines = iter(output.splitlines())
    for line in lines:
        match = re.search(r"NV Power Mode:\s*(\S.*?)\s*$", line)
        if match:
            for later in lines:
                if re.match(r"\s*[0-9]{1,4}\s*$", later):
                    return Mode(int(later), match.group(1))
            return None
    return None


def parse_status(text):
    """The mode's number in /var/lib/nvpmodel/status ("pmode:0002"), None when it holds none."""
    match = re.search(r"pmode:\s*([0-9]{1,6})", text)
    return int(match.group(1)) if match else None


def parse_conf(text):
    """The `Table` in the text of /etc/nvpmodel.conf.

    < POWER_MODEL ID=0 NAME=MAXN >
    < PM_CONFIG DEFAULT=3 >
    """
    names, default_id = {}, None
    for kind, body in re.findall(r"(?m)^\s*<\s*(POWER_MODEL|PM_CONFIG)\s+([^>\n]*)>", text):
        fields = dict(re.findall(r"([A-Z_]+)=(\S+)", body))
        number = fields.get("ID" if kind == "POWER_MODEL" else "DEFAULT", "")
        if not re.match(r"[0-9]{1,6}$", number):
            continue
        if kind == "PM_CONFIG":
            default_id = int(number)
        elif "NAME" in fields:
            names[int(number)] = fields["NAME"]
    return Table(names, default_id)


def read_table(root="/"):
    """The `Table` of this module. Raises MissingError when there is none or it cannot be read."""
    path = os.path.join(root, CONF)
    try:
        with open(path, "rb") as stream:
            text = stream.read(_MAX_CONF_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise MissingError("%s cannot be read: %s; %s" % (path, error.strerror, _REMEDY))
    table = parse_conf(text)
    if not table.names:
        raise MissingError("%s names no power mode; is it nvpmodel's?" % path)
    return table


def read_mode(root="/", program="nvpmodel"):
    """The present `Mode`: from its file, or from `nvpmodel -q` where that is absent.

    Raises MissingError when neither tells it: it is no Jetson, or nvpmodel is not set up.
    """
    return stored_mode(root) or query(program)


def stored_mode(root="/"):
    """The `Mode` that was set last, as nvpmodel's own files tell; None where they do not."""
    number = parse_status(sysfs.text_or_none(os.path.join(root, STATUS)) or "")
    if number is None:
        return None
    try:
        return Mode(number, read_table(root).names.get(number))
    except MissingError:
        return Mode(number, None)


def query(program="nvpmodel"):
    """The `Mode` that `nvpmodel -q` tells. Raises MissingError."""
    code, output = programs.run([program, "-q"], _REMEDY)
    mode = parse_query(output)
    if mode is None:
        raise MissingError(
            '%s -q tells no mode (exit code %d): "%s"; run it by hand, as root if it says so'
            % (program, code, programs.complaint(output))
        )
    return mode


def find_mode(wanted, table):
    """The `Mode` with the number or the name `wanted` (case does not count).

    Raises UserError, naming the modes that there are.
    """
    for number, name in table.names.items():
        if str(wanted).upper() in (str(number), name.upper()):
            return Mode(number, name)
    modes = ", ".join("%d %s" % item for item in sorted(table.names.items()))
    raise UserError("this module has no power mode %s; it has %s" % (wanted, modes))


def switch(mode, program="nvpmodel", timeout_s=programs.TIMEOUT_S):
    """Switch to `mode`, unless that wants a reboot.

    A mode with other cores or GPU clusters than the present one asks on the terminal whether to
    reboot now; it is told no. Raises UserError when a reboot is wanted, MissingError when the mode
    did not change or nvpmodel does not end within `timeout_s`.
    """
    before = query(program)
    if before.id == mode.id:
        return
    command = [program, "-m", str(mode.id)]
    code, output = programs.run(command, _REMEDY, timeout_s, answer=b"no\n")
    if re.search(r"reboot", output, re.IGNORECASE):
        raise UserError(
            "power mode %d %s needs a reboot, the board stays in %d %s; to change it: "
            "sudo nvpmodel -m %d, answer YES, and run this again"
            % (mode.id, mode.name, before.id, before.name, mode.id)
        )
    after = query(program)
    if code or after.id != mode.id:
        raise MissingError(
            'power mode %d %s was not set (exit code %d): "%s"; run as root'
            % (mode.id, mode.name, code, programs.complaint(output))
        )
