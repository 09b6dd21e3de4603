"""The CUDA runtime through ctypes, CUDA 10.2 to 13 (Python 3.6).

Neither pycuda nor cuda-python: the first must be compiled on the board, the second does not exist
for CUDA 10.2. This uses the device's primary context, the one that TensorRT uses as well.
Signatures and numbers: cuda_runtime_api.h and driver_types.h, equal in all these versions.
"""

import ctypes
import weakref
from collections import namedtuple

from edgesynth_rt.errors import MissingError

SONAMES = (
    "libcudart.so",
    "libcudart.so.10.2",
    "libcudart.so.11.0",
    "libcudart.so.12",
    "libcudart.so.13",
)
_FOLDERS = ("", "/usr/local/cuda/lib64/")
_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_SCHEDULE_SPIN, _SCHEDULE_BLOCKING = 1, 4
_EVENT_BLOCKING, _STREAM_NON_BLOCKING, _HOST_ALLOC_MAPPED = 1, 1, 2
_INTEGRATED, _MAJOR, _MINOR = 18, 75, 76  # cudaDeviceAttr
_PROPERTIES_BYTES = 8192  # more than any version's cudaDeviceProp, whose first 256 are the name
_NO_GPU = (35, 38, 100)  # driver older than the runtime, no device in the old and new numbers

Device = namedtuple("Device", "name sm integrated memory_bytes runtime driver")
"""sm: (major, minor); integrated: CPU and GPU share their memory; runtime, driver: such as 10.2."""

_HANDLE = ctypes.c_void_p
_INT, _SIZE = ctypes.c_int, ctypes.c_size_t
_POINTER, _FLOAT = ctypes.POINTER, ctypes.c_float
_SIGNATURES = {
    "cudaGetErrorString": (_INT,),
    "cudaGetDeviceCount": (_POINTER(_INT),),
    "cudaSetDeviceFlags": (ctypes.c_uint,),
    "cudaDeviceGetAttribute": (_POINTER(_INT), _INT, _INT),
    "cudaRuntimeGetVersion": (_POINTER(_INT),),
    "cudaDriverGetVersion": (_POINTER(_INT),),
    "cudaMemGetInfo": (_POINTER(_SIZE), _POINTER(_SIZE)),
    "cudaMalloc": (_POINTER(_HANDLE), _SIZE),
    "cudaFree": (_HANDLE,),
    "cudaHostAlloc": (_POINTER(_HANDLE), _SIZE, ctypes.c_uint),
    "cudaFreeHost": (_HANDLE,),
    "cudaHostGetDevicePointer": (_POINTER(_HANDLE), _HANDLE, ctypes.c_uint),
    "cudaMemcpyAsync": (_HANDLE, _HANDLE, _SIZE, _INT, _HANDLE),
    "cudaStreamCreateWithFlags": (_POINTER(_HANDLE), ctypes.c_uint),
    "cudaStreamDestroy": (_HANDLE,),
    "cudaStreamSynchronize": (_HANDLE,),
    "cudaEventCreateWithFlags": (_POINTER(_HANDLE), ctypes.c_uint),
    "cudaEventDestroy": (_HANDLE,),
    "cudaEventRecord": (_HANDLE, _HANDLE),
    "cudaEventSynchronize": (_HANDLE,),
    "cudaEventElapsedTime": (_POINTER(_FLOAT), _HANDLE, _HANDLE),
}


def find_library():
    """Path or name of the CUDA runtime that loads first; raises MissingError where none does."""
    for folder in _FOLDERS:
        for soname in SONAMES:
            try:
                ctypes.CDLL(folder + soname)
            except OSError:
                continue
            return folder + soname
    raise MissingError(
        "the CUDA runtime (libcudart) is not here; on a Jetson get it with "
        "`sudo apt install nvidia-cuda` of its JetPack, in a container start it with "
        "`--runtime nvidia`"
    )


