"""The folder that an adaptation leaves: bundle, network, what was found, and a page about it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesynth.core.dataset import Dataset, labelled
from edgesynth.core.errors import CheckError, UserError
from edgesynth.core.progress import Progress
from edgesynth.core.provenance import command_line, versions
from edgesynth.dynamic.answers import Answers, Point, judge
from edgesynth.dynamic.curve import Candidate, front, with_expectation
from edgesynth.export.onnx_file import serialize
from edgesynth.export.session import Session
from edgesynth.export.staged import StagedCandidate
from edgesynth.export.staged_bundle import write_staged_bundle
from edgesynth.export.switch import switch_model
from edgesynth.hardware.target import Target
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.report.adaptation import write_adaptation_page
from edgesynth.workflows.adapt.calibration import Calibrated
from edgesynth.workflows.adapt.examples import examples_of
from edgesynth.workflows.adapt.wanted import Wanted
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.evaluate import preprocessed
from edgesynth_rt.files import new_folder, write_bytes, write_json
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.policy import Policy
from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE

SCHEMA = "edgesynth.adaptation/1"
RESULT = "adaptation.json"
BUNDLE = "adapted.bundle"
NETWORK = "adapted.edgenet"
PAGE = "report.html"
SWITCH = "adapted-if.onnx"
_GOLDEN_SAMPLES, _GOLDEN_BYTES = 64, 4 << 20
_PIECE = 64
_SAME = 0.98
"""Of golden inputs; a confidence may lie on its threshold but for rounding."""


@dataclass(frozen=True)
class Adapted:
    """All that a method found, before it is written."""

    document: dict[str, Any]
    """What only this method knows."""
    found: Calibrated
    seen: Answers
    """On validation images."""
    test: Answers
    full: float
    """Cost of the network as it was."""
    candidate: StagedCandidate
    dataset: Dataset
    seed: int
    network: Network | None = None
    """With exits, to be kept; None for a cascade, whose networks are the user's own."""


