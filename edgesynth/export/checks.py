"""The single checks of a bundle; each answers passed, failed, or why it was not checked."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from edgesynth.core.errors import EdgesynthError
from edgesynth.core.requirement import Requirement
from edgesynth.export.agreement import Agreement
from edgesynth.export.bundle import compare_golden
from edgesynth.export.findings import Finding
from edgesynth.export.nvidia_parser import nvidia_check
from edgesynth.export.onnx_file import opset_of
from edgesynth.export.rules import check_model, fatal
from edgesynth.hardware.target import load_target
from edgesynth_rt.bundle import Bundle
from edgesynth_rt.files import write_bytes
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.verify import run_every_sample

_CLOSE = 1e-5
"""Confidences closer to their threshold may fall to either side, by rounding."""
Status = Literal["passed", "failed", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `detail` may have several lines."""

    name: str
    status: Status
    detail: str
    extra: dict[str, Any] = field(default_factory=dict)
    """Figures behind the verdict, as JSON data."""

    def document(self) -> dict[str, Any]:
        """The check as JSON data."""
        return {"name": self.name, "status": self.status, "detail": self.detail, **self.extra}


def check_files(bundle: Bundle) -> Check:
    """Opening verified schema, paths and hashes; this says what is there."""
    size = sum(len(stage.read()) for stage in bundle.stages)
    stages = "1 stage" if len(bundle.stages) == 1 else f"{len(bundle.stages)} stages"
    return Check("files", "passed", f"manifest and hashes hold; {stages}, {size:,} bytes of ONNX")


def check_golden(bundle: Bundle, atol: float | None, rtol: float | None) -> Check:
    """Golden outputs in ONNX Runtime."""
    try:
        agreements = compare_golden(bundle, atol=atol, rtol=rtol)
    except EdgesynthError as error:
        return Check("onnxruntime", "failed", str(error))
    samples = bundle.manifest["golden"]["samples"]
    return compared("onnxruntime", agreements, f"{samples} golden samples")


def compared(name: str, agreements: list[Agreement], what: str) -> Check:
    """A check from the comparison of outputs; `what` says on which inputs."""
    passed = all(each.passed for each in agreements)
    lines = [what, *map(str, agreements)]
    extra = {"outputs": [each.document() for each in agreements]}
    return Check(name, "passed" if passed else "failed", "\n".join(lines), extra)


def check_policy(bundle: Bundle) -> Check:
    """Exit-gate operators decide for the golden inputs as the policy in the manifest does."""
    name = "policy"
    try:
        runner = OnnxRuntimeRunner(bundle, threads=0)
        inputs, _ = bundle.golden()
        made = run_every_sample(runner, inputs, batch=1)
    except EdgesynthError as error:
        return Check(name, "failed", str(error))
    wrong, gated = [], 0
    for stage, node in zip(bundle.stages, bundle.policy.nodes, strict=True):
        if stage.gate is None:
            continue
        gated += 1
        gate, logits = node.gates[0], made[node.logits]
        apart = np.abs(gate.confidence(logits) - np.float32(gate.threshold)) > _CLOSE
        differ = (made[stage.gate["exit"]] != 0) != gate.passes(logits)
        if (differ & apart).any():
            wrong.append(
                f"{stage.what}: its operator decides otherwise for sample "
                f"{int(np.flatnonzero(differ & apart)[0])}; only thresholds may be changed in a "
                "manifest, kinds and weights of gates are in the file"
            )
    if wrong:
        return Check(name, "failed", "\n".join(wrong))
    outcome = bundle.policy.simulate(made)
    left = ", ".join(f"{s} {100 * p:.0f} %" for s, p in bundle.policy.shares(outcome.left).items())
    operators = f"{gated} exit-gate operators decide as it does; " if gated else ""
    detail = f"{bundle.policy.kind}; {operators}golden samples leave at {left}"
    return Check(name, "passed", detail)


def check_target(bundle: Bundle) -> Check:
    """Opset, IR version, types, operators and their use against the bundle's target."""
    name = "target"
    try:
        target = load_target(bundle.manifest["target"])
    except EdgesynthError as error:
        return Check(name, "failed", str(error))
    findings: list[Finding] = []
    facts = []
    for stage in bundle.stages:
        try:
            model = onnx.load_from_string(stage.read())
            onnx.checker.check_model(model)
        except Exception as error:  # the checker and protobuf have no common error
            return Check(name, "failed", f"{stage.what}: {' '.join(str(error).split())[:300]}")
        size = f"{len(model.graph.node)} nodes"
        facts.append(f"opset {opset_of(model)}, IR {model.ir_version}, {size}")
        findings += check_model(model, target)
    extra = {"findings": [finding.document() for finding in findings]}
    if fatal(findings):
        return Check(name, "failed", "\n".join(map(str, findings)), extra)
    notes = [f"note: {finding}" for finding in findings]
    summary = f"{'; '.join(facts)}: all fit {target.reader} by its documented rules"
    return Check(name, "passed", "\n".join([summary, *notes]), extra)


def check_nvidia(bundle: Bundle) -> Check:
    """Every stage through NVIDIA's own parser and builder."""
    name = "nvidia-parser"
    target = bundle.manifest["target"]
    if target == "onnxruntime":
        return Check(name, "not checked", "the target is ONNX Runtime, not TensorRT")
    details = []
    for stage in bundle.stages:
        with tempfile.TemporaryDirectory(prefix="edgesynth-") as folder:
            path = Path(folder) / "stage.onnx"
            write_bytes(path, stage.read())
            verdict = nvidia_check(path)
        details.append(verdict.detail)
        if verdict.status != "passed":
            return Check(name, verdict.status, verdict.detail)
    return Check(name, "passed", "\n".join(details))


def check_requirement(bundle: Bundle, requirement: Requirement) -> Check:
    """A requirement on what the manifest states: accuracy (test before validation) and cost."""
    accuracy = bundle.manifest["accuracy"]
    stated = {
        **bundle.cost,
        "accuracy": accuracy.get("test", accuracy.get("validation")),
    }
    verdict = requirement.judge(stated)
    if verdict.holds is None:
        detail = f"the manifest does not state {requirement.key}, so it cannot be shown to hold"
    else:
        detail = f"{requirement.key} is {verdict.value:g} by the manifest"
    status: Status = "passed" if verdict.holds else "failed"
    extra = {"verdict": verdict.document()}
    return Check(f"require {requirement.text}", status, detail, extra)
