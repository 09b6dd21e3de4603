"""Libraries of ours on this machine; the plugin library by what it says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edgesynth_rt.files import sha256_of
from edgesynth_rt.plugins import VARIABLE

_BUILD = Path(__file__).parents[2] / "build" / "kernels"
ADD = (
    "on a Jetson, in the repository: docker/build-plugins.sh kernels build/kernels/cuda 62, with "
    "its own number for 62"
)
ADD_OPERATORS = (
    "in the repository: cmake -S kernels -B build/kernels/host -DES_EMULATION=ON && "
    "cmake --build build/kernels/host --target edgesynth_kernels_cpu"
)
_ASK = (
    "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]); "
    "library.es_plugins_describe.restype = ctypes.c_char_p; "
    "print(library.es_plugins_describe().decode())"
)


def usual_places() -> list[Path]:
    """Where a plugin library may be: $EDGESYNTH_PLUGINS, then the build folder; tests' last."""
    named = os.environ.get(VARIABLE)
    built = [
        _BUILD / "cuda" / "libedgesynth_plugins.so",
        _BUILD / "host" / "libedgesynth_plugins_host.so",
    ]
    return [*([Path(named)] if named else []), *built]


def operator_places() -> list[Path]:
    """Where the operators for processors may be, as `operators.backends.native` looks for them."""
    named = os.environ.get("EDGESYNTH_KERNELS")
    folders = [*([Path(named)] if named else []), _BUILD / "host"]
    return [folder / "libedgesynth_kernels_cpu.so" for folder in folders]


def describe_plugins(path: Path) -> str:
    """Hash, creators and architectures of the library at `path`, or why it does not tell them.

    It is loaded in a process of its own, as it brings TensorRT's libraries along.
    """
    place = f"{path}, sha256 {sha256_of(path)[:12]}"
    command = [sys.executable, "-c", _ASK, str(path)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter; a library that the user named
            command, capture_output=True, text=True, timeout=60, check=False
        )
        told = json.loads(done.stdout)
        creators = ", ".join(told["creators"])
        built = f"TensorRT {told['tensorrt']}, {told['interface']}"
        return f"{place}: {creators}; for {_architectures(told['architectures'])}; {built}"
    except subprocess.TimeoutExpired:
        return f"{place}, which takes more than 60 s to load"
    except (ValueError, KeyError, TypeError, AttributeError):
        lines = done.stderr.strip().splitlines()
        return f"{place}, which does not load: {lines[-1] if lines else 'it says nothing'}"


def _architectures(text: str) -> str:
    """`53 62` as `sm_53 sm_62`; of emulated kernels, that no GPU runs them."""
    if text == "emulation":
        return "the tests of this repository, emulated: no GPU runs it"
    return " ".join(f"sm_{each}" if each.isdigit() else each for each in text.split())