def new_adaptation(out: Path, force: bool) -> Path:
    """`out`, when nothing else is lost there: absent, empty, or with `force` an adaptation."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not (out / RESULT).is_file():
            raise UserError(f"{out} exists and is no adaptation; choose another --out")
        if not force:
            raise UserError(f"{out} exists; choose another --out, or add --force to replace it")
    return out


def golden_samples(image: tuple[int, int, int], batch: int | None) -> int:
    """How many images a bundle with a policy is timed with: enough that the mix of exits tells,
    within some megabytes, and whole batches."""
    fitting = max(8, min(_GOLDEN_SAMPLES, _GOLDEN_BYTES // (4 * math.prod(image))))
    return -(-fitting // (batch or 1)) * (batch or 1)


def write_adapted(
    out: Path, result: Adapted, wanted: Wanted, target: Target, progress: Progress
) -> dict[str, Any]:
    """Write the folder `out` in one step and return the document of its `adaptation.json`."""
    policy = with_expectation(result.found.chosen, result.seen)
    achieved = judge(policy, result.test)
    expected = result.found.chosen.expected
    candidate = dataclasses.replace(
        result.candidate,
        accuracy={
            "validation": expected.accuracy,
            "test": achieved.accuracy,
            "data": result.dataset.name,
        },
    )
    with new_folder(out) as temporary:
        place = Path(temporary)
        if result.network is not None:
            edgenet.save(result.network, place / NETWORK)
        progress.say(f"writing {out / BUNDLE}")
        write_staged_bundle(
            candidate, policy, target, place / BUNDLE, command=command_line(), seed=result.seed
        )
        proofs = {
            "executed": _execute(place / BUNDLE, policy, result, progress),
            "switch": _switch(place, candidate, policy, out),
        }
        document = {
            **_facts(out, result, wanted),
            **_found(result, policy, achieved),
            **proofs,
            "examples": examples_of(
                policy.simulate(result.test.recorded()), result.dataset, result.test.stages
            ),
        }
        write_json(str(place / RESULT), document)
        write_adaptation_page(document, place / PAGE)
    return document


def _facts(out: Path, result: Adapted, wanted: Wanted) -> dict[str, Any]:
    """What was asked for, whether it holds, where things are and what they come from."""
    expected = result.found.chosen.expected
    return {
        "schema": SCHEMA,
        **result.document,
        "data": result.dataset.name,
        "bundle": str(out / BUNDLE),
        "network": str(out / NETWORK) if result.network is not None else None,
        "holds": result.found.holds,
        "max_loss_points": wanted.max_loss,
        "requirements": [
            each.judge(result.found.goal.measurements(expected)).document()
            for each in wanted.requirements
        ],
        "seed": result.seed,
        "command": command_line(),
        "versions": versions("torch", "numpy", "onnx", "onnxruntime"),
    }


def _switch(
    place: Path, candidate: StagedCandidate, policy: Policy, out: Path
) -> dict[str, Any] | None:
    """Write all stages as one file for ONNX Runtime and hold it against the policy on the golden
    inputs; None where the bundle has a larger batch.

    Raises CheckError when it answers otherwise.
    """
    if candidate.batch not in (None, 1):
        return None
    data = serialize(switch_model(candidate, policy))
    write_bytes(str(place / SWITCH), data)
    made = Session(data, SWITCH).run(candidate.golden_inputs, 1)
    wanted = policy.simulate(candidate.golden_outputs)
    same = (made[STAGE] == wanted.left) & (
        made["logits"].argmax(axis=1) == wanted.logits.argmax(axis=1)
    )
    if same.mean() < _SAME:
        raise CheckError(
            f"{SWITCH} answers otherwise than the stages for {int((~same).sum())} of {len(same)} "
            "golden inputs"
        )
    return {"file": str(out / SWITCH), "n": len(same), "same": int(same.sum())}


def _found(result: Adapted, policy: Policy, achieved: Point) -> dict[str, Any]:
    """Curves, bounds, and the chosen policy beside what it achieves on test images."""
    found, chosen = result.found, result.found.chosen
    reference = float(result.document["parent"]["accuracy"]["test"])
    return {
        "calibration": {
            "split": "validation",
            "n": len(result.seen),
            "reference": found.goal.reference,
        },
        "curves": {
            name: [_candidate(each) for each in front(curve)]
            for name, curve in found.curves.items()
        },
        "bounds": {
            "oracle": point_document(found.oracle),
            "chance": None if found.chance is None else point_document(found.chance),
        },
        "chosen": {
            **_candidate(chosen),
            "policy": policy.document(),
            "test": point_document(achieved),
            "lost_points": {
                "validation": 100 * (found.goal.reference - chosen.expected.accuracy),
                "test": 100 * (reference - achieved.accuracy),
            },
            "times_fewer": {
                "validation": result.full / chosen.expected.cost,
                "test": result.full / achieved.cost,
            },
        },
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    gates = [gate.kind for node in one.policy.nodes for gate in node.gates]
    return {
        "method": one.method,
        "penalty": one.penalty,
        "gates": gates,
        "expected": point_document(one.expected),
    }


def point_document(point: Point) -> Mapping[str, Any]:
    """A point as JSON data."""
    return dataclasses.asdict(point)


def _execute(folder: Path, policy: Policy, result: Adapted, progress: Progress) -> dict[str, Any]:
    """The bundle on all test images, for real in ONNX Runtime, beside the simulation in PyTorch."""
    split = result.dataset.test
    simulated = policy.simulate(result.test.recorded())
    answers, left = [], []
    with open_bundle(folder) as bundle:
        runner = OnnxRuntimeRunner(bundle, threads=0)
        name = bundle.outputs[0]["name"]
        with progress.track("execute all test images", len(split)) as task:
            for start in range(0, len(split), _PIECE):
                indices = np.arange(start, min(start + _PIECE, len(split)))
                inputs = preprocessed(bundle, split.images(indices))
                made = run_samples(runner, inputs, _PIECE)
                answers.append(made[name].argmax(axis=1))
                left.append(made[STAGE])
                task.advance(len(indices))
    classes, stages = np.concatenate(answers), np.concatenate(left)
    return {
        "backend": f"onnxruntime {runner.version}",
        "n": len(split),
        "same_exit": int((stages == simulated.left).sum()),
        "same_class": int((classes == simulated.logits.argmax(axis=1)).sum()),
        "accuracy": float((classes == labelled(split).labels).mean()),
    }
