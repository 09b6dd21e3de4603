"""`reproduce precision`: synaptic precision restriction, arXiv:1707.00095."""

from __future__ import annotations

import statistics
from dataclasses import replace
from functools import partial
from typing import Any

from edgesynth.core.precision import FORMATS, PrecisionPolicy, PrecisionSchedule, parse_precision
from edgesynth.core.reproduction import ANCESTOR, Check
from edgesynth.networks.network import Network
from edgesynth.synthesis.heredity import synthesize
from edgesynth.synthesis.precision import as_parent
from edgesynth.synthesis.stress import parse_stress
from edgesynth.workflows.reproduce.baselines import magnitude
from edgesynth.workflows.reproduce.judging import BOARDS, PRECISIONS
from edgesynth.workflows.reproduce.paper import (
    Findings,
    Paper,
    Quote,
    at_least,
    smallest_at_equal_accuracy,
)
from edgesynth.workflows.reproduce.recipe import Recipe
from edgesynth.workflows.reproduce.rival import Rival, Scene

NAMES = ("fp32", "fp16", "int8", "int4", "ternary")
SCHEDULE = "fp32,fp16,int8,int4"
LIMITS = {"fp16": 0.5, "int8": 0.7, "int4": 1.5, "ternary": 2.5}
"""Points that unsparsified weights may lose against float32 trained as long."""
BYTES = {"fp16": 2.0, "int8": 4.0, "int4": 8.0}
"""How many times fewer bytes those have."""
COMBINED = {"fp16": 7.0, "int4": 25.0}
"""How many times fewer weight bytes evolution and the format reach together, losing 2 points."""


def rivals(recipe: Recipe) -> list[Rival]:
    """All rivals, each after the one that it follows."""
    schedules = {**{name: parse_precision(name) for name in NAMES}, "schedule":
                 parse_precision(SCHEDULE)}  # fmt: skip
    stress = parse_stress(recipe.own_stress)
    plain = [
        Rival(name=f"plain-{name}", kind="baseline", draw=lambda scene: scene.parent, last=2,
              precision=PrecisionPolicy(FORMATS[name]),
              says=f"the ancestor trained on with {name} weights, nothing culled")
        for name in NAMES
    ]  # fmt: skip
    evolved = [
        Rival(name=f"evolve-{name}", kind="edgesynth", genome=recipe.genome,
              draw=partial(_synthesize, recipe, schedule), precision=schedule.policy, stress=stress,
              says=f"evolution under stress {stress.text} with weights of {schedule.text}")
        for name, schedule in schedules.items()
    ]  # fmt: skip
    same_bytes = Rival(
        name="magnitude-fp32", kind="baseline", draw=magnitude, follows="evolve-int4",
        measure="weight_bytes", scale=1 / 4,
        says="torch's global L1 pruning, to evolve-int4's bytes",
    )  # fmt: skip
    return [
        *plain,
        *evolved,
        same_bytes,
        replace(
            same_bytes, name="magnitude-int4", measure="synapses", scale=1.0,
            precision=PrecisionPolicy(FORMATS["int4"]),
            says="the same with int4 weights, to evolve-int4's synapses",
        ),
    ]  # fmt: skip


def _synthesize(recipe: Recipe, schedule: PrecisionSchedule, scene: Scene) -> Network:
    """Survival is computed on the offspring's grid, where weights that become zero are dead."""
    parent = as_parent(scene.parent, schedule.policy(scene.generation))
    genome = recipe.genome(scene.generation)
    return synthesize([parent], genome, scene.seeds, whole=scene.parent)


def check(findings: Findings) -> list[Check]:
    """The figure asked of this project, then the checks Q1 and Q2."""
    return [
        at_least("int4 bytes", findings, "weight_bytes", 100, 1.0,
                 ("evolve-int4", "evolve-schedule")),
        smallest_at_equal_accuracy("equal accuracy, bytes", findings, "weight_bytes"),
        *(_unsparsified(findings, name, limit) for name, limit in LIMITS.items()),
        *(
            at_least(f"Q2 {name}", findings, "weight_bytes", times, 2.0, (f"evolve-{name}",))
            for name, times in COMBINED.items()
        ),
    ]  # fmt: skip


def _unsparsified(findings: Findings, name: str, limit: float) -> Check:
    times = BYTES.get(name)
    claim = f"Q1: unsparsified {name} at most {limit:g} points below fp32 trained as long"
    claim += f", {times:g} times fewer bytes" if times else ""
    own, full = findings.of(f"plain-{name}").get(2), findings.of("plain-fp32").get(2)
    if own is None or full is None:
        return Check(f"Q1 {name}", claim, None, f"plain-{name} and plain-fp32 were not both run")
    lost = 100 * (full.test_accuracy.mean - own.test_accuracy.mean)
    fewer = own.fewer["weight_bytes"].mean
    with_index = own.fewer["weight_bytes_with_index"].mean
    holds = lost <= limit and (times is None or fewer >= 0.99 * times)
    found = f"{lost:+.2f} points, {fewer:.2f} times fewer bytes ({with_index:.2f} with scales)"
    return Check(f"Q1 {name}", claim, holds, found)


def further(findings: Findings) -> dict[str, Any]:
    """{fp32, fp16} x {ancestor, child}: what precision gives, and what structure gives."""
    children = findings.of("evolve-fp16")
    if not children or not findings.of(ANCESTOR):
        return {"factors": []}
    last = max(children)
    table = []
    for who, rival, generation in (("ancestor", ANCESTOR, 1), ("child", "evolve-fp16", last)):
        rows = [r for r in findings.rows if (r.rival, r.generation) == (rival, generation)]
        for precision in PRECISIONS:
            table.append(
                {
                    "network": who,
                    "rival": rival,
                    "generation": generation,
                    "engine_precision": precision,
                    "test_accuracy": statistics.mean(row.test_accuracy for row in rows),
                    "predicted_latency_ms": {
                        board: statistics.mean(
                            row.predicted[board][precision]["latency_mean_ms"] for row in rows
                        )
                        for board in BOARDS
                    },
                }
            )
    return {"factors": table}


PAPER = Paper(
    name="precision",
    title="The impact of synaptic precision restrictions on evolutionary synthesis",
    arxiv="1707.00095",
    generations=8,
    rivals=rivals,
    quotes=(
        Quote("1707.00095", "Synaptic precision restriction", "GoogLeNet-based DetectNet",
              "not stated in the abstract", "not stated in the abstract",
              "about 10 times fewer synapses, more than 5 times faster, accuracy preserved",
              "another network and task than here"),
    ),
    measures=("weight_bytes",),
    check=check,
    further=further,
)  # fmt: skip
