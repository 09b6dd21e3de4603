"""`edgesynth doctor` on this machine, on a board's files, and where something is really absent."""

import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgesynth.cli.main import run
from edgesynth.workflows.doctor import examine
from edgesynth.workflows.doctor_machine import Machine
from edgesynth.workflows.doctor_plugins import operator_places, usual_places
from edgesynth_rt.files import sha256_of
from kernel_builds import build

ROOT = Path(__file__).parents[1]
RELEASE_TX2 = (
    "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64, "
    "DATE: Sat Feb 19 17:05:08 UTC 2022\n"
)


def by_name(machine: Machine, **options) -> dict:
    return {c.name: c for c in examine(machine, **options).capabilities}


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def program(folder: Path, name: str, text: str = "exit 0") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def bare(root, tmp_path, monkeypatch):
    """A machine without any file or program of the system."""
    monkeypatch.setenv("EDGESYNTH_HOME", str(tmp_path / "cache"))
    return Machine(root=root, path=str(tmp_path / "bin"), plugins=list, operators=list)


def test_this_machine_has_what_the_tests_run_with(capsys):
    assert run(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "edgesynth.doctor/1"
    found = {c["name"]: c for c in document["capabilities"]}
    for name in ("torch", "onnx", "ONNX Runtime"):
        assert found[name]["status"] == "ok"
        assert found[name]["essential"]
    assert importlib.metadata.version("torch") in found["torch"]["detail"]
    assert "cpu" in found["ONNX Runtime"]["detail"]
    assert found["torch-pruning"]["status"] == "ok"


def test_the_build_of_torch_is_the_one_it_says_itself():
    import torch

    detail = by_name(Machine())["torch"].detail
    expected = "CPU build" if torch.version.cuda is None else f"CUDA {torch.version.cuda} build"
    assert expected in detail


def test_the_table_names_everything_and_how_to_add_it(capsys):
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    for capability in examine().capabilities:
        assert capability.name in text
        if capability.add:
            assert capability.add in text
        assert (capability.add is None) == (capability.status == "ok")


def test_nothing_of_the_system(bare):
    found = by_name(bare)
    system = ["TensorRT", "trtexec", "GPU", "Jetson", "tegrastats", "INA3221 rails"]
    for name in [*system, "data: fashion-mnist", "Chromium"]:
        assert found[name].status == "missing", name
        assert found[name].add
        assert not found[name].essential


@pytest.mark.parametrize("place", ["root/usr/share/datasets", "cache"])
def test_fashion_mnist_where_train_would_find_it(bare, tmp_path, place):
    folder = tmp_path / place / "fashion-mnist"
    kinds = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    write(folder, {f"{kind}-ubyte.gz": "" for kind in kinds})
    assert by_name(bare)["data: fashion-mnist"].detail == str(folder)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()  # three of the four are no data set
    assert by_name(bare)["data: fashion-mnist"].status == "missing"


def test_a_tx2_with_jetpack_4(root, tmp_path):
    rails = {"0-0040/iio:device0": ["VDD_SYS_GPU", "NC"], "0-0041/iio:device1": ["VDD_IN"]}
    write(
        root,
        {
            "etc/nv_tegra_release": RELEASE_TX2,
            "proc/device-tree/model": "quill\0",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.8.2.1": "",
            "usr/src/tensorrt/bin/trtexec": "",
        }
        | {
            f"sys/devices/i2c/{device}/rail_name_{n}": f"{rail}\n"
            for device, names in rails.items()
            for n, rail in enumerate(names)
        },
    )
    driver = root / "sys/bus/i2c/drivers/ina3221x"  # sysfs links from the driver to the device
    driver.mkdir(parents=True)
    for address in ("0-0040", "0-0041"):
        (driver / address).symlink_to(root / "sys/devices/i2c" / address)
    program(tmp_path / "bin", "tegrastats")
    found = by_name(Machine(root=root, path=str(tmp_path / "bin")))
    assert found["Jetson"].detail == "quill, L4T 32.7.1"
    assert found["INA3221 rails"].detail == "VDD_SYS_GPU, VDD_IN"
    assert "libnvinfer.so.8.2.1" in found["TensorRT"].detail
    assert found["trtexec"].detail == str(root / "usr/src/tensorrt/bin/trtexec")
    assert found["tegrastats"].detail == str(tmp_path / "bin" / "tegrastats")
    assert "Jetson" in found["GPU"].detail


def test_the_rails_of_an_orin_with_jetpack_5(root):
    hwmon = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon4"
    labels = {1: "VDD_GPU_SOC", 2: "VDD_CPU_CV", 3: "NC", 7: "sum of shunt voltages"}
    write(root, {f"{hwmon}/in{n}_label": f"{label}\n" for n, label in labels.items()})
    assert by_name(Machine(root=root))["INA3221 rails"].detail == "VDD_GPU_SOC, VDD_CPU_CV"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            "echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-8bd0a2e6)'\n"
            "echo 'GPU 1: Orin (nvgpu) (UUID: 54a5d6c2)'",
            "NVIDIA H100 80GB HBM3; Orin (nvgpu)",
        ),
        ("echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9", None),
        ("echo 'No devices were found'", None),
    ],
)
def test_a_gpu_counts_when_its_driver_answers(root, tmp_path, answer, detail):
    program(tmp_path / "bin", "nvidia-smi", answer)
    gpu = by_name(Machine(root=root, path=str(tmp_path / "bin")))["GPU"]
    assert gpu.status == ("ok" if detail else "missing")
    if detail:
        assert gpu.detail == detail


