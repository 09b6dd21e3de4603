"""What this board is and has: the answer of `probe` (Python 3.6)."""

from edgesynth_rt import host
from edgesynth_rt.clocks import read_clocks
from edgesynth_rt.cudart import Cuda
from edgesynth_rt.errors import EdgesynthError
from edgesynth_rt.jetpack import jetpack_of
from edgesynth_rt.onnxruntime_runner import import_onnxruntime
from edgesynth_rt.power_source import find_source
from edgesynth_rt.rails import TITLES, recognise
from edgesynth_rt.sampler import find_tegrastats
from edgesynth_rt.tensorrt_api import import_tensorrt

SCHEMA = "edgesynth.probe/1"


def probe(root="/"):
    """Module, L4T, JetPack, TensorRT, CUDA, clocks, rails and what is missing, as one document.

    A part that is not here is {"missing": the reason and the remedy}.
    """
    device = host.device_facts(root)
    return {
        "schema": SCHEMA,
        "device": device,
        "jetpack": jetpack_of(device["l4t"]),
        "software": host.software_facts(root),
        "tensorrt": _or_missing(lambda: {"version": str(import_tensorrt().__version__)}),
        "cuda": _or_missing(_cuda),
        "onnxruntime": _or_missing(lambda: {"version": import_onnxruntime().__version__}),
        "clocks": read_clocks(root),
        "power": _or_missing(lambda: _power(device, root)),
        "tegrastats": _or_missing(lambda: {"path": find_tegrastats()}),
    }


def _cuda():
    device = Cuda().device()
    return {
        "gpu": device.name,
        "sm": "%d.%d" % device.sm,
        "integrated": device.integrated,
        "memory_bytes": device.memory_bytes,
        "runtime": device.runtime,
        "driver": device.driver,
    }


def _power(device, root):
    """The sensor of the board with its rails, read once."""
    source = find_source("auto", root, ("ina3221",) if device["module"] != host.HOST else ("rapl",))
    try:
        module = device["module"] if device["module"] in TITLES else None
        rule = None if source.total else recognise(source.rails, module).rule
        total = source.total or (rule.total if rule else None)
        return {
            "source": source.name,
            "rails_mw": source.read(),
            "total": list(total) if total else None,
        }
    finally:
        source.close()


def _or_missing(find):
    try:
        return find()
    except EdgesynthError as error:
        return {"missing": str(error)}