class Cuda(object):
    """The CUDA runtime on device 0. Everything that it hands out is given back by itself.

    library: its path, searched for when None. spin: wait for the GPU in a busy loop, which notices
    the end some ten microseconds earlier and occupies a core; else the thread sleeps.
    Raises MissingError without library, driver or GPU.
    """

    def __init__(self, library=None, spin=False):
        self._library = ctypes.CDLL(library or find_library())
        for name, arguments in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes = arguments
            function.restype = ctypes.c_char_p if name == "cudaGetErrorString" else _INT
        self.spin = spin
        self._event_flags = 0 if spin else _EVENT_BLOCKING
        count = ctypes.c_int()
        status = self._library.cudaGetDeviceCount(ctypes.byref(count))
        if status in _NO_GPU or (status == 0 and count.value == 0):
            raise MissingError(
                "the CUDA runtime sees no GPU (%s); run it on the board, in a container with "
                "`--runtime nvidia`" % self._reason(status)
            )
        self._check(status, "cudaGetDeviceCount")
        # refused when the context is there already; then the way of waiting stays as it is
        self._library.cudaSetDeviceFlags(_SCHEDULE_SPIN if spin else _SCHEDULE_BLOCKING)

    def device(self):
        """What the GPU is, as a `Device`."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return Device(
            self._name(),
            (self._attribute(_MAJOR), self._attribute(_MINOR)),
            bool(self._attribute(_INTEGRATED)),
            total.value,
            self._version("cudaRuntimeGetVersion"),
            self._version("cudaDriverGetVersion"),
        )

    def malloc(self, size):
        """`size` bytes of device memory, as a `Memory`."""
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), max(size, 1))
        return Memory(address.value, None, size, self._library.cudaFree)

    def host_alloc(self, size):
        """`size` bytes that CPU and GPU both address, as a `Memory`; copies from it are direct."""
        host, device = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cudaHostAlloc", ctypes.byref(host), max(size, 1), _HOST_ALLOC_MAPPED)
        memory = Memory(None, host.value, size, self._library.cudaFreeHost)
        self._call("cudaHostGetDevicePointer", ctypes.byref(device), host, 0)
        memory.device = device.value
        return memory

    def to_device(self, target, source, size, stream):
        """Copy `size` bytes from the address `source` on the host to `target` on the device."""
        self._call("cudaMemcpyAsync", target, source, size, _TO_DEVICE, stream)

    def to_host(self, target, source, size, stream):
        """Copy `size` bytes from the address `source` on the device to `target` on the host."""
        self._call("cudaMemcpyAsync", target, source, size, _TO_HOST, stream)

    def stream(self):
        """A stream of its own, as a `Handle`."""
        return self._handle("cudaStreamCreateWithFlags", _STREAM_NON_BLOCKING, "cudaStreamDestroy")

    def event(self):
        """An event that takes the time and is waited for as this object waits, as a `Handle`."""
        return self._handle("cudaEventCreateWithFlags", self._event_flags, "cudaEventDestroy")

    def record(self, event, stream):
        """Take the time of `event` when everything before it in `stream` is done."""
        self._call("cudaEventRecord", event.value, stream)

    def wait(self, event):
        """Wait until `event` has happened."""
        self._call("cudaEventSynchronize", event.value)

    def elapsed_ms(self, start, end):
        """Milliseconds between two events, to half a microsecond."""
        found = ctypes.c_float()
        self._call("cudaEventElapsedTime", ctypes.byref(found), start.value, end.value)
        return found.value

    def synchronize(self, stream):
        """Wait until everything in `stream` is done."""
        self._call("cudaStreamSynchronize", stream)

    def _handle(self, create, flags, destroy):
        value = ctypes.c_void_p()
        self._call(create, ctypes.byref(value), flags)
        return Handle(value.value, getattr(self._library, destroy))

    def _call(self, name, *arguments):
        self._check(getattr(self._library, name)(*arguments), name)

    def _check(self, status, name):
        if status == 2:  # cudaErrorMemoryAllocation
            raise MissingError(
                "the GPU has no memory left (%s); close other programs, or build with a smaller "
                "--workspace or --batch" % name
            )
        if status:
            raise MissingError("CUDA call %s failed: %s" % (name, self._reason(status)))

    def _reason(self, status):
        text = self._library.cudaGetErrorString(status) or b"no reason given"
        return "%s, error %d" % (text.decode("utf-8", "replace"), status)

    def _attribute(self, number):
        value = ctypes.c_int()
        self._call("cudaDeviceGetAttribute", ctypes.byref(value), number, 0)
        return value.value

    def _version(self, name):
        """10020 is 10.2."""
        value = ctypes.c_int()
        self._call(name, ctypes.byref(value))
        return "%d.%d" % (value.value // 1000, value.value % 1000 // 10)

    def _name(self):
        """CUDA 12 exports the function with the struct of its time under a second name."""
        for symbol in ("cudaGetDeviceProperties_v2", "cudaGetDeviceProperties"):
            function = getattr(self._library, symbol, None)
            if function is not None:
                break
        function.argtypes = (ctypes.c_void_p, ctypes.c_int)
        function.restype = ctypes.c_int
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        self._check(function(properties, 0), symbol)
        return properties.raw[:256].split(b"\0")[0].decode("utf-8", "replace")


class Memory(object):
    """`size` bytes at the addresses `device` and `host` (None where one side has none)."""

    def __init__(self, device, host, size, give_back):
        self.device = device
        self.host = host
        self.size = size
        self.free = weakref.finalize(self, give_back, device if host is None else host)


class Handle(object):
    """A stream or an event; `value` is its handle."""

    def __init__(self, value, destroy):
        self.value = value
        self.free = weakref.finalize(self, destroy, value)
