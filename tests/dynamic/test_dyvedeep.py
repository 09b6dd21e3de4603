"""`reproduce dyvedeep` on digits: what runs, what is written, and what is judged."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.workflows.reproduce.dyvedeep import reproduce_dyvedeep, summary_of
from edgesynth.workflows.reproduce.dyvedeep_recipe import EffortRecipe, effort_recipe
from edgesynth.workflows.reproduce.dyvedeep_seed import (
    ALL,
    COMPRESSED,
    FOR_TIME,
    METHODS,
    ZEROS,
    EffortRow,
)

NETWORK = "lenet5:width=0.2"
RECIPE = EffortRecipe(
    networks=(NETWORK,),
    compressed=NETWORK,
    generations=2,
    ancestor_epochs=3,
    epochs=1,
    learning_rate=4e-3,
    max_loss=2.0,
    images=100,
    trial_images=16,
    clocked=2,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("dyvedeep") / "out"
    return out, reproduce_dyvedeep("digits", out, seeds=[0], recipe=RECIPE)


def test_every_network_gets_every_knob_and_none(done: tuple[Path, dict[str, Any]]) -> None:
    out, document = done
    assert list(document["subjects"]) == [NETWORK, COMPRESSED]
    for subject, found in document["subjects"].items():
        assert set(found["methods"]) == {ZEROS, *METHODS}, subject
        assert found["methods"][ZEROS]["times_fewer"]["mean"] == 1.0
        for method, each in found["methods"].items():
            assert each["times_fewer"]["low"] >= 1.0, (subject, method)
        assert found["methods"][ALL]["times_fewer"]["mean"] > 1.0
        assert sum(x["dense"] for x in found["layers"]) == found["of_it_convolutions"]["mean"]
        for exact in found["exact"]:
            assert exact["same_class"] == exact["images"]
            assert exact["of_operations"] < 1.05  # layers as small as these may cost looking
    checks = [each["check"] for each in document["checks"]]
    assert checks.count("saves") == checks.count("faster") == checks.count("whole") == 2
    page = (out / "report.html").read_text()
    assert "Scalar operations" in page and "Time on this processor" in page
    assert json.loads((out / "result.json").read_text()) == document


def test_the_compressed_network_is_smaller(done: tuple[Path, dict[str, Any]]) -> None:
    out, document = done
    assert (out / "networks/s0/compressed/evolution/best.edgenet/network.json").is_file()
    macs = [document["subjects"][each]["macs"]["mean"] for each in (NETWORK, COMPRESSED)]
    assert macs[1] <= macs[0]


def test_nothing_is_done_twice(done: tuple[Path, dict[str, Any]]) -> None:
    out, document = done
    before = {file: file.stat().st_mtime_ns for file in out.rglob("weights.safetensors")}
    again = reproduce_dyvedeep("digits", out, seeds=[0], recipe=RECIPE)
    assert again["rows"] == document["rows"]
    assert {file: file.stat().st_mtime_ns for file in out.rglob("weights.safetensors")} == before
    with pytest.raises(UserError, match="other settings"):
        reproduce_dyvedeep("digits", out, seeds=[0], recipe=dataclasses.replace(RECIPE, images=9))


def test_figures_are_means_of_seeds() -> None:
    def row(seed: int, lost: float, fewer: float) -> EffortRow:
        operations = {
            "dense": 100.0,
            "times_fewer": fewer,
            "times_fewer_zero_skipping_alone": 1.5,
            "times_fewer_with_zero_skipping": 2 * fewer,
        }
        return EffortRow(
            seed=seed, subject="n", method=ALL, macs=200, accuracy={"before": 0.9, "after": 0.9},
            lost_points=lost, operations=operations, layers={"c": {"dense": 100.0}},
            knobs={"c": {"channel_order": [0], "SPET": {}}} if seed else {},
        )  # fmt: skip

    rows = [row(0, 0.1, 1.0), row(1, 0.5, 2.0)]
    rows += [replaced(each, method=other) for each in rows for other in (ZEROS, FOR_TIME)]
    found = summary_of(rows)
    assert found["methods"][ALL]["lost_points"].mean == pytest.approx(0.3)
    assert found["methods"][ALL]["times_fewer_with_zero_skipping"].high == 4.0
    assert found["layers"] == [{"layer": "c", "knobs": {"SPET": 1}, "dense": 100.0}]
    assert found["clocks"][FOR_TIME] == {"why_not": "no knobs"}


def replaced(row: EffortRow, **changes: Any) -> EffortRow:
    return msgspec.structs.replace(row, **changes)


def test_the_recipe_takes_what_it_knows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert effort_recipe({"network": "lenet5"}).networks == ("lenet5",)
    assert effort_recipe({"network": "lenet5"}).compressed == ""
    assert effort_recipe({"compressed": "none", "epochs": "3"}).epochs == 3
    with pytest.raises(UserError, match="--stress means nothing"):
        effort_recipe({"stress": "cull"})
    words = ["reproduce", "stressednets", "--compressed", "x", "--out", str(tmp_path / "out")]
    assert run(words) == 2
    assert "--compressed means nothing to reproduce stressednets" in capsys.readouterr().err
