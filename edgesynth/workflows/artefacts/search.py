"""A generative search, and a learned generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgesynth.report.generation import read_generation


def read_searched(folder: Path) -> dict[str, Any]:
    """Settings, cycles, family and number of candidates of the search in `folder`.

    Raises UserError naming the file and the place that is malformed.
    """
    found = read_generation(folder / "search.json")
    settings: dict[str, Any] = msgspec.to_builtins(found.search)
    return {
        "name": found.name,
        "search": settings,
        "candidates": len(found.tried),
        "feasible": sum(one.feasible for one in found.tried),
    }


def read_learned(folder: Path, trust: tuple[str, ...]) -> dict[str, Any]:
    """What the generator in `folder` makes, and its distribution by gene.

    Raises UserError when it is damaged or its factory is not in `trust`.
    """
    from edgesynth.synthesis.generative.generator import load_generator

    found = load_generator(folder, trust=trust)
    card: dict[str, Any] = msgspec.to_builtins(found.card)
    genes = [
        {"gene": gene.name, "mu": round(float(mu), 4), "sd": round(float(sd), 4),
         "means": gene.value(float(mu))}
        for gene, mu, sd in zip(found.card.space.genes, found.theta.mu, found.theta.sd, strict=True)
    ]  # fmt: skip
    return {"name": found.card.name, "generator": card, "genes": genes,
            "head": bool(found.theta.head)}  # fmt: skip
