"""What tells how much power is drawn right now, and which of it this machine has (Python 3.6)."""

from edgesynth_rt.errors import MissingError, UserError

NAMES = ("ina3221", "nvml", "rapl")


class SourceAbsentError(MissingError):
    """This machine has no such sensor; one that it has but cannot read is a MissingError."""


class PowerSource(object):
    """A sensor with one or more rails. Subclasses set the fields and implement `read`.

    A source is opened by the function `open_source` of its module, which reads it once: whoever
    holds a source could read it. It is never read as 0 when it cannot be read.
    """

    name = ""
    """Which kind of source: one of NAMES."""
    rails = ()
    """What is measured, by the hardware's own names."""
    lsb_mw = {}
    """Smallest step of each rail in mW; None where it is not known."""
    total = None
    """The rails whose sum is all that is drawn; None where the module's own rule decides."""
    interval_means = False
    """True when a reading is the mean since the reading before it, as of an energy counter."""
    refresh_s = None
    """How often the sensor has a new value; None where it is not known."""

    def read(self):
        """{rail: mW} now, every rail. Raises MissingError with the reason when that fails."""
        raise NotImplementedError

    def close(self):
        """Give back what the source holds."""


def find_source(name="auto", root="/", candidates=NAMES):
    """The open source called `name`, or for "auto" the first of `candidates` that is there.

    root: where sysfs and the device tree are looked for. A machine with a GPU has "nvml" also when
    the work runs on its processor, so whoever asks for "auto" names the fitting `candidates`.

    Raises SourceAbsentError when there is none; MissingError when one is there and cannot be read
    (also for "auto": falling back to another sensor would measure something else); UserError for
    an unknown name.
    """
    if name != "auto":
        return _opener(name)(root)
    reasons = []
    for candidate in candidates:
        try:
            return _opener(candidate)(root)
        except SourceAbsentError as absent:
            reasons.append(str(absent))
    raise SourceAbsentError(
        "no power sensor found on this machine: %s; measure without energy (--power none)"
        % "; ".join(reasons)
    )


def _opener(name):
    if name == "ina3221":
        from edgesynth_rt.ina3221 import open_source
    elif name == "nvml":
        from edgesynth_rt.nvml import open_source
    elif name == "rapl":
        from edgesynth_rt.rapl import open_source
    else:
        raise UserError("there is no power source %s; choose auto, %s" % (name, ", ".join(NAMES)))
    return open_source
