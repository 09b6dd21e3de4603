"""Synaptic precision: what each format costs in accuracy and saves in bytes.

Every seed trains one ancestor. Q1 trains it on, unsparsified, under every format for the same
epochs on the same batches. Q2 synthesizes `--steps` generations from it under every format,
constant from the first synthesis on. Accuracy is that of the test split; bytes are those of the
weights alone and with index and scales, against the float32 ancestor.

    OMP_NUM_THREADS=1 python benchmarks/precision/run.py --seeds 3 --data fashion-mnist@12000 \\
        --out benchmarks/results/precision.json
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from edgesynth.core.dataset import Dataset
from edgesynth.core.precision import FORMATS, FULL_PRECISION, PrecisionPolicy
from edgesynth.core.provenance import command_line, versions
from edgesynth.data.source import load_dataset
from edgesynth.networks.grid import storage_of
from edgesynth.networks.network import Network
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.heredity import live_synapses, synthesize
from edgesynth.synthesis.precision import PrecisionHook, as_parent, restrict
from edgesynth.tasks.classification import accuracy
from edgesynth.tasks.hooks import AfterStep
from edgesynth.tasks.training import TrainingPlan, train
from edgesynth.workflows.train import resolve_for
from edgesynth_rt.files import write_json

LIMITS = {"fp16": 0.5, "int8": 0.7, "int4": 1.5, "ternary": 2.5}
"""Points that Q1 may lose against float32, mean over seeds."""
RATIOS = {"fp16": 7.0, "int4": 25.0}
"""How many times fewer weight bytes than the ancestor Q2 reaches, losing at most 2 points."""


def main() -> None:
    """Run all seeds, print a table and write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="fashion-mnist@12000")
    parser.add_argument("--network", default="lenet5")
    parser.add_argument("--formats", default="fp32,fp16,int8,int4,int3,ternary")
    parser.add_argument("--parent-epochs", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--budget", type=float, default=0.5, help="Synapses kept by one step.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        rows.extend(run_seed(seed, options))
        write_json(options.out, document(rows, options))
    print(table(summary(rows)))


def run_seed(seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The ancestor's row, then one row per format of Q1 and one per format and step of Q2."""
    dataset = load_dataset(options.data, seed=seed)
    torch.manual_seed(seed)
    ancestor = resolve_for(options.network, dataset)
    teach(ancestor, dataset, FULL_PRECISION, options.parent_epochs, seed * 100)
    rows = [row(seed, "ancestor", "fp32", 0, ancestor, dataset)]
    for name in options.formats.split(","):
        policy = PrecisionPolicy(FORMATS[name])
        network = Network(copy.deepcopy(ancestor.module), ancestor.description)
        teach(network, dataset, policy, options.epochs, seed * 100 + 1)
        rows.append(row(seed, "Q1", name, 0, network, dataset))
        network = ancestor
        for step in range(1, options.steps + 1):
            environment = Environment("budget", options.budget)
            network = synthesize(as_parent(network, policy), environment, (seed, step))
            teach(network, dataset, policy, options.epochs, seed * 100 + step)
            rows.append(row(seed, "Q2", name, step, network, dataset))
    return rows


def teach(
    network: Network, dataset: Dataset, policy: PrecisionPolicy, epochs: int, seed: int
) -> None:
    """Train `network` under `policy` and leave it on its grid."""
    hooks = [PrecisionHook(network, policy), AfterStep(network.apply_masks)]
    preprocessing = network.description.preprocessing
    train(network.module, dataset, preprocessing, TrainingPlan(epochs), seed=seed, hooks=hooks)
    restrict(network, policy)


def row(
    seed: int, check: str, form: str, step: int, network: Network, dataset: Dataset
) -> dict[str, Any]:
    """What is known of one network."""
    storage = storage_of(network)
    found = {
        "seed": seed,
        "check": check,
        "format": form,
        "step": step,
        "test_accuracy": accuracy(network.module, dataset.test, network.description.preprocessing),
        "synapses": live_synapses(network),
        "quantized_zeros": storage.zeros,
        "weight_bytes": storage.weight_bytes,
        "weight_bytes_with_index": storage.bytes_with_index,
    }
    print(json.dumps(found), flush=True)
    return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds: points lost against float32 (Q1) or the ancestor (Q2), and ratios."""
    cases = dict.fromkeys((r["check"], r["format"], r["step"]) for r in rows)
    lines = []
    for check, form, step in cases:
        mine = mean(rows, check, form, step)
        against = (
            mean(rows, "Q1", "fp32", 0) if check == "Q1" else mean(rows, "ancestor", "fp32", 0)
        )
        ancestor = mean(rows, "ancestor", "fp32", 0)
        lines.append(
            {
                "check": check,
                "format": form,
                "step": step,
                "test_accuracy": mine["test_accuracy"],
                "drop_points": 100 * (against["test_accuracy"] - mine["test_accuracy"]),
                "synapses_ratio": ancestor["synapses"] / mine["synapses"],
                "quantized_zeros": mine["quantized_zeros"],
                "bytes_ratio": ancestor["weight_bytes"] / mine["weight_bytes"],
                "bytes_ratio_with_index": ancestor["weight_bytes_with_index"]
                / mine["weight_bytes_with_index"],
            }
        )
    return lines


def mean(rows: list[dict[str, Any]], check: str, form: str, step: int) -> dict[str, float]:
    """Every figure of one case, averaged over seeds."""
    mine = [r for r in rows if r["check"] == check and r["format"] == form and r["step"] == step]
    keys = [key for key in mine[0] if key not in ("seed", "check", "format", "step")]
    return {key: statistics.mean(r[key] for r in mine) for key in keys}


def verdicts(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks Q1 and Q2, each with what was found; Q2 takes the last step of a format."""
    last = {(line["check"], line["format"]): line for line in lines}
    found = []
    for form, limit in LIMITS.items():
        line = last.get(("Q1", form))
        if line:
            holds = line["drop_points"] <= limit
            found.append({"check": "Q1", "format": form, "limit_points": limit, "holds": holds})
    for form, ratio in RATIOS.items():
        line = last.get(("Q2", form))
        if line:
            holds = line["bytes_ratio"] >= ratio and line["drop_points"] <= 2
            found.append({"check": "Q2", "format": form, "least_ratio": ratio, "holds": holds})
    return found


def document(rows: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """The results with everything needed to repeat them."""
    lines = summary(rows)
    return {
        "schema": "edgesynth.benchmark/1",
        "benchmark": "precision",
        "command": command_line(),
        "settings": {key: value for key, value in vars(options).items() if key != "out"},
        "versions": versions("torch", "numpy"),
        "threads": torch.get_num_threads(),
        "rows": rows,
        "summary": lines,
        "verdicts": verdicts(lines),
    }


def table(lines: list[dict[str, Any]]) -> str:
    """The summary and the verdicts for a person."""
    head = "check     format   step  accuracy  drop pt  synapses x  bytes x  with index x  zeros"
    text = [head]
    for x in lines:
        text.append(
            f"{x['check']:<9} {x['format']:<8} {x['step']:>4}  {x['test_accuracy']:>8.4f}  "
            f"{x['drop_points']:>7.2f}  {x['synapses_ratio']:>10.2f}  {x['bytes_ratio']:>7.2f}  "
            f"{x['bytes_ratio_with_index']:>12.2f}  {x['quantized_zeros']:>5.0f}"
        )
    for each in verdicts(lines):
        text.append(f"{each['check']} {each['format']}: {'holds' if each['holds'] else 'FAILS'}")
    return "\n".join(text)


if __name__ == "__main__":
    main()
