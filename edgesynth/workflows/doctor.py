"""What this machine can do, and the command that adds what is missing.

Nothing heavy is imported: packages are looked up in their metadata, devices by the files under
`Machine.root`, programs on `Machine.path`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edgesynth import __version__
from edgesynth.workflows.doctor_machine import Machine
from edgesynth.workflows.doctor_plugins import ADD, ADD_OPERATORS, describe_plugins

SCHEMA = "edgesynth.doctor/1"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BROWSERS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that this machine can do, or that can be added to it."""

    name: str
    status: Literal["ok", "missing"]
    detail: str
    """What was found and where; or what cannot be done without it."""
    add: str | None = None
    """The command, or the step, that adds it; None where the status is ok."""
    essential: bool = False
    """True where no command of edgesynth works without it."""


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """All capabilities of one machine."""

    schema: str = SCHEMA
    capabilities: list[Capability]

    @property
    def missing_essentials(self) -> list[Capability]:
        """What has to be added before anything else works."""
        return [c for c in self.capabilities if c.essential and c.status == "missing"]


def examine(machine: Machine | None = None, *, load: bool = False) -> Examination:
    """Look at every capability of `machine` (default: this one).

    With `load`, every Python package found is also imported, each in a process of its own, and
    counts as missing when that fails; this takes seconds.
    """
    machine = machine or Machine()
    packages = [_examine_package(machine, load, package) for package in _PACKAGES]
    system = [check(machine) for check in _SYSTEM_CHECKS]
    return Examination(capabilities=[*_examine_ourselves(), *packages, *system])


def _capability(
    name: str, found: str | None, *, without: str, add: str, essential: bool = False
) -> Capability:
    """`found` says what is there; when it is empty, `without` says what cannot be done."""
    return Capability(
        name=name,
        status="ok" if found else "missing",
        detail=found or without,
        add=None if found else add,
        essential=essential,
    )


def _examine_ourselves() -> list[Capability]:
    python = f"{platform.python_version()} at {sys.executable}"
    edgesynth = f"{__version__} at {Path(__file__).parents[1]}"
    return [
        Capability(name="Python", status="ok", detail=python),
        Capability(name="edgesynth", status="ok", detail=edgesynth),
    ]


@dataclass(frozen=True)
class _Package:
    """A Python package that edgesynth uses: any of `distributions` brings `module`."""

    name: str
    module: str
    distributions: tuple[str, ...]
    without: str
    """What cannot be done when it is missing."""
    add: str
    """Arguments of `pip install`."""
    describe: Callable[[Path], str] = lambda folder: ""
    essential: bool = False


def _describe_torch(folder: Path) -> str:
    """The build, as torch's own `version.py` tells it, and the processors it may use."""
    match = re.search(r"^cuda\b.*= '([0-9.]+)'", _text(folder / "version.py"), re.MULTILINE)
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    build = f"CUDA {match[1]} build" if match else "CPU build"
    return f"{build}, {processors} processors, OMP_NUM_THREADS {threads}"


def _describe_onnxruntime(folder: Path) -> str:
    """Its execution providers: each but the CPU's is a library of its own."""
    libraries = sorted(folder.glob("capi/*onnxruntime_providers_*"))
    names = [re.sub(r".*providers_|\..*", "", library.name) for library in libraries]
    return "providers: " + ", ".join(["cpu", *(name for name in names if name != "shared")])


_PACKAGES = (
    _Package(
        name="torch",
        module="torch",
        distributions=("torch",),
        without="nothing can be trained, synthesized or exported",
        add=f"torch --index-url {TORCH_CPU_INDEX}",
        describe=_describe_torch,
        essential=True,
    ),
    _Package(
        name="onnx",
        module="onnx",
        distributions=("onnx",),
        without="nothing can be exported, checked or predicted",
        add="onnx",
        essential=True,
    ),
    _Package(
        name="ONNX Runtime",
        module="onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        without="nothing can be checked or measured on this machine",
        add="onnxruntime",
        describe=_describe_onnxruntime,
        essential=True,
    ),
    _Package(
        name="NVIDIA's parser",
        module="tensorrt_rtx_bindings",
        distributions=("tensorrt-rtx-cu12-libs",),  # the module comes in another: both are seen
        without="`check` cannot ask NVIDIA's own ONNX parser; it needs no GPU",
        add="tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs",
    ),
    _Package(
        name="data: digits",
        module="sklearn",
        distributions=("scikit-learn",),
        without="`--data digits` needs scikit-learn",
        add="scikit-learn",
    ),
    _Package(
        name="torch-pruning",
        module="torch_pruning",
        distributions=("torch-pruning",),
        without="only the benchmarks compare with it",
        add="torch-pruning",
    ),
)


def _examine_package(machine: Machine, load: bool, package: _Package) -> Capability:
    versions = [(name, machine.version_of(name)) for name in package.distributions]
    installed = "; ".join(f"{name} {version}" for name, version in versions if version)
    problem = package.without
    found = ""
    if installed:
        folder = _folder_of(package.module)
        if folder is None:
            problem = f"{installed}, but its module {package.module} is not there"
        elif load and (error := _loading_error(package.module)):
            problem = f"{installed}, but it cannot be imported: {error}"
        else:
            found = "; ".join(filter(None, [installed, package.describe(folder)]))
    add = _pip_install(package.add)
    return _capability(package.name, found, without=problem, add=add, essential=package.essential)


