"""Detectors of reduced width on `fashion-detection`: how much smaller at how many points of mAP.

One ancestor is trained, then evolved by whole clusters. Beside the smallest network stands the
ancestor itself, and the ancestor trained on for as many epochs as the lineage had, since training
alone gains points on a data set that is made up without end.

    OMP_NUM_THREADS=1 python benchmarks/evolve_detectors/run.py --network yolov2 --folder yolo \\
        --data fashion-detection@6000 --epochs 3 --out benchmarks/results/evolve_yolov2.json
    OMP_NUM_THREADS=1 python benchmarks/evolve_detectors/run.py --network detectnet \\
        --folder detectnet --data fashion-detection@3000 --ancestor-epochs 6 --epochs 4 \\
        --out benchmarks/results/evolve_detectnet.json

Networks stay in --folder; what is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgesynth.core.provenance import versions
from edgesynth_rt.files import write_json

NETWORKS = {
    "yolov2": "yolov2:width=0.25,stride=16",
    "detectnet": "detectnet:width=0.5,batch_norm=true,lrn=false,coverage_loss=bce,dropout=0",
}


def main() -> None:
    """Train, evolve, train the ancestor on, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=sorted(NETWORKS), required=True)
    parser.add_argument("--data", default="fashion-detection@8000")
    parser.add_argument("--ancestor-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4, help="After each synthesis.")
    parser.add_argument("--generations", type=int, default=5, help="With the ancestor.")
    parser.add_argument("--environment", default="params=0.55:global")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    write_json(str(options.out), {"settings": settings(options), **run(options)})


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    chosen = {k: v for k, v in vars(options).items() if k not in ("folder", "out")}
    return {**chosen, "spec": NETWORKS[options.network], "versions": versions("torch", "numpy")}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The documents of all steps, and how much smaller each generation is."""
    training = ["--data", options.data, "--seed", str(options.seed)]
    training += ["--batch", str(options.batch), "--learning-rate", str(options.learning_rate)]
    parent, evolved = options.folder / "parent.edgenet", options.folder / "run"
    ancestor = train(NETWORKS[options.network], options.ancestor_epochs, training, parent)
    lineage = edgesynth(
        "evolve", parent, *training, "--epochs", options.epochs, "--out", evolved, "--resume",
        "--generations", options.generations, "--environment", options.environment,
        "--encoding", "cluster", "--pressure", 1000, "--require", "accuracy>=0",
    )  # fmt: skip
    more = options.epochs * (options.generations - 1)
    longer = train(parent, more, training, options.folder / "longer.edgenet")
    whole, best = lineage["ancestor"], lineage["best"]
    fewer = {key: whole[key] / best[key] for key in ("params", "macs", "synapses")}
    return {
        "fewer": fewer,
        "lost_points": 100 * (whole["test_accuracy"] - best["test_accuracy"]),
        "lost_points_against_longer": 100 * (longer["accuracy"]["test"] - best["test_accuracy"]),
        "ancestor": ancestor,
        "evolve": lineage,
        "ancestor_trained_on": longer,
        "history": [json.loads(line) for line in (evolved / "history.jsonl").open()],
    }


def train(network: str | Path, epochs: int, training: list[str], out: Path) -> dict[str, Any]:
    """Train `network` into `out`, unless it is there, and say how good it is on test data."""
    told = out.with_suffix(".json")
    if not told.exists():
        command = ["train", network, *training, "--epochs", epochs, "--out", out]
        found = edgesynth(*command, "--resume")
        write_json(str(told), found)
    document: dict[str, Any] = json.loads(told.read_text())
    return document


def edgesynth(*command: object) -> dict[str, Any]:
    """One command; its JSON document."""
    words = [sys.executable, "-m", "edgesynth.cli.main", *map(str, command), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=False)  # noqa: S603
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    main()
