"""Rows of a reproduction, written by hand."""

from __future__ import annotations

from typing import Any

from edgesynth.core.reproduction import Row


def row(rival: str, generation: int, *, seed: int = 0, test: float, fewer: float = 1.0,
        **changes: Any) -> Row:  # fmt: skip
    """A network with `fewer` times fewer of everything than 100,000 synapses."""
    values: dict[str, Any] = {
        "seed": seed,
        "rival": rival,
        "generation": generation,
        "synapses": round(100_000 / fewer),
        "clusters": round(500 / fewer**0.5),
        "params": round(101_000 / fewer),
        "macs": round(2_000_000 / fewer),
        "weight_bytes": round(400_000 / fewer),
        "weight_bytes_with_index": round(420_000 / fewer),
        "accuracy_at_birth": None if generation == 1 else test - 0.2,
        "accuracy": test + 0.01,
        "test_accuracy": test,
        "latency_p50_ms": 0.2 / fewer,
        "ancestor_latency_p50_ms": 0.2,
        "predicted": {
            board: {
                "fp16": {"latency_mean_ms": 0.1 / fewer, "inferences_per_joule": 2000.0},
                "fp32": {"latency_mean_ms": 0.2 / fewer},
            }
            for board in ("tx1", "tx2")
        },
        "epochs": 1,
        "seconds": 1.0,
        "network": f"networks/s{seed}/{rival}/g{generation:02d}.edgenet",
        "weights_sha256": "0" * 64,
    }
    return Row(**(values | changes))


def lineage(rival: str, tests: dict[int, float], *, seed: int = 0, each: float = 2.0) -> list[Row]:
    """Generations with these test accuracies, each `each` times smaller than the one before."""
    return [row(rival, g, seed=seed, test=test, fewer=each ** (g - 1)) for g, test in tests.items()]


def two_seeds() -> list[Row]:
    """Edgesynth with and without stress, magnitude and random, generations 2 to 4, two seeds."""
    rows = []
    for seed, shift in ((0, 0.0), (1, 0.01)):
        rows.append(row("ancestor", 1, seed=seed, test=0.90 + shift))
        for rival, accuracies in {
            "edgesynth": (0.90, 0.89, 0.88),
            "halving": (0.90, 0.89, 0.88),
            "halving+stress": (0.90, 0.895, 0.885),
            "edgesynth-dense": (0.89, 0.88, 0.87),
            "random": (0.88, 0.86, 0.80),
            "magnitude": (0.90, 0.885, 0.87),
            "torch-pruning": (0.89, 0.87, 0.85),
        }.items():
            tests = {g: value + shift for g, value in enumerate(accuracies, start=2)}
            rows += lineage(rival, tests, seed=seed)
    return rows
