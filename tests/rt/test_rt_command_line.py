"""The runtime's command line as a board runs it: processes, one JSON document, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time

import boards
import fake_board
import host_gpu
import numpy as np
import pytest

import edgesynth_rt
from edgesynth_rt.labelled_images import write_images
from edgesynth_rt.record import read_record, read_times

HERE = os.path.dirname(os.path.abspath(__file__))
DEPLOY = os.path.dirname(os.path.dirname(os.path.abspath(edgesynth_rt.__file__)))
QUICK = ["--duration", "0", "--warm-up", "1", "--iterations", "50"]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return host_gpu.compile_cudart(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def bundle(tmp_path):
    return host_gpu.write_bundle(tmp_path / "x.bundle")


@pytest.fixture
def gpu(tmp_path, library):
    """The environment of a machine with TensorRT and a GPU; nothing else is different."""
    return {
        "PYTHONPATH": os.path.join(HERE, "stand_in"),
        "LD_LIBRARY_PATH": os.path.dirname(library),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def command(arguments, environment=None):
    """(command, environment) that run the runtime in a process of its own."""
    variables = dict(os.environ, **(environment or {}))
    paths = [DEPLOY, variables.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return [sys.executable, "-m", "edgesynth_rt"] + [str(item) for item in arguments], variables


def call(arguments, environment=None):
    """Exit code, the one document on standard output, standard error."""
    line, variables = command(arguments, environment)
    process = subprocess.Popen(
        line,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    out, err = process.communicate(timeout=120)
    err = err.decode("utf-8")
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out.decode("utf-8")), err


def test_probe_of_this_machine(gpu):
    code, document, _ = call(["probe"], gpu)
    assert code == 0 and document["schema"] == "edgesynth.probe/1"
    assert document["device"]["module"] == "host" and document["jetpack"] is None
    assert document["tensorrt"] == {"version": "8.2.1"}
    assert document["cuda"] == {
        "gpu": "NVIDIA Tegra X2", "sm": "6.2", "integrated": True, "memory_bytes": 8 << 20,
        "runtime": "10.2", "driver": "10.2",
    }  # fmt: skip
    assert "usr/bin/tegrastats" in document["tegrastats"].get("missing", "usr/bin/tegrastats")


def test_probe_of_a_board(tmp_path):
    root = fake_board.build(tmp_path)
    boards.write(root, "etc/nv_tegra_release", "# R32 (release), REVISION: 7.1, GCID: 1, BOARD: t")
    boards.write(root, "proc/device-tree/model", "quill\0")
    code, document, _ = call(["probe", "--root", root])
    assert code == 0
    assert document["device"]["module"] == "tx2" and document["device"]["l4t"] == "32.7.1"
    assert document["jetpack"] == "4.6.1" and document["device"]["power_mode"] == "MAXP_CORE_ARM"
    assert document["clocks"]["gpu"]["max_mhz"] == 1300.5
    assert "missing" in document["power"]


def test_verify(bundle, gpu):
    code, document, _ = call(["verify", bundle], gpu)
    assert code == 0 and document["backend"] == "tensorrt 8.2.1"
    assert document["golden"][0]["output"] == "logits" and document["golden"][0]["error"] == 0


def test_verify_without_a_backend(bundle):
    code, document, _ = call(["verify", bundle, "--backend", "none"])
    assert code == 0 and document["files"] == "whole"
    with open(os.path.join(bundle, "main.onnx"), "ab") as stream:
        stream.write(b"\0")
    code, document, err = call(["verify", bundle, "--backend", "none"])
    assert code == 2 and "was changed: its SHA-256 begins" in document["error"]
    assert document["schema"] == "edgesynth.error/1" and document["exit_code"] == 2
    assert err.count("\n") == 1 and document["error"] in err


@pytest.mark.parametrize("version", ["8.2.1", "10.3.0"])
def test_build_and_run(bundle, gpu, tmp_path, version):
    environment = dict(gpu, TENSORRT_VERSION=version)
    code, built, err = call(["build", bundle], environment)
    assert code == 0 and built["software"]["tensorrt"] == version
    assert not built["engines"][0]["cached"] and "building the engine" in err
    code, again, err = call(["build", bundle], environment)
    assert again["engines"][0]["cached"] and "building" not in err
    inputs = np.random.RandomState(5).uniform(-1, 1, (5, 2, 3, 3)).astype(np.float32)
    np.savez(str(tmp_path / "in.npz"), input=inputs)
    out = tmp_path / "out.npz"
    code, document, _ = call(
        ["run", bundle, "--inputs", tmp_path / "in.npz", "--out", out], environment
    )
    assert code == 0 and document["outputs"] == {"logits": [5, 4]}
    with np.load(str(out)) as arrays:
        assert np.array_equal(
            arrays["logits"], host_gpu.classify(None, {"input": inputs})["logits"]
        )


def test_a_wrong_engine(bundle, gpu):
    code, document, _ = call(["build", bundle], dict(gpu, TENSORRT_WRONG="1"))
    assert code == 1 and "these engines are not used" in document["error"]
    folder = os.path.join(gpu["XDG_CACHE_HOME"], "edgesynth", "engines")
    assert not [name for name in os.listdir(folder) if name.endswith(".engine")]


def test_bench(bundle, gpu, tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (30, 2, 3, 3)).astype(np.uint8)
    labels = np.arange(30) % 4
    write_images(str(tmp_path / "data.npz"), images, labels)
    out = tmp_path / "x.record.json"
    code, record, _ = call(
        ["bench", bundle, "--out", out, "--percentile", "75", "--data", tmp_path / "data.npz",
         "--data-name", "digits", "--power", "none", "--spin", "--mapped"] + QUICK, gpu,
    )  # fmt: skip
    assert code == 0 and record == read_record(out)
    assert record["kind"] == "measured" and record["backend"] == "tensorrt"
    assert record["precision"] == "fp32" and "p75" in record["latency_ms"]
    assert record["software"]["tensorrt"] == "8.2.1" and record["software"]["sm"] == "6.2"
    assert record["measurement"]["waiting"] == "spin"
    assert record["measurement"]["transfers"] == "none, mapped memory"
    parts = record["measurement"]["parts_ms"]
    assert parts["h2d"] is None and parts["compute"]["n"] == record["latency_ms"]["n"]
    assert record["accuracy"]["n"] == 30 and record["accuracy"]["data"] == "digits"
    assert record["energy"] == {"not_measured": "switched off with --power none"}
    assert len(read_times(out, record)) == record["latency_ms"]["n"]


def test_bench_of_trtexecs_parts(bundle, gpu, tmp_path):
    out = tmp_path / "x.record.json"
    code, record, _ = call(["bench", bundle, "--out", out, "--power", "none"] + QUICK, gpu)
    assert code == 0
    parts = record["measurement"]["parts_ms"]
    sums = sum(parts[name]["mean"] for name in ("h2d", "compute", "d2h"))
    assert record["latency_ms"]["mean"] == pytest.approx(sums, rel=1e-3)
    with open(str(tmp_path / record["raw"])) as stream:
        times = json.load(stream)
    assert set(times[0]) == {
        "startComputeMs", "endComputeMs", "enqueueMs", "h2dMs", "computeMs", "d2hMs", "latencyMs",
    }  # fmt: skip


def test_a_replayed_log_is_no_measurement(bundle, gpu, tmp_path):
    environment = dict(gpu, PATH=fake_board.BIN + os.pathsep + os.environ["PATH"])
    out = tmp_path / "x.record.json"
    code, record, _ = call(
        ["bench", bundle, "--power", "tegrastats", "--idle", "5", "--duration", "6", "--out", out],
        environment,
    )
    assert code == 0, record
    assert record["kind"] == "replayed" and record["energy"]["replayed"] is True
    assert record["energy"]["rail"] == "VDD_IN" and record["energy"]["source"] == "tegrastats"
    assert any("replayed log" in sentence for sentence in record["validity"])
    assert read_record(out)["energy"]["raw"] == "x.power.json"
    assert os.path.isfile(str(tmp_path / "x.power.json"))
    code, document, _ = call(["power", "--power", "tegrastats", "--duration", "1"], environment)
    assert code == 0 and document["kind"] == "replayed"
    assert document["board"]["rails"] == ["VDD_IN"] and document["board"]["mean_mw"] > 0


def test_too_short_for_energy(bundle, gpu):
    environment = dict(gpu, PATH=fake_board.BIN + os.pathsep + os.environ["PATH"])
    code, document, _ = call(
        ["bench", bundle, "--power", "tegrastats", "--idle", "0", "--duration", "1"], environment
    )
    assert code == 5 and "independent samples" in document["error"]


@pytest.mark.parametrize("arguments, code, said", [
    ([], 2, "COMMAND"),
    (["bench"], 2, "BUNDLE"),
    (["fly"], 2, "invalid choice: 'fly'"),
    (["bench", "gone.bundle"], 2, "there is no bundle at gone.bundle"),
    (["bench", "BUNDLE", "--duration", "-1"], 2, "-1 is not a number from 0 to 86400"),
    (["bench", "BUNDLE", "--percentile", "101"], 2, "101 is no list of percentiles"),
    (["bench", "BUNDLE", "--until-ci", "2"], 2, "2 is no share such as 2% or 0.02"),
    (["bench", "BUNDLE", "--precision", "int8"], 2, "INT8 is refused on this GPU (sm_62)"),
    (["bench", "BUNDLE", "--batch", "3"], 2, "fixed batch of 1, not 3"),
    (["bench", "BUNDLE", "--data", "gone.npz"], 2, "gone.npz cannot be read"),
    (["bench", "BUNDLE", "--plugins", "gone.so"], 4, "no plugin library at"),
    (["bench", "BUNDLE", "--power", "ina3221"], 4, "INA3221"),
    (["bench", "BUNDLE", "--lock-clocks"], 4, "jetson_clocks"),
    (["run", "BUNDLE", "--inputs", "BUNDLE/golden.npz", "--out", "x"], 2, "does not hold the inp"),
])  # fmt: skip
def test_wrong_usage(bundle, gpu, arguments, code, said):
    arguments = [argument.replace("BUNDLE", bundle) for argument in arguments]
    found, document, err = call(arguments, gpu)
    assert (found, document["exit_code"]) == (code, code)
    assert said in document["error"] and err.endswith(document["error"] + "\n")


def test_without_anything(bundle):
    for arguments in (["build", bundle], ["bench", bundle, "--backend", "tensorrt"]):
        code, document, _ = call(arguments)
        assert (
            code == 4 and "TensorRT's Python module is not here: on a Jetson" in document["error"]
        )


def test_interrupted(bundle, gpu):
    line, variables = command(["bench", bundle, "--power", "none", "--duration", "60"], gpu)
    process = subprocess.Popen(
        line, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    for talk in iter(process.stderr.readline, b""):
        if b"measuring" in talk:
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and b"Traceback" not in err
    assert json.loads(out.decode("utf-8"))["exit_code"] == 130
