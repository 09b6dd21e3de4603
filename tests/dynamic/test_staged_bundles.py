"""Bundles with every kind of gate, of untrained networks: files, operators, one file with Ifs."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import compose

from edgesynth.core.network import Exit, Preprocessing
from edgesynth.export.checks import check_policy, check_target
from edgesynth.export.onnx_file import serialize
from edgesynth.export.staged import INPUT, StagedCandidate, export_parts
from edgesynth.export.staged_bundle import write_staged_bundle
from edgesynth.export.switch import switch_model
from edgesynth.hardware.target import load_target
from edgesynth.networks import zoo
from edgesynth.networks.exits import ExitNetwork
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.policy import STOP, Node, Policy, chain, confidence, gate
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE

IDS = ["exit1", "exit2", "final"]
NAMES = [f"{name}_logits" for name in IDS]
WEIGHTS = tuple(np.linspace(2, -1, 10))
KINDS = ["maximum", "entropy", "margin", "linear"]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    module = zoo.build("lenet5", classes=10, in_channels=1, image=8, width=0.2)
    exits = [Exit("pool1", 0), Exit("pool2", 1, 4)]
    return ExitNetwork(module, exits, (1, 8, 8), 10).eval()


def candidate(network, target: str, batch: int | None, samples: int = 24) -> StagedCandidate:
    draw = np.random.default_rng(0)
    images = (3 * draw.standard_normal((samples, 1, 8, 8))).astype(np.float32)
    return StagedCandidate(
        name="tiny",
        stages=export_parts(network.parts(), IDS, images, load_target(target), batch),
        batch=batch,
        golden_inputs={INPUT: images},
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
        labels=(),
        accuracy={},
        cost={},
        parent=None,
    )


def middle(kind: str, logits: np.ndarray):
    """A gate that half of the samples pass, its threshold between two confidences."""
    found = np.sort(confidence(kind, logits, WEIGHTS, -0.4))
    half = len(found) // 2
    threshold = float(found[half - 1] + found[half]) / 2
    return gate(kind, threshold, WEIGHTS if kind == "linear" else None, -0.4)


def exits_policy(kind: str, outputs) -> Policy:
    return chain(IDS, NAMES, [middle(kind, outputs[name]) for name in NAMES[:2]])


def tree_policy(outputs) -> Policy:
    """The first stage asks either of the others, the second one the third."""
    first = middle("margin", outputs[NAMES[0]])
    always = gate("maximum", 0.0)
    return Policy(
        "cascade",
        IDS,
        [
            Node(0, NAMES[0], (STOP, 1, 2), (first, middle("entropy", outputs[NAMES[0]]), always)),
            Node(1, NAMES[1], (STOP, 2), (middle("maximum", outputs[NAMES[1]]),)),
            Node(2, NAMES[2], (STOP,), ()),
        ],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 4, None])
def test_operators_decide_as_the_policy(network, kind, batch, tmp_path):
    made = candidate(network, "jetpack-4.6", batch)
    policy = exits_policy(kind, made.golden_outputs)
    write_staged_bundle(made, policy, load_target("jetpack-4.6"), tmp_path / "b")
    with open_bundle(tmp_path / "b") as bundle:
        assert [stage.gate is not None for stage in bundle.stages] == [True, True, False]
        assert bundle.manifest["operators"] == [{"type": "EsExitGate", "version": "1"}]
        found = check_policy(bundle)
        assert found.status == "passed" and "2 exit-gate operators decide" in found.detail
        assert check_target(bundle).status == "passed", check_target(bundle).detail
        inputs, outputs = bundle.golden()
        answers = run_samples(OnnxRuntimeRunner(bundle), inputs, batch or 7)
        wanted = bundle.policy.simulate(outputs)
        assert np.array_equal(answers[STAGE], wanted.left) and set(wanted.left) == {0, 1, 2}


def test_a_kind_that_is_not_in_the_file_is_found(network, tmp_path):
    """Thresholds may be changed in the manifest; the kind of a gate stands in the file."""
    made = candidate(network, "jetpack-4.6", 1)
    policy = exits_policy("entropy", made.golden_outputs)
    write_staged_bundle(made, policy, load_target("jetpack-4.6"), tmp_path / "b")
    place = tmp_path / "b" / "manifest.json"
    manifest = json.loads(place.read_text())
    manifest["policy"]["nodes"][0]["gates"][0]["kind"] = "maximum"
    place.write_text(json.dumps(manifest))
    with open_bundle(tmp_path / "b") as bundle:
        found = check_policy(bundle)
    assert found.status == "failed" and "decides otherwise" in found.detail
    manifest["policy"]["nodes"][0]["gates"] = [policy.nodes[0].gates[0].document()]
    manifest["policy"]["nodes"][0]["gates"][0]["threshold"] *= 1.1
    place.write_text(json.dumps(manifest))
    with open_bundle(tmp_path / "b") as bundle:
        assert check_policy(bundle).status == "passed"


def test_for_onnx_runtime_the_host_decides(network, tmp_path):
    made = candidate(network, "onnxruntime", None)
    policy = exits_policy("margin", made.golden_outputs)
    write_staged_bundle(made, policy, load_target("onnxruntime"), tmp_path / "b")
    with open_bundle(tmp_path / "b") as bundle:
        assert bundle.manifest["operators"] == [] and bundle.stages[0].gate is None
        assert check_policy(bundle).status == "passed"


@pytest.mark.parametrize("kind", [*KINDS, "tree"])
def test_one_file_with_ifs_answers_as_the_stages_do(network, kind):
    made = candidate(network, "onnxruntime", 1)
    outputs = made.golden_outputs
    if kind == "tree":
        made = independent(made)
        policy = tree_policy(outputs)
    else:
        policy = exits_policy(kind, outputs)
    model = switch_model(made, policy)
    onnx.checker.check_model(model)
    weights = sum(len(stage.model.graph.initializer) for stage in made.stages)
    assert len(model.graph.initializer) == weights  # each once, however many ways lead to it
    session = onnxruntime.InferenceSession(serialize(model), providers=["CPUExecutionProvider"])
    wanted = policy.simulate(outputs)
    assert len(set(wanted.left)) == 3
    for k, image in enumerate(made.golden_inputs[INPUT]):
        logits, stage = session.run(["logits", "stage"], {INPUT: image[None]})
        assert stage.tolist() == [wanted.left[k]]
        assert np.allclose(logits[0], wanted.logits[k], atol=1e-4)


def independent(made: StagedCandidate) -> StagedCandidate:
    """The same answers by whole networks, as a cascade has them: every stage takes the image."""
    stages = [made.stages[0]]
    merged = compose.add_prefix(made.stages[0].model, "p0/")
    for number, stage in enumerate(made.stages[1:], start=1):
        own = compose.add_prefix(stage.model, f"p{number}/")
        links = []
        for name in stage.inputs:
            source = next(k for k in range(number) if name in made.stages[k].outputs)
            links.append((f"p{source}/{name}", f"p{number}/{name}"))
        merged = compose.merge_models(merged, own, links)
        whole = onnx.ModelProto()
        whole.CopyFrom(merged)
        last = f"p{number}/{stage.logits}"
        del whole.graph.output[:]
        whole.graph.output.extend([each for each in merged.graph.output if each.name == last])
        _rename(whole.graph, {"p0/input": INPUT, last: stage.logits})
        shape = made.golden_inputs
        stages.append(replace(stage, model=whole, inputs=dict(shape),
                              outputs={stage.logits: stage.outputs[stage.logits]}))  # fmt: skip
    return replace(made, stages=tuple(stages))


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(each, each) for each in node.input]
        node.output[:] = [names.get(each, each) for each in node.output]
