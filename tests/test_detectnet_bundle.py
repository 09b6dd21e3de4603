"""DetectNet through synthesis, ONNX, NVIDIA's parser, and KITTI's evaluation."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from annotated_files import kitti_line, write_kitti
from edgesynth.cli.main import run
from edgesynth.core.dataset import Boxes
from edgesynth.core.network import Architecture, NetworkDescription, Preprocessing
from edgesynth.networks import edgenet
from edgesynth.networks.coverage_head import CoverageHead
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.shrink import mask_clusters, shrink
from edgesynth.workflows.export import export

SMALL = "detectnet:width=0.05,batch_norm=true,lrn=false"


def small(spec: str = SMALL) -> Network:
    torch.manual_seed(0)
    network = resolve(spec, input_shape=(1, 64, 96), classes=("a", "b", "c"))
    for layer in network.module.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as after training
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.bias, 0.0, 0.2)
    network.module.eval()
    return network


def half_dead(network: Network) -> tuple[Any, set[int]]:
    channels = trace_channels(network.module, network.example_input())
    rng = np.random.default_rng(0)
    dead: set[int] = set()
    for _, labels in channels.families():
        dead |= set(rng.choice(labels, len(labels) // 2, replace=False).tolist())
    return channels, dead


def test_both_outputs_of_the_shrunk_network_are_those_of_the_masked_one() -> None:
    parent = small()
    channels, dead = half_dead(parent)
    for head in ("coverage", "bboxes"):  # what reaches an output stays, on either of them
        assert set(channels.outputs[head].tolist()) <= channels.frozen
    child, masked = shrink(parent, channels, dead), mask_clusters(parent, channels, dead)
    assert child.module.coverage.in_channels < parent.module.coverage.in_channels
    assert child.module.coverage.in_channels == child.module.bboxes.in_channels
    x = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        found, expected = child.module(x), masked.module(x)
    assert list(found) == ["coverage", "bboxes"]
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-5, rtol=1e-4)


def test_local_response_normalization_freezes_the_stem_and_nothing_else() -> None:
    channels = trace_channels(small("detectnet:width=0.05").module, torch.zeros(1, 1, 64, 96))
    frozen = [name for name, labels in channels.outputs.items() if set(labels) & channels.frozen]
    assert frozen == ["stem.0", "stem.5", "coverage", "bboxes"]


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None,
    reason="tensorrt-rtx-cu12-bindings is not installed (pip install edgesynth[nvidia-parser])",
)
def test_a_shrunk_one_is_exported_and_nvidias_parser_takes_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parent = small("detectnet:width=0.05,clustering=group")
    child = shrink(parent, *half_dead(parent))
    edgenet.save(child, tmp_path / "child.edgenet")
    out = tmp_path / "child.bundle"
    export(str(tmp_path / "child.edgenet"), out=out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["task"] == "detection"
    assert manifest["postprocessing"] == {
        "kind": "coverage", "stride": 8, "classes": 3, "clustering": "group",
    }  # fmt: skip
    assert [each["name"] for each in manifest["stages"][0]["outputs"]] == ["coverage", "bboxes"]
    kinds = [node.op_type for node in onnx.load(str(out / "main.onnx")).graph.node]
    assert kinds.count("Sigmoid") == 1 and kinds.count("LRN") == 2
    command = ["check", str(out), "--against", str(tmp_path / "child.edgenet"), "--json"]
    assert run(command) == 0
    checks = json.loads(capfd.readouterr().out)["checks"]
    assert {check["name"]: check["status"] for check in checks}["nvidia-parser"] == "passed"


class Certain(nn.Module):
    """Says of every image that one car is there, where the truth is."""

    def __init__(self) -> None:
        super().__init__()
        self.head = CoverageHead(classes=3, stride=16)
        car = Boxes(np.array([CAR], np.float32), np.zeros(1, np.int64), np.zeros(1, bool))
        truth = self.head.ground_truth([car], 4, 8)
        self.register_buffer("where", truth.coverage)
        self.register_buffer("edges", truth.bboxes)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        nothing = 0 * x.mean((1, 2, 3), keepdim=True)
        return {"coverage": self.where + nothing, "bboxes": self.edges + nothing}


CAR = (10.0, 4.0, 90.0, 52.0)


def test_bench_gives_kittis_figures_beside_the_mean_average_precision(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Four cars, all found without a mistake: 3/40 by the kit, which reads precision at 40 recalls
    but takes no more thresholds than objects. One of them is hidden more than "easy" allows."""
    folder = tmp_path / "kitti"
    hidden = {"000": 0, "001": 0, "002": 1, "003": 0, "004": 0, "005": 0}
    labels = {name: [kitti_line("Car", CAR, 0, value)] for name, value in hidden.items()}
    write_kitti(folder / "training", labels, size=(128, 64))
    (folder / "ImageSets").mkdir()
    for part, names in (("train", ["004"]), ("val", ["005"]), ("test", [*labels][:4])):
        (folder / f"ImageSets/{part}.txt").write_text("".join(f"{name}\n" for name in names))
    description = NetworkDescription(
        name="certain",
        architecture=Architecture("factory:test_detectnet_bundle:Certain"),
        input_shape=(3, 64, 128),
        classes=("Car", "Pedestrian", "Cyclist"),
        preprocessing=Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3),
        task="detection",
    )
    out = tmp_path / "certain.bundle"
    export(Network(Certain(), description), out=out)
    data = f"kitti:{folder},size=128x64"
    quick = ["--duration", "0", "--warm-up", "1", "--iterations", "50"]
    record = tmp_path / "certain.record.json"
    command = ["bench", str(out), "--data", data, *quick, "--out", str(record)]
    assert run([*command, "--json"]) == 0
    accuracy = json.loads(capfd.readouterr().out)["accuracy"]
    assert (accuracy["value"], accuracy["metric"], accuracy["objects"]) == (1.0, "mAP@0.5", 4)
    kitti = accuracy["kitti"]
    assert kitti["classes"]["Car"] == pytest.approx(
        {"easy": 2 / 40, "moderate": 3 / 40, "hard": 3 / 40}
    )
    assert kitti["easy"] == pytest.approx(2 / 40)  # the mean over the classes that have objects
    assert kitti["classes"]["Cyclist"] == {"easy": None, "moderate": None, "hard": None}
    page = tmp_path / "report.html"
    assert run(["report", str(record), "--out", str(page)]) == 0
    assert "KITTI AP, moderate" in page.read_text()
