"""Runs whose synapses are restricted: schedule, grids, storage, resume, and bad options."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesynth.cli.main import run
from edgesynth.core.history import read_history
from edgesynth.networks import edgenet
from edgesynth.networks.grid import codes_of, storage_of

COMMON = ["--data", "digits", "--epochs", "1", "--quiet"]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parent") / "p.edgenet"
    assert run(["train", "lenet5", "--out", str(path), *COMMON]) == 0
    return path


def test_a_schedule_from_start_to_end(parent: Path, tmp_path: Path) -> None:
    options = ["--precision", "fp32,int8,int3", "--activation-bits", "8", "--generations", "3"]
    layers = list(edgenet.load(parent).module.state_dict())
    first = layers[0].removesuffix(".weight")
    command = ["evolve", str(parent), "--out", str(tmp_path / "kept"), *options, *COMMON]
    command += ["--keep-precision", first, "--require", "accuracy>=0.1"]
    assert run(command) == 0
    history = read_history(tmp_path / "kept" / "history.jsonl")
    assert [each.precision for each in history] == ["fp32", "int8", "int3"]
    for each in history:
        network = edgenet.load(tmp_path / "kept" / each.network)
        storage = storage_of(network)
        assert each.weight_bytes == storage.weight_bytes
        assert each.weight_bytes_with_index == storage.bytes_with_index
        assert each.quantized_zeros == storage.zeros
        precision = network.description.precision
        assert first not in precision.weights and first not in precision.activations
        assert set(precision.activations) == set(precision.weights)
        for name in precision.weights:
            codes_of(network, name)
    assert history[1].quantized_zeros > 0
    # half of what there was: what int3 makes zero is part of what the budget takes
    assert history[2].synapses == pytest.approx(0.5 * history[1].synapses, rel=0.02)
    assert history[0].weight_bytes and history[2].weight_bytes
    assert history[0].weight_bytes > 12 * history[2].weight_bytes
    assert run([*command, "--resume"]) == 0  # nothing to do, and nothing differs
    assert read_history(tmp_path / "kept" / "history.jsonl") == history


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "int5"], 'no weight format "int5"'),
        (["--precision", "int8,int4"], "write fp32,int8,int4"),
        (["--precision", "int4", "--keep-precision", "conv9"], 'no layer "conv9" to keep'),
        (["--precision", "int4", "--activation-bits", "6"], "6 bits run on no engine; use 8"),
        (["--activation-bits", "8"], "add --precision int8"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(
    parent: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    out = tmp_path / "run"
    assert run(["evolve", str(parent), "--out", str(out), *COMMON, *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_train_takes_one_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "a.edgenet")
    assert run(["train", "lenet5", "--out", out, *COMMON, "--precision", "fp32,int8"]) == 2
    assert "give one format, such as int8" in capsys.readouterr().err
    assert run(["train", "lenet5", "--out", out, *COMMON, "--precision", "ternary"]) == 0
    network = edgenet.load(Path(out))
    assert set(network.description.precision.weights.values()) == {"ternary"}
