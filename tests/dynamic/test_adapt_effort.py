"""`adapt --method effort` from a trained network to a bundle, on scikit-learn's digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from edgesynth.cli.main import run
from edgesynth.core.errors import UserError
from edgesynth.core.requirement import parse_requirements
from edgesynth.data.source import load_dataset
from edgesynth.dynamic.effort.layers import with_knobs
from edgesynth.dynamic.effort.settings import restore
from edgesynth.networks import edgenet
from edgesynth.operators.effort_reference import effort_conv, effort_map
from edgesynth.operators.nodes import attributes_of, is_operator
from edgesynth.tasks.pixels import to_input
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.adapt import EffortPlan, Wanted, adapt_effort
from edgesynth.workflows.check import check
from edgesynth.workflows.report import report
from edgesynth.workflows.train import train
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.samples import run_samples

WANTED = Wanted(max_loss=3.0, target="onnxruntime", batch=None)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent") / "lenet5.edgenet"
    train("lenet5:width=0.3", "digits", folder, plan=TrainingPlan(6, learning_rate=4e-3))
    return folder


@pytest.fixture(scope="module")
def adapted(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("adapted") / "out"
    plan = EffortPlan(trial_images=32)
    return out, adapt_effort(str(parent), "digits", out, plan=plan, wanted=WANTED)


def test_fewer_operations_at_a_bounded_loss(adapted: tuple[Path, dict[str, Any]]) -> None:
    _, document = adapted
    assert document["holds"] and document["validation"]["lost_points"] <= 3.0
    operations = document["test"]["operations"]
    assert operations["times_fewer"] > 1.2
    assert operations["effort"] == pytest.approx(sum(x["effort"] for x in document["layers"]))
    assert operations["dense"] == pytest.approx(sum(x["dense"] for x in document["layers"]))
    cost = document["cost"]
    assert cost["macs"] == operations["dense"] + cost["of_it_linear"]
    assert set(document["knobs"]) == {x["layer"] for x in document["layers"] if x["knobs"]}


def test_the_bundle_computes_what_was_tuned(
    parent: Path, adapted: tuple[Path, dict[str, Any]]
) -> None:
    out, document = adapted
    network = edgenet.load(parent)
    effort = with_knobs(network.module)
    restore(effort, document["knobs"])
    images = load_dataset("digits", seed=0).test.images(torch.arange(50).numpy())
    inputs = to_input(images, network.description.preprocessing)
    with torch.inference_mode():
        expected = effort.module(inputs)
    with open_bundle(out / "adapted.bundle") as bundle:
        runner = OnnxRuntimeRunner(bundle, threads=0)
        name = bundle.inputs[0]["name"]
        (found,) = run_samples(runner, {name: inputs.numpy()}, 50).values()
        kinds = {each["type"] for each in bundle.manifest["operators"]}
    assert kinds == {"EsEffortConv"}
    same = torch.isclose(torch.from_numpy(found), expected, rtol=1e-3, atol=1e-3).all(dim=1)
    assert same.float().mean() >= 0.96, "a decision at its limit may fall either way, rarely"


def test_the_files_operators_have_the_knobs(adapted: tuple[Path, dict[str, Any]]) -> None:
    out, document = adapted
    (path,) = (out / "adapted.bundle").glob("*.onnx")
    nodes = [node for node in onnx.load(path).graph.node if is_operator(node)]
    assert len(nodes) == len(document["knobs"])
    for node, knobs in zip(nodes, document["knobs"].values(), strict=True):
        attributes = attributes_of(node)
        assert attributes["channel_order"].tolist() == knobs["channel_order"]
        assert (attributes["saturation"] > 0) == ("SPET" in knobs)
        assert (attributes["sample_period"] > 1) == ("SDSS" in knobs)


def test_the_bundle_passes_its_check(adapted: tuple[Path, dict[str, Any]]) -> None:
    out, _ = adapted
    assert check(out / "adapted.bundle")["passed"]


def test_the_command_prints_what_it_found(parent: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["adapt", str(parent), "--method", "effort", "--data", "digits", "--max-loss", "2"]
    status = run([*words, "--target", "onnxruntime", "--out", str(tmp_path / "o"), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert status == (0 if document["holds"] else 1)
    assert document["schema"] == "edgesynth.effort/1"
    assert json.loads((tmp_path / "o" / "adaptation.json").read_text()) == document


def test_what_it_cannot_do_is_said(parent: Path, tmp_path: Path) -> None:
    wanted = Wanted(requirements=parse_requirements(["macs<=1M"]))
    with pytest.raises(UserError, match="takes no --require"):
        adapt_effort(str(parent), "digits", tmp_path / "o", plan=EffortPlan(), wanted=wanted)


def test_the_page_shows_where_layers_compute(
    adapted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, document = adapted
    assert len(document["maps"]) == 4
    for image in document["maps"]:
        assert {each["layer"] for each in image["layers"]} == set(document["knobs"])
        for each in image["layers"]:
            assert 0 <= each["share"] <= 1 and each["png"].startswith("iVBOR")
    page = (out / "report.html").read_text()
    assert "where layers compute" in page and "data:image/png" in page
    made = report([out], tmp_path / "page.html")
    assert made["adaptations"] == 1 and {"found", "maps"} <= set(made["sections"])
    both = report([out, out / "adaptation.json"], tmp_path / "both.html")
    assert both["adaptations"] == 2 and {"maps-1", "maps-2"} <= set(both["sections"])


def test_a_document_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adaptation.json").write_text('{"schema": "other"}')
    with pytest.raises(UserError, match="no adaptation that this edgesynth can read"):
        report([tmp_path], tmp_path / "page.html")


def test_maps_add_up_to_the_products(parent: Path, adapted: tuple[Path, dict[str, Any]]) -> None:
    _, document = adapted
    effort = with_knobs(edgenet.load(parent).module)
    restore(effort, document["knobs"])
    name = next(iter(document["knobs"]))
    module = effort.modules[name]
    x = torch.rand(2, module.layer.weights.shape[1], 8, 8)
    inputs = (x, torch.tensor([module.knobs.level], dtype=torch.int32))
    y, shares = effort_map(inputs, module.attributes)
    expected, counts = effort_conv(inputs, module.attributes)
    assert torch.equal(y, expected) and shares.shape == (2, *y.shape[2:])
    assert float(shares.mean()) == pytest.approx(counts.products / counts.dense)