NEEDED = ["click", "rich", "msgspec", "markdown-it-py", "mdurl", "pygments"]


@pytest.fixture
def site(tmp_path):
    """The packages of a Python that has the command line and ONNX Runtime, no torch, no onnx."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in [*NEEDED, "typing-extensions", "onnxruntime"]:
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}
        for top in tops:
            (folder / top).symlink_to(Path(distribution.locate_file(top)))
    return folder


def doctor(site, *options):
    """The command in a Python whose packages are those of `site` alone (-S: no others)."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "edgesynth.cli.main", "doctor", *options],
        env=os.environ | {"PYTHONPATH": f"{site}:{ROOT}:{ROOT / 'deploy'}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_torch_it_ends_with_4_and_the_command(site):
    done = doctor(site, "--json")
    found = {c["name"]: c for c in json.loads(done.stdout)["capabilities"]}
    assert done.returncode == 4
    assert found["torch"]["status"] == found["onnx"]["status"] == "missing"
    assert found["ONNX Runtime"]["status"] == "ok"
    assert "pip install torch --index-url" in found["torch"]["add"]
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines] == ["torch", "onnx"]
    assert all("is missing; run: " in line for line in lines)


def test_a_package_that_cannot_be_imported_counts_as_missing_when_loaded(site):
    def onnxruntime(*options):
        capabilities = json.loads(doctor(site, "--json", *options).stdout)["capabilities"]
        return next(c for c in capabilities if c["name"] == "ONNX Runtime")

    assert onnxruntime("--load")["status"] == "ok"
    (site / "onnxruntime").unlink()
    write(site, {"onnxruntime/__init__.py": "import a_library_that_is_gone"})
    assert onnxruntime()["status"] == "ok"  # at a glance
    broken = onnxruntime("--load")
    assert broken["status"] == "missing"
    assert "No module named 'a_library_that_is_gone'" in broken["detail"]
    assert "pip install onnxruntime" in broken["add"]


def test_a_package_without_its_files_counts_as_missing(site):
    (site / "onnxruntime").unlink()
    found = {c["name"]: c for c in json.loads(doctor(site, "--json").stdout)["capabilities"]}
    assert found["ONNX Runtime"]["status"] == "missing"
    assert "its module onnxruntime is not there" in found["ONNX Runtime"]["detail"]


def test_the_document_is_what_its_schema_says():
    examination = examine()
    text = msgspec.json.encode(examination)
    assert msgspec.json.decode(text, type=type(examination)) == examination


@pytest.mark.timeout(1200)  # it may have to build the library
def test_the_plugin_library_says_what_it_holds(bare):
    path = build("host") / "libedgesynth_plugins_host.so"
    found = by_name(dataclasses.replace(bare, plugins=lambda: [path]))["plugin library"]
    assert found.status == "ok" and found.detail.startswith(f"{path}, sha256 ")
    assert sha256_of(path)[:12] in found.detail
    assert "EsExitGate" in found.detail and "no GPU runs it; TensorRT 10.14" in found.detail


def test_a_library_that_is_none_is_told_with_the_reason(bare, tmp_path):
    path = tmp_path / "libedgesynth_plugins.so"
    path.write_bytes(b"no library")
    found = by_name(dataclasses.replace(bare, plugins=lambda: [path]))["plugin library"]
    assert "does not load" in found.detail and "\n" not in found.detail


def test_the_library_is_looked_for_where_the_runtime_looks(bare, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESYNTH_PLUGINS", str(tmp_path / "mine.so"))
    assert usual_places()[0] == tmp_path / "mine.so"
    missing = by_name(bare)["plugin library"]
    assert missing.status == "missing" and "docker/build-plugins.sh kernels" in missing.add


def test_operators_for_the_processor_are_built_or_how_to_build_them(bare, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESYNTH_KERNELS", str(tmp_path))
    path = operator_places()[0]
    assert path.parent == tmp_path
    missing = by_name(bare)["CPU operators"]
    assert missing.status == "missing" and "--target edgesynth_kernels_cpu" in missing.add
    path.write_bytes(b"")
    found = by_name(dataclasses.replace(bare, operators=operator_places))["CPU operators"]
    assert (found.status, found.detail) == ("ok", str(path))
