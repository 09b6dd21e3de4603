"""Power of a desktop or server GPU through NVIDIA's management library (Python 3.6, no package).

The library is loaded with ctypes. On Tegra it loads, finds the GPU and answers every question for
power with "not supported", which is passed on as that. Source: NVML API reference (nvml.h).
"""

import ctypes
import time

from edgesynth_rt.errors import MissingError
from edgesynth_rt.power_source import PowerSource, SourceAbsentError

LIBRARY = "libnvidia-ml.so.1"
_SUCCESS = 0
_NOT_SUPPORTED = 3
_DRIVER_NOT_LOADED = 9
_RAIL = "GPU"


class Nvml(PowerSource):
    """The whole card of one GPU.

    From the energy counter (mJ since the driver was loaded, Volta and later) as the mean since the
    reading before; where there is no counter, the power that the driver shows, which on some GPUs
    is already a mean over a second.
    """

    name = "nvml"
    rails = (_RAIL,)
    total = (_RAIL,)

    def __init__(self, library, device, clock=time.monotonic):
        """library: an initialized libnvidia-ml, loaded; device: the GPU's number in PCI order."""
        self._library = library
        self._clock = clock
        self.lsb_mw = {_RAIL: None}
        self._handle = ctypes.c_void_p()
        code = library.nvmlDeviceGetHandleByIndex_v2(
            ctypes.c_uint(device), ctypes.byref(self._handle)
        )
        _check(library, code, "GPU %d" % device)
        self._last = None
        try:
            self._last = self._counter()
        except _NotSupportedError:
            self._power_mw()
        self.interval_means = self._last is not None

    def read(self):
        """{"GPU": mW}. Raises MissingError with NVML's own words."""
        if self._last is None:
            return {_RAIL: self._power_mw()}
        earlier, self._last = self._last, self._counter()
        seconds = self._last[0] - earlier[0]
        if seconds <= 0:
            raise MissingError("NVML was read twice at one time; read it less often")
        return {_RAIL: (self._last[1] - earlier[1]) / seconds}  # mJ / s

    def close(self):
        """End the use of the library."""
        self._library.nvmlShutdown()

    def _power_mw(self):
        value = ctypes.c_uint()
        code = self._library.nvmlDeviceGetPowerUsage(self._handle, ctypes.byref(value))
        _check(self._library, code, "the GPU's power")
        return float(value.value)

    def _counter(self):
        value = ctypes.c_ulonglong()
        ask = getattr(self._library, "nvmlDeviceGetTotalEnergyConsumption", None)
        if ask is None:  # drivers before 396
            raise _NotSupportedError("no energy counter in this driver")
        code = ask(self._handle, ctypes.byref(value))
        _check(self._library, code, "the GPU's energy")
        return self._clock(), value.value


class _NotSupportedError(MissingError):
    """The library answers, the device does not have it."""


def open_source(root="/", library=LIBRARY, device=0, clock=time.monotonic):
    """The GPU `device`; `root` is not used, as a library cannot be found in a copied tree.

    Raises SourceAbsentError when there is no library or no driver, MissingError when there is a GPU
    that does not tell its power.
    """
    del root
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        raise SourceAbsentError("no %s (it comes with NVIDIA's driver)" % library)
    code = loaded.nvmlInit_v2()
    if code == _DRIVER_NOT_LOADED:
        raise SourceAbsentError("%s is there, but NVIDIA's driver is not loaded" % library)
    _check(loaded, code, "NVML")
    try:
        return Nvml(loaded, device, clock)
    except BaseException:
        loaded.nvmlShutdown()
        raise


def _check(library, code, what):
    if code == _SUCCESS:
        return
    library.nvmlErrorString.restype = ctypes.c_char_p
    words = (library.nvmlErrorString(code) or b"unknown error").decode("ascii", "replace")
    message = "NVML does not give %s: %s (%d)" % (what, words, code)
    if code == _NOT_SUPPORTED:
        raise _NotSupportedError(message + "; on a Jetson use --power ina3221 or tegrastats")
    raise MissingError(message)
