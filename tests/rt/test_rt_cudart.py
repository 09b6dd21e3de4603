"""CUDA through ctypes, against a C library with the runtime's own symbols."""

import ctypes
import gc
import subprocess
import sys

import host_gpu
import pytest

from edgesynth_rt import cudart
from edgesynth_rt.cudart import Cuda
from edgesynth_rt.errors import MissingError


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def control(library):
    found = host_gpu.control(library)
    yield found
    found.es_devices(1)
    found.es_runtime(10020)
    found.es_fail_next(0)


def test_the_device(library):
    device = Cuda(library).device()
    assert device == ("NVIDIA Tegra X2", (6, 2), True, 8 << 20, "10.2", "10.2")


@pytest.mark.parametrize("number, text", [(10020, "10.2"), (11040, "11.4"), (13000, "13.0")])
def test_versions(library, control, number, text):
    control.es_runtime(number)
    assert Cuda(library).device().runtime == text


@pytest.mark.parametrize("spin, flags", [(True, 1), (False, 4)])
def test_spin_or_sleep(library, control, spin, flags):
    Cuda(library, spin=spin)
    assert control.es_flags() == flags


def test_bytes_go_to_the_device_and_back(library):
    cuda = Cuda(library)
    stream = cuda.stream()
    source, target, device = cuda.host_alloc(5), cuda.host_alloc(5), cuda.malloc(5)
    ctypes.memmove(source.host, b"tegra", 5)
    cuda.to_device(device.device, source.host, 5, stream.value)
    cuda.to_host(target.host, device.device, 5, stream.value)
    cuda.synchronize(stream.value)
    assert ctypes.string_at(target.host, 5) == b"tegra"
    assert source.device == source.host  # the GPU addresses page-locked memory


def test_events_take_the_time(library):
    cuda = Cuda(library)
    stream, start, end = cuda.stream(), cuda.event(), cuda.event()
    with pytest.raises(MissingError, match="cudaEventSynchronize failed: unknown, error 600"):
        cuda.wait(end)
    cuda.record(start, stream.value)
    cuda.record(end, stream.value)
    cuda.wait(end)
    assert 0 <= cuda.elapsed_ms(start, end) < 1000
    assert cuda.elapsed_ms(end, start) <= 0


def test_everything_is_given_back(library, control):
    gc.collect()
    before = control.es_live()
    cuda = Cuda(library)
    held = [cuda.stream(), cuda.event(), cuda.malloc(8), cuda.host_alloc(8)]
    assert control.es_live() == before + 4
    held[2].free()
    assert control.es_live() == before + 3
    del held
    gc.collect()
    assert control.es_live() == before


def test_refusals(library, control):
    cuda = Cuda(library)
    control.es_fail_next(2)
    with pytest.raises(MissingError, match=r"GPU has no memory left .cudaMalloc.*--workspace"):
        cuda.malloc(1 << 20)
    control.es_fail_next(700)
    with pytest.raises(MissingError, match="CUDA call cudaMalloc failed: unknown, error 700"):
        cuda.malloc(1)
    for count in (0, -1):
        control.es_devices(count)
        with pytest.raises(MissingError, match=r"sees no GPU .*--runtime nvidia"):
            Cuda(library)


def test_a_newer_struct_is_asked_for_by_its_own_name(tmp_path, library):
    """CUDA 12 exports cudaGetDeviceProperties_v2 beside the old one."""
    source = tmp_path / "new.c"
    source.write_text(
        '#include "%s"\n'
        "int cudaGetDeviceProperties_v2(char *p, int device)\n"
        '{ memset(p, 0x5a, 1032); strcpy(p, "Orin"); return device; }\n' % host_gpu.SOURCE
    )
    path = str(tmp_path / "libcudart.so.12")
    subprocess.check_call(["gcc", "-shared", "-fPIC", "-o", path, str(source)])
    assert Cuda(path).device().name == "Orin"


def test_the_order_of_search(monkeypatch):
    tried = []

    def load(name, *_):
        tried.append(name)
        raise OSError("not here")

    monkeypatch.setattr(cudart.ctypes, "CDLL", load)
    with pytest.raises(MissingError, match="sudo apt install nvidia-cuda"):
        cudart.find_library()
    assert tried[:5] == [
        "libcudart.so",
        "libcudart.so.10.2",
        "libcudart.so.11.0",
        "libcudart.so.12",
        "libcudart.so.13",
    ]
    assert tried[5:] == ["/usr/local/cuda/lib64/" + name for name in tried[:5]]


def test_nothing_is_loaded_by_importing():
    script = "import edgesynth_rt.cudart, sys; print(sorted(m for m in sys.modules if 'cuda' in m))"
    assert subprocess.check_output([sys.executable, "-c", script]).split() == [
        b"['edgesynth_rt.cudart']"
    ]
