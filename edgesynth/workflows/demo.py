"""The whole way on LeNet-5 and Fashion-MNIST: train, evolve, export, check, measure, predict,
report."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.requirement import parse_requirements
from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.evolution import EvolutionPlan
from edgesynth.synthesis.genome import Genome
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.bench import bench
from edgesynth.workflows.check import check
from edgesynth.workflows.evolve import evolve
from edgesynth.workflows.export import export
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth.workflows.predict import predict
from edgesynth.workflows.report import report
from edgesynth.workflows.train import train

SCHEMA = "edgesynth.demo/1"
DATA = "fashion-mnist@12000"
TARGET = "jetpack-4.6"
DEVICES = ("tx1", "tx2")
REQUIREMENTS = ("accuracy_loss<=1.0", "params<=107k", "macs<=917k")
"""LeNet-5 has 431,080 parameters and 2,293,000 MACs: 4 and 2.5 times fewer."""
_MADE = ("parent.edgenet", "run", "parent.bundle", "child.bundle", "records", "report.html")


@dataclass(frozen=True)
class DemoPlan:
    """The demo's settings; the defaults take under 4 minutes on 2 cores."""

    data: str = DATA
    parent_epochs: int = 8
    generations: int = 5
    offspring: int = 2
    epochs: int = 5
    duration_s: float = 3.0
    seed: int = 0


def demo(
    out: Path,
    *,
    plan: DemoPlan | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Do the whole job in the folder `out` and return what came of it.

    Raises UserError when `out` holds something already, unless `force` (which replaces only what a
    demo makes).
    """
    plan, progress = plan or DemoPlan(), progress or Silent()
    started = time.monotonic()
    _make_room(out, force)
    progress.say(f"1/6 train LeNet-5 on {plan.data}")
    parent = out / "parent.edgenet"
    training = TrainingPlan(epochs=plan.parent_epochs)
    train("lenet5", plan.data, parent, plan=training, seed=plan.seed, progress=progress)
    progress.say("2/6 evolve until " + ", ".join(REQUIREMENTS))
    evolution = evolve(
        str(parent),
        plan.data,
        out / "run",
        plan=_evolution(plan),
        training=TrainingPlan(epochs=plan.epochs),
        progress=progress,
    )
    progress.say(f"3/6 export parent and child for {TARGET}")
    bundles = [out / "parent.bundle", out / "child.bundle"]
    for network, bundle in zip([parent, out / "run" / "best.edgenet"], bundles, strict=True):
        export(str(network), target=TARGET, out=bundle, progress=progress)
    progress.say("4/6 check the child against its target")
    checked = check(bundles[1], progress=progress)
    progress.say("5/6 measure both here in turns, predict both on " + " and ".join(DEVICES))
    records = out / "records"
    measuring = MeasuringPlan(duration_s=plan.duration_s, data=plan.data, seed=plan.seed)
    measured = bench(bundles, plan=measuring, out=records, progress=progress)["records"]
    predicted = [predict(bundle, DEVICES, out=records, progress=progress) for bundle in bundles]
    progress.say("6/6 report")
    page = out / "report.html"
    report([out], page, title="edgesynth demo: LeNet-5 on Fashion-MNIST", progress=progress)
    document = {
        "schema": SCHEMA,
        "folder": str(out),
        "report": str(page),
        "parent": _facts(evolution["ancestor"], measured[0], predicted[0]),
        "child": _facts(evolution["best"], measured[1], predicted[1]),
        "checks": checked["checks"],
        "seconds": round(time.monotonic() - started, 1),
    }
    return {**document, "claims": _claims(document, checked["passed"])}


def _evolution(plan: DemoPlan) -> EvolutionPlan:
    return EvolutionPlan(
        generations=plan.generations,
        offspring=plan.offspring,
        genome=Genome(parse_environment("synapses=0.6")),
        epochs=plan.epochs,
        requirements=parse_requirements(REQUIREMENTS),
        seed=plan.seed,
    )


def _make_room(out: Path, force: bool) -> None:
    found = [name for name in _MADE if (out / name).exists()]
    if found and not force:
        raise UserError(f"{out} holds a demo already; add --force to replace it")
    for name in found:
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made: {error.strerror}") from None


def _facts(
    counted: dict[str, Any], measured: dict[str, Any], predicted: list[dict[str, Any]]
) -> dict[str, Any]:
    """One network's figures; what is predicted says so in its name."""
    names = ("test_accuracy", "params", "macs", "synapses", "size_bytes")
    return {
        **{name: counted[name] for name in names},
        "measured_latency_p50_ms": measured["latency_ms"]["p50"],
        "measured_energy": measured["energy"],
        "predicted": [
            {
                "device": record["device"]["module"],
                "latency_mean_ms": record["latency_ms"]["mean"],
                "energy_mj": record["energy"].get("gross_mj"),
            }
            for record in predicted
        ],
    }


def _claims(document: dict[str, Any], passed: bool) -> list[dict[str, Any]]:
    """What the demo sets out to show, and whether it did."""
    parent, child = document["parent"], document["child"]
    loss = 100 * (parent["test_accuracy"] - child["test_accuracy"])
    latency = parent["measured_latency_p50_ms"] / child["measured_latency_p50_ms"]
    claims = [
        ("at most 1.0 point of test accuracy lost", loss <= 1.0, f"{loss:+.2f} points lost"),
        *(
            (f"at least {least} times fewer {name}", ratio >= least, f"{ratio:.2f} times")
            for name, least, ratio in (
                ("parameters", 4.0, parent["params"] / child["params"]),
                ("MACs", 2.5, parent["macs"] / child["macs"]),
            )
        ),
        (f"the bundle passes every check for {TARGET}", passed, "passed" if passed else "FAILED"),
        ("a lower p50 latency than the parent's, here", latency > 1, f"{latency:.2f} times faster"),
    ]
    return [{"claim": c, "holds": bool(h), "found": f} for c, h, f in claims]
