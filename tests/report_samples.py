"""Writes a run and records that look like real ones: figures computed from simple laws.

Synapses shrink by the budget of each generation, accuracy falls with the logarithm of what is
left, latencies have a floor and a tail, predictions are a textbook roofline.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from edgesynth.core.history import SCHEMA, Offspring, Run, read_history
from edgesynth_rt import measure, record

PARENT = (431_080, 2_293_000)
"""Parameters and MACs of LeNet-5 (Caffe variant)."""


def offspring_of(generation: int, index: int, parent: Offspring | None, seed: int = 0) -> Offspring:
    """The offspring that the laws give: each generation keeps about half of its parent."""
    if parent is None:
        params, macs, birth, accuracy = *PARENT, None, 0.9105
    else:
        draw = np.random.default_rng((seed, generation, index))
        kept = 0.5 * float(draw.uniform(0.85, 1.2))
        params, macs = int(parent.params * kept), int(parent.macs * kept**0.72)
        lost = 0.0011 * math.log2(PARENT[0] / params) ** 2 + 0.002 * float(draw.uniform(-1, 1))
        accuracy = round(0.9105 - lost, 4)
        birth = round(accuracy * float(draw.uniform(0.55, 0.9)), 4)
    identity = "g01-0" if parent is None else f"g{generation:02d}-{index}"
    return Offspring(
        schema=SCHEMA,
        id=identity,
        generation=generation,
        parent=parent.id if parent else None,
        seed=seed,
        synapses=int(params * 0.97),
        clusters=int(580 * math.sqrt(params / PARENT[0])),
        params=params,
        macs=macs,
        size_bytes=4 * params,
        accuracy_at_birth=birth,
        accuracy=accuracy,
        epochs=0 if parent is None else 3,
        seconds=0.0 if parent is None else round(2e-5 * macs + 4, 3),
        network=f"networks/{identity}.edgenet",
        requirements=[
            {"requirement": "accuracy_loss<=1", "key": "accuracy_loss_points", "limit": 1.0,
             "value": round((0.9105 - accuracy) * 100, 6), "holds": 0.9105 - accuracy <= 0.01},
            {"requirement": "params<=43k", "key": "params", "limit": 43000.0,
             "value": params, "holds": params <= 43000},
        ],
    )  # fmt: skip


def write_run(folder: Path, *, generations: int = 6, litter: int = 4, seed: int = 0) -> Run:
    """A finished run in `folder`: `run.json` and `history.jsonl`; returns what `run.json` says."""
    folder.mkdir(parents=True, exist_ok=True)
    history = [offspring_of(1, 0, None, seed)]
    selected = [history[0]]
    for generation in range(2, generations + 1):
        children = [offspring_of(generation, i, selected[-1], seed) for i in range(1, litter + 1)]
        history += children
        selected.append(max(children, key=lambda one: (one.accuracy, -one.macs)))
    kept = [one for one in history if one.accuracy >= history[0].accuracy - 0.01]
    best = min(kept, key=lambda one: one.macs)
    run = Run(
        status="finished",
        stopped=f"all {generations} generations are done",
        command="edgesynth evolve parent.edgenet --data fashion-mnist --out run --offspring 4",
        plan={"generations": generations, "offspring": litter, "environment": "synapses=0.5",
              "requirements": ["accuracy_loss<=1", "params<=43k"], "seed": seed,
              "training": {"epochs": 3, "batch": 64, "learning_rate": 0.002}},
        parent="lenet5",
        parent_sha256="6" * 64,
        data="fashion-mnist",
        versions={"python": "3.11.7", "edgesynth": "0.1.0", "torch": "2.13.0+cpu"},
        selected=[one.id for one in selected],
        best=best.id,
        test_accuracy={"g01-0": 0.9061, best.id: round(best.accuracy - 0.0048, 4)},
    )  # fmt: skip
    lines = [msgspec.json.encode(one) for one in history]
    (folder / "history.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (folder / "run.json").write_bytes(msgspec.json.encode(run))
    return run


def latencies_ms(macs: float, n: int = 1500, seed: int = 0) -> np.ndarray:
    """A floor that grows with the MACs, small noise, and now and then a slow one."""
    draw = np.random.default_rng((seed, int(macs)))
    typical = 0.018 + macs * 4.6e-8
    noise = draw.gamma(2.0, typical * 0.02, n)
    slow = (draw.uniform(size=n) < 0.015) * draw.exponential(typical * 0.9, n)
    return np.asarray(typical + noise + slow)


def write_measured(
    path: Path,
    *,
    name: str,
    params: int,
    macs: int,
    accuracy: float,
    raw: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    """A measured record as `edgesynth bench` writes it on a host, its latencies beside it."""
    latency = latencies_ms(macs)
    series = measure.Series()
    for start, taken in zip(np.cumsum(latency) - latency, latency, strict=True):
        series.add(start, taken)
    tensor = {"name": "input", "dtype": "float32", "shape": [1, 1, 28, 28]}
    bundle = SimpleNamespace(
        name=name,
        id=f"{params:064x}",
        stages=[SimpleNamespace(inputs=[tensor])],
        cost={"params": params, "macs": macs, "size_bytes": 4 * params},
    )
    document = record.measured(
        bundle,
        series,
        1,
        "onnxruntime",
        {"module": "host", "model": None, "l4t": None, "power_mode": None, "clocks": None,
         "cpu": {"model": "Xeon", "architecture": "x86_64", "cores": 2, "governor": None},
         "load_average": 0.2},
        {"edgesynth": "0.1.0", "python": "3.11.7", "onnxruntime": "1.31.1"},
        {"not_measured": "this machine has no power source that a process may read"},
        {"value": accuracy, "n": 10000, "data": "fashion-mnist", "split": "test"},
        {"warm_up_ms": 200.0, "duration_s": 3.0, "iterations": 10, "threads": 1},
        command=f"edgesynth bench {name}.bundle --data fashion-mnist",
    )  # fmt: skip
    document.update(changes)
    document["created"] = "2026-11-21T08:00:00Z"
    path.parent.mkdir(parents=True, exist_ok=True)
    return record.write_record(path, document, series if raw else None)


_BOARDS = {"tx1": (512e9, 25.6e9, 9.0), "tx2": (665e9, 59.7e9, 7.5)}
"""fp32 FLOP/s, bytes/s, W: enough for a textbook roofline."""


def write_predicted(
    path: Path, *, name: str, params: int, macs: int, module: str, **changes: Any
) -> dict[str, Any]:
    """A predicted record as `edgesynth predict` writes it: max of arithmetic and memory time."""
    flops, bandwidth, power_w = _BOARDS[module]
    shares = {"conv1": (0.126, 0.0012), "conv2": (0.698, 0.058), "fc1": (0.174, 0.9289),
              "fc2": (0.002, 0.0116)}  # fmt: skip
    layers = []
    for layer, (of_macs, of_params) in shares.items():
        arithmetic_ms = 2e3 * macs * of_macs / (0.35 * flops)
        memory_ms = 4e3 * params * of_params / (0.7 * bandwidth)
        latency_ms = max(arithmetic_ms, memory_ms) + 0.006
        bound = "compute" if arithmetic_ms > memory_ms else "memory"
        kind = "conv" if layer.startswith("conv") else "fully-connected"
        layers.append({"name": layer, "kind": kind, "macs": int(macs * of_macs),
                       "latency_ms": latency_ms, "bound": bound})  # fmt: skip
    mean = sum(layer["latency_ms"] for layer in layers)
    document = {
        "schema": "edgesynth.record/1",
        "kind": "predicted",
        "name": name,
        "bundle": {"name": name, "id": f"{params:064x}"},
        "device": {"module": module, "power_mode": "MAXN"},
        "backend": "tensorrt",
        "precision": "fp32",
        "batch": 1,
        "software": {"edgesynth": "0.1.0"},
        "latency_ms": {"mean": mean},
        "throughput_per_s": 1e3 / mean,
        "energy": {"gross_mj": mean * power_w, "source": "model", "rail": "module's input rail"},
        "accuracy": {"not_measured": "a prediction runs nothing"},
        "cost": {"params": params, "macs": macs, "size_bytes": 4 * params},
        "requirements": [],
        "exits": None,
        "validity": [],
        "raw": None,
        "layers": layers,
        "model": {"method": "roofline per layer", "fit": "published measurements",
                  "latency_error_percent": 17.5, "latency_status": "measured",
                  "latency_basis": "cross-validated on 9 networks that others measured on it",
                  "energy_error_percent": None, "energy_status": "assumed",
                  "energy_basis": "the board's power at full load"},
        "command": f"edgesynth predict {name}.bundle --device {module}",
        "created": "2026-11-21T08:01:00Z",
        **changes,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    return record.write_record(path, document)


def write_demo(folder: Path, **run_options: int) -> Run:
    """A folder as `edgesynth demo` leaves it: a run, and records of parent and child."""
    run = write_run(folder / "run", **run_options)
    best = next(o for o in read_history(folder / "run" / "history.jsonl") if o.id == run.best)
    networks = {
        "parent": ("lenet5", *PARENT, 0.9061),
        "child": (f"lenet5-{best.id}", best.params, best.macs, run.test_accuracy[best.id]),
    }
    for role, (name, params, macs, accuracy) in networks.items():
        cost = {"name": name, "params": params, "macs": macs}
        records = folder / "records"
        write_measured(records / f"{role}.record.json", accuracy=accuracy, **cost)
        for module in _BOARDS:
            write_predicted(records / f"{role}-{module}.record.json", module=module, **cost)
    return run