def _folder_of(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def _loading_error(module: str) -> str:
    """Why `module` cannot be imported, in one line; empty when it can."""
    command = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, a name from _PACKAGES
            command, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return "it takes more than 120 s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def _pip_install(arguments: str) -> str:
    """The command that installs into the Python that is running, as it would be typed here."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return f"{python} -m pip install {arguments}"


def _examine_tensorrt(machine: Machine) -> Capability:
    """TensorRT itself: the Python module of this Python, else the library of the system."""
    version = machine.version_of("tensorrt")
    libraries = machine.files("usr/lib/*/libnvinfer.so.*.*", "usr/local/lib/libnvinfer.so.*.*")
    found = [f"Python module {version}"] if version else []
    found += [f"{libraries[0]}, no Python module for this Python"] if libraries else []
    return _capability(
        "TensorRT",
        found[0] if found else None,
        without="no engines can be built here; bundles, checks and predictions do not need it",
        add="on a Jetson: sudo apt-get install nvidia-jetpack; beside a desktop GPU: "
        + _pip_install("tensorrt"),
    )


def _examine_plugins(machine: Machine) -> Capability:
    found = next((path for path in machine.plugins() if path.is_file()), None)
    return _capability(
        "plugin library",
        describe_plugins(found) if found else None,
        without="bundles with custom operators build only the functions' bodies, not the kernels",
        add=ADD,
    )


def _examine_operators(machine: Machine) -> Capability:
    built = [str(path) for path in machine.operators() if path.is_file()]
    return _capability(
        "CPU operators",
        next(iter(built), None),
        without="adapt --method effort runs the slow reference, and is not timed",
        add=ADD_OPERATORS,
    )


def _examine_trtexec(machine: Machine) -> Capability:
    unpacked = [str(file) for file in machine.files("usr/src/tensorrt/bin/trtexec")]
    return _capability(
        "trtexec",
        machine.program("trtexec") or next(iter(unpacked), None),
        without="NVIDIA's own benchmark cannot be run beside ours",
        add="on a Jetson: sudo apt-get install libnvinfer-bin",
    )


def _examine_gpu(machine: Machine) -> Capability:
    """A discrete GPU by its driver; a Jetson's own GPU counts where L4T is found."""
    program = machine.program("nvidia-smi")
    gpus = _nvidia_gpus(program) if program else []
    if not gpus and machine.files("etc/nv_tegra_release"):
        gpus = ["the Jetson's own, which shares the memory"]
    return _capability(
        "GPU",
        "; ".join(gpus),
        without="no NVIDIA GPU answers; training and ONNX Runtime use the processor",
        add="an NVIDIA GPU and its driver (the program nvidia-smi)",
    )


def _nvidia_gpus(program: str) -> list[str]:
    """Names of the GPUs that NVIDIA's driver answers for."""
    try:
        done = subprocess.run(  # noqa: S603 - the program that PATH names nvidia-smi
            [program, "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU \d+: (.+?)(?: \(UUID.*)?$", done.stdout, re.MULTILINE)


def _examine_jetson(machine: Machine) -> Capability:
    """L4T by the first line of its release file; the board by the device tree."""
    release = _text(machine.root / "etc/nv_tegra_release")
    match = re.search(r"R(\d+) \(release\), REVISION: ([0-9.]+)", release)
    board = _text(machine.root / "proc/device-tree/model").strip("\0\n") or "unknown board"
    return _capability(
        "Jetson",
        f"{board}, L4T {match[1]}.{match[2]}" if match else None,
        without="this is no Jetson (no /etc/nv_tegra_release)",
        add="`edgesynth predict` estimates one; to measure, run the bundle on a board",
    )


def _examine_tegrastats(machine: Machine) -> Capability:
    return _capability(
        "tegrastats",
        machine.program("tegrastats"),
        without="power cannot be read from it",
        add="part of L4T: it is on every Jetson",
    )


def _examine_power_rails(machine: Machine) -> Capability:
    """Rails of the INA3221 monitors: NVIDIA's driver of JetPack 3 and 4, mainline's since 5."""
    drivers = "sys/bus/i2c/drivers"
    labels = machine.files(
        f"{drivers}/ina3221x/*/iio*/rail_name_[0-2]",
        f"{drivers}/ina3221/*/hwmon/hwmon*/in[1-3]_label",
    )
    rails = [_text(label).strip() for label in labels]
    return _capability(
        "INA3221 rails",
        ", ".join(rail for rail in rails if rail not in ("", "NC")),
        without="energy is reported as not measured",
        add="power monitors of a Jetson's board: run the bundle there",
    )


def _examine_fashion_mnist(machine: Machine) -> Capability:
    """Debian's folder, or the cache that the first use fills."""
    try:  # the only import that needs more than the command line itself, so it may be broken
        from edgesynth.data.fashion_mnist import DEBIAN_FOLDER, FILES
        from edgesynth.data.fetch import cache_folder
    except ImportError:
        folders = []
    else:
        places = [machine.root / DEBIAN_FOLDER.relative_to("/"), cache_folder() / "fashion-mnist"]
        folders = [str(p) for p in places if all((p / file.name).is_file() for file in FILES)]
    return _capability(
        "data: fashion-mnist",
        folders[0] if folders else None,
        without="`--data fashion-mnist` fetches 30 MB when it is first used",
        add="sudo apt-get install dataset-fashion-mnist",
    )


def _examine_browser(machine: Machine) -> Capability:
    return _capability(
        "Chromium",
        machine.program(*BROWSERS),
        without="only the tests of the report use it",
        add="sudo apt-get install chromium",
    )


def _text(file: Path) -> str:
    """The text of a small system file; empty when it is not there or may not be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


_SYSTEM_CHECKS = (
    _examine_tensorrt,
    _examine_plugins,
    _examine_operators,
    _examine_trtexec,
    _examine_gpu,
    _examine_jetson,
    _examine_tegrastats,
    _examine_power_rails,
    _examine_fashion_mnist,
    _examine_browser,
)
