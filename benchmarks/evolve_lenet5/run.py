"""LeNet-5 on all of Fashion-MNIST: evolutionary synthesis beside torch-pruning, same training.

Every seed trains one parent. From it, three rivals take the same number of steps, each step
removing the same share of channels and training for the same epochs on the same batches:

- edgesynth: cluster-driven evolutionary synthesis, one offspring per generation
- magnitude: torch-pruning's MagnitudePruner (group magnitude), the peer
- random: torch-pruning's RandomImportance, the control

Command that made benchmarks/results/evolve_lenet5.json:

    OMP_NUM_THREADS=1 python benchmarks/evolve_lenet5/run.py --seeds 3 \\
        --out benchmarks/results/evolve_lenet5.json
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import torch_pruning as tp
from torch import nn

from edgesynth.core.network import Preprocessing
from edgesynth.core.provenance import command_line, versions
from edgesynth.data.source import load_dataset
from edgesynth.hardware.counting import count
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.tasks.classification import accuracy
from edgesynth.tasks.hooks import AfterStep
from edgesynth.tasks.training import TrainingPlan, train
from edgesynth_rt.files import write_json

SHAPE = (1, 28, 28)


def main() -> None:
    """Run all seeds, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--parent-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--budget", type=float, default=0.5, help="Synapses kept by one step.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        rows.extend(run_seed(seed, options))
        write_json(options.out, document(rows, options))
    print(table(rows))


def run_seed(seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One parent and its three rivals; one row per rival and step, the parent as step 0."""
    dataset = load_dataset(options.data, seed=seed)
    preprocessing = Preprocessing(mean=dataset.mean, std=dataset.std)
    torch.manual_seed(seed)
    parent = resolve("lenet5", classes=dataset.classes, preprocessing=preprocessing)

    def teach(module: nn.Module, epochs: int, step: int, after: Any = lambda: None) -> None:
        plan = TrainingPlan(epochs=epochs)
        train(
            module, dataset, preprocessing, plan, seed=seed * 100 + step, hooks=[AfterStep(after)]
        )

    def row(rival: str, step: int, network: Network, seconds: float) -> dict[str, Any]:
        cost = count(network.module, SHAPE)
        found = {
            "seed": seed,
            "rival": rival,
            "step": step,
            "test_accuracy": accuracy(network.module, dataset.test, preprocessing),
            "params": cost.params,
            "macs": cost.macs,
            "synapses": live_synapses(network),
            "seconds": round(seconds, 1),
        }
        print(json.dumps(found), flush=True)
        return found

    genome = Genome(Environment("synapses", options.budget))
    started = time.monotonic()
    teach(parent.module, options.parent_epochs, 0)
    rows = [row("parent", 0, parent, time.monotonic() - started)]
    for rival in ("edgesynth", "magnitude", "random"):
        network = parent
        for step in range(1, options.steps + 1):
            started = time.monotonic()
            if rival == "edgesynth":
                network = synthesize([network], genome, (seed, step))
            else:
                torch.manual_seed(seed * 100 + step)
                network = prune(network, rival, 1 - options.budget**0.5)
            teach(network.module, options.epochs, step, network.apply_masks)
            rows.append(row(rival, step, network, time.monotonic() - started))
    return rows


def prune(network: Network, rival: str, ratio: float) -> Network:
    """One step of torch-pruning: `ratio` of every layer's channels, the classifier left alone."""
    module = copy.deepcopy(network.module)
    criterion = {
        "magnitude": tp.importance.GroupMagnitudeImportance(p=2),
        "random": tp.importance.RandomImportance(),
    }[rival]
    classifier = [m for m in module.modules() if isinstance(m, nn.Linear)][-1]
    pruner = tp.pruner.BasePruner(
        module,
        network.example_input(),
        importance=criterion,
        pruning_ratio=ratio,
        ignored_layers=[classifier],
    )
    pruner.step()
    return Network(module, network.description)


def document(rows: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """The results with everything needed to repeat them."""
    settings = {k: v for k, v in vars(options).items() if k != "out"}
    made_with = versions("torch", "numpy", "torch-pruning")
    return {
        "schema": "edgesynth.benchmark/1",
        "benchmark": "evolve_lenet5",
        "command": command_line(),
        "settings": settings,
        "versions": made_with,
        "threads": torch.get_num_threads(),
        "rows": rows,
        "summary": summary(rows),
    }


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, and edgesynth's error beside the rival's at the same step."""
    parent = [r for r in rows if r["rival"] == "parent"]
    base = {key: statistics.mean(r[key] for r in parent) for key in ("params", "macs")}
    lines = []
    for rival in ("edgesynth", "magnitude", "random"):
        for step in sorted({r["step"] for r in rows if r["rival"] == rival}):
            mine = [r for r in rows if r["rival"] == rival and r["step"] == step]
            drops = [
                100 * (p["test_accuracy"] - r["test_accuracy"])
                for p, r in zip(parent, mine, strict=True)
            ]
            lines.append(
                {
                    "rival": rival,
                    "step": step,
                    "test_accuracy_mean": statistics.mean(r["test_accuracy"] for r in mine),
                    "drop_points_mean": statistics.mean(drops),
                    "drop_points_max": max(drops),
                    "params_ratio": base["params"] / statistics.mean(r["params"] for r in mine),
                    "macs_ratio": base["macs"] / statistics.mean(r["macs"] for r in mine),
                }
            )
    errors = {(x["rival"], x["step"]): 1 - x["test_accuracy_mean"] for x in lines}
    for line in lines:
        line["error_over_magnitude"] = errors[line["rival"], line["step"]] / errors.get(
            ("magnitude", line["step"]), float("nan")
        )
    return lines


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for a person."""
    head = f"{'rival':<10} step  accuracy   drop pt (max)  params x  MACs x  error / magnitude's"
    lines = [head]
    for x in summary(rows):
        lines.append(
            f"{x['rival']:<10} {x['step']:>4}  {x['test_accuracy_mean']:.4f}   "
            f"{x['drop_points_mean']:>6.2f} ({x['drop_points_max']:.2f})  "
            f"{x['params_ratio']:>8.2f}  {x['macs_ratio']:>6.2f}  {x['error_over_magnitude']:.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
