"""Power of a desktop GPU: NVML's functions called in a compiled library of the same interface."""

import os
import shutil
import subprocess

import pytest

from edgesynth_rt import nvml
from edgesynth_rt.errors import MissingError
from edgesynth_rt.power_source import SourceAbsentError

SOURCE = os.path.join(os.path.dirname(__file__), "fake_nvml.c")
COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler for the fake NVML")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A function that makes the library answer as one kind of GPU; each test loads its own."""

    def make(kind):
        path = str(tmp_path / "libnvidia-ml.so.1")
        subprocess.check_call([COMPILER, "-shared", "-fPIC", "-o", path, SOURCE])
        # ctypes' library sees changes of the environment made through os.environ (putenv)
        monkeypatch.setenv("NVIDIA_FAKE", kind)
        return path

    return make


def clock(*seconds):
    return iter(seconds).__next__


@needs_compiler
def test_the_energy_counter_gives_the_mean_since_the_last_reading(library):
    source = nvml.open_source(library=library("counter"), clock=clock(0.0, 2.0, 7.0))
    assert source.interval_means and source.rails == source.total == ("GPU",)
    assert source.read() == {"GPU": pytest.approx(125000.0)}  # 250 J in 2 s
    assert source.read() == {"GPU": pytest.approx(50000.0)}  # 250 J in 5 s
    source.close()


@needs_compiler
def test_power_where_there_is_no_counter(library):
    source = nvml.open_source(library=library("power"))
    assert not source.interval_means
    assert source.read() == {"GPU": 61500.0}


@needs_compiler
def test_tegra_is_not_supported_and_never_zero(library):
    with pytest.raises(MissingError) as caught:
        nvml.open_source(library=library("tegra"))
    assert not isinstance(caught.value, SourceAbsentError)  # "auto" must not go on
    assert "Not Supported (3)" in str(caught.value) and "--power ina3221" in str(caught.value)


@needs_compiler
def test_no_such_gpu(library):
    with pytest.raises(MissingError, match="NVML does not give GPU 3: Invalid Argument"):
        nvml.open_source(library=library("counter"), device=3)


@needs_compiler
def test_a_gpu_that_is_lost(library):
    source = nvml.open_source(library=library("lost"))
    source.read()
    with pytest.raises(MissingError, match="GPU is lost"):
        source.read()


@needs_compiler
def test_a_library_without_driver_is_absent(library):
    with pytest.raises(SourceAbsentError, match="driver is not loaded"):
        nvml.open_source(library=library("nodriver"))


def test_no_library():
    with pytest.raises(SourceAbsentError, match="no libnvidia-ml-of-nobody"):
        nvml.open_source(library="libnvidia-ml-of-nobody.so")
