"""Full-width detectors through the whole house: train, evolve, export, check, predict.

The training is a token: a few made-up street pictures in KITTI's format, a few steps. What is shown
is that networks of this size and input pass every step, NVIDIA's parser included, not how well they
detect.

    OMP_NUM_THREADS=1 python benchmarks/full_width_detectors/run.py --network detectnet \\
        --out benchmarks/results/full_width_detectnet.json
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgesynth.cli.main import run as edgesynth
from edgesynth.core.provenance import versions
from edgesynth_rt.files import write_json

SIZES = {"detectnet": "1248x384", "yolov2": "416x416"}
LABEL = "{} 0.00 0 0.00 {:.2f} {:.2f} {:.2f} {:.2f} 1.5 1.6 3.7 0.0 1.6 20.0 0.0\n"
KINDS = ("Car", "Pedestrian", "Cyclist")


def main() -> None:
    """Run every step as a user would and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=sorted(SIZES), required=True)
    parser.add_argument("--pictures", type=int, default=4, help="To train on, per epoch.")
    parser.add_argument("--generations", type=int, default=2, help="Without the ancestor.")
    parser.add_argument("--environment", default="synapses=0.5")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        steps = run(Path(folder), options)
    write_json(options.out, {"settings": settings(options), "steps": steps})


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    chosen = {name: value for name, value in vars(options).items() if name != "out"}
    return {**chosen, "size": SIZES[options.network], "versions": versions("torch", "onnx")}


def run(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All steps; the documents that the commands print, without their long parts."""
    write_pictures(folder / "kitti", options.pictures, np.random.default_rng(options.seed))
    data = f"kitti:{folder / 'kitti'},size={SIZES[options.network]}"
    token = ["--data", data, "--epochs", "1", "--batch", "2", "--learning-rate", "1e-4"]
    parent, child = folder / "parent.edgenet", folder / "run" / "best.edgenet"
    bundle = folder / "child.bundle"
    generations = ["--generations", str(1 + options.generations)]
    commands = [
        ["train", options.network, *token, "--out", str(parent)],
        ["evolve", str(parent), *token, *generations, "--environment", options.environment,
         "--require", "accuracy>=0", "--out", str(folder / "run")],
        ["export", str(child), "--target", "jetpack-4.6", "--out", str(bundle)],
        ["check", str(bundle), "--against", str(child)],
        ["predict", str(bundle), "--device", "tx1", "--device", "tx2"],
    ]  # fmt: skip
    return [step(command, folder) for command in commands]


def step(command: list[str], folder: Path) -> dict[str, Any]:
    """One command: how long it took, and its document."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # commands write bytes, too
    started = time.monotonic()
    with contextlib.redirect_stdout(printed):
        code = edgesynth([*command, "--json", "--quiet"])
    seconds = time.monotonic() - started
    printed.seek(0)
    text = printed.read()
    print(f"{command[0]}: exit {code}, {seconds:.0f} s", file=sys.stderr)
    if code:
        raise SystemExit(f"{' '.join(command)}: {text}")
    shown = [part.replace(str(folder), "DIR") for part in command]
    document = json.loads(text.replace(str(folder), "DIR"))
    return {"command": shown, "seconds": round(seconds, 1), "document": document}


def write_pictures(folder: Path, train: int, random: np.random.Generator) -> None:
    """KITTI's layout: grey streets with a light or dark block for every object."""
    names = {part: [f"{part}{i}" for i in range(n)] for part, n in
             (("train", train), ("val", 2), ("test", 2))}  # fmt: skip
    for made in ("training/image_2", "training/label_2", "ImageSets"):
        (folder / made).mkdir(parents=True)
    for part, stems in names.items():
        (folder / "ImageSets" / f"{part}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        for stem in stems:
            pixels = random.integers(90, 130, (375, 1242, 3), dtype=np.uint8)
            lines = ""
            for kind in KINDS:
                width, height = random.integers(40, 200), random.integers(40, 120)
                left, top = random.integers(0, 1242 - width), random.integers(100, 375 - height)
                pixels[top : top + height, left : left + width] = random.integers(0, 256, 3)
                lines += LABEL.format(kind, left, top, left + width, top + height)
            Image.fromarray(pixels).save(folder / "training/image_2" / f"{stem}.png")
            (folder / "training/label_2" / f"{stem}.txt").write_text(lines)


if __name__ == "__main__":
    main()
