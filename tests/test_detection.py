"""Detection from training to the record: one small YOLOv2 through every step."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesynth.core.dataset import Boxes, Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.history import read_run
from edgesynth.core.requirement import parse_requirements
from edgesynth.data.source import load_dataset
from edgesynth.networks import edgenet
from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.evolution import EvolutionPlan
from edgesynth.synthesis.genome import Genome
from edgesynth.tasks.detection import Detection, score_detections
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.bench import bench
from edgesynth.workflows.evolve import evolve
from edgesynth.workflows.export import export
from edgesynth.workflows.inspect import inspect
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth.workflows.report import report
from edgesynth.workflows.train import resolve_for, train
from edgesynth_rt.bundle import open_bundle

SPEC = "yolov2:width=0.0625,stride=8"
DATA = "test_detection:squares"


class Squares:
    """One bright square or one dark bar on grey, each its own class."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._pixels = rng.integers(100, 140, (count, 1, 32, 32), dtype=np.uint8)
        self._boxes = []
        for image in self._pixels[:, 0]:
            kind = int(rng.integers(2))
            width, height = ((10, 10), (20, 6))[kind]
            x, y = int(rng.integers(33 - width)), int(rng.integers(33 - height))
            image[y : y + height, x : x + width] = (250, 5)[kind]
            corners = np.array([[x, y, x + width, y + height]], np.float32)
            self._boxes.append(Boxes(corners, np.array([kind]), np.zeros(1, bool)))

    def __len__(self) -> int:
        return len(self._boxes)

    def images(self, indices: np.ndarray) -> np.ndarray:
        return self._pixels[indices]

    def boxes(self, indices: np.ndarray) -> list[Boxes]:
        return [self._boxes[index] for index in indices]


def squares() -> Dataset:
    """A data set, as users write their own."""
    return Dataset(
        name=DATA,
        input_shape=(1, 32, 32),
        classes=("square", "bar"),
        mean=(0.47,),
        std=(0.1,),
        train=Squares(192, 0),
        validation=Squares(32, 1),
        test=Squares(48, 2),
        task="detection",
    )


class Plain(Squares):
    """The same images for classification."""

    @property
    def labels(self) -> np.ndarray:
        return np.array([boxes.classes[0] for boxes in self._boxes])


def plain() -> Dataset:
    """A data set without boxes."""
    splits = {part: Plain(8, 0) for part in ("train", "validation", "test")}
    return dataclasses.replace(
        squares(), classes=tuple("0123456789"), task="classification", **splits
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("detection") / "parent.edgenet"
    plan = TrainingPlan(epochs=12, batch=8, learning_rate=1e-2)
    return folder, train(SPEC, DATA, folder, plan=plan)


def test_it_learns_to_find_them(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, document = trained
    assert document["metric"] == "mAP@0.5"
    assert document["accuracy"]["test"] > 0.75
    description = edgenet.read_description(folder)
    assert description.task == "detection"
    assert description.architecture.arguments["anchors"] == "1.25x1.25/2.5x0.75"


def test_the_bundle_scores_what_the_network_scores(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    export(str(trained[0]), out=tmp_path / "parent.bundle", target="jetpack-4.6")
    with open_bundle(tmp_path / "parent.bundle") as bundle:
        assert bundle.manifest["task"] == "detection"
        assert bundle.manifest["postprocessing"]["kind"] == "region"
        assert bundle.labels == ["square", "bar"]
    record = bench(
        [tmp_path / "parent.bundle"],
        plan=MeasuringPlan(duration_s=0.05, warm_up_ms=0, power="none", data=DATA),
        requirements=parse_requirements(["accuracy>=0.5"]),
        out=tmp_path / "parent.record.json",
    )
    accuracy = record["accuracy"]
    assert accuracy["metric"] == "mAP@0.5" and accuracy["n"] == accuracy["objects"] == 48
    assert accuracy["value"] == pytest.approx(trained[1]["accuracy"]["test"], abs=1e-3)
    assert set(accuracy["classes"]) == {"square", "bar"}
    assert record["requirements"][0]["holds"] is True
    report([tmp_path / "parent.record.json"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "mAP@0.5" in page and ">Accuracy<" not in page
    assert inspect(tmp_path / "parent.bundle")["task"] == "detection"


def test_it_evolves(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    document = evolve(
        str(trained[0]),
        DATA,
        tmp_path / "run",
        plan=EvolutionPlan(
            generations=2,
            offspring=1,
            genome=Genome(environment=parse_environment("synapses=0.6")),
            epochs=4,
            requirements=parse_requirements(["accuracy_loss<=60"]),
            seed=0,
        ),
        training=TrainingPlan(epochs=4, batch=8, learning_rate=5e-3),
    )
    assert document["metric"] == read_run(tmp_path / "run").metric == "mAP@0.5"
    assert document["best"]["params"] < 0.8 * document["ancestor"]["params"]
    assert document["best"]["test_accuracy"] > 0.4
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert all(0 <= json.loads(line)["accuracy"] <= 1 for line in lines)


def test_score_leaves_the_mode_and_counts_by_class() -> None:
    dataset = squares()
    torch.manual_seed(0)
    network = resolve_for(SPEC, dataset)
    network.module.train()
    found = score_detections(network.module, dataset.test, network.description.preprocessing)
    assert network.module.training
    assert found["images"] == 48 and [row["objects"] for row in found["classes"]] == [21, 27]
    assert Detection().score(network.module, dataset.test, network.description.preprocessing) < 0.5


@pytest.mark.parametrize(
    ("spec", "data", "says"),
    [
        ("lenet5", DATA, "LeNet5 is no detection network"),
        (
            SPEC,
            "test_detection:plain",
            r"does not fit .*: it gives \(2, 75, 4, 4",
        ),
    ],
)
def test_network_and_data_of_different_tasks(spec: str, data: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        resolve_for(spec, load_dataset(data, seed=0))
