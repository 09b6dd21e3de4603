"""`reproduce stressednets`: evolution under stress, StressedNets, arXiv:1801.05387."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edgesynth.core.reproduction import Check, Row, Summary
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import trace_channels
from edgesynth.synthesis.draw import Draw
from edgesynth.synthesis.environment import Environment
from edgesynth.synthesis.genes import genes_of
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import synthesize
from edgesynth.synthesis.odds import odds_of
from edgesynth.synthesis.shares import Shares
from edgesynth.synthesis.stress import parse_stress
from edgesynth.workflows.reproduce.baselines import magnitude, nncf_magnitude, torch_pruning
from edgesynth.workflows.reproduce.paper import (
    Findings,
    Paper,
    Quote,
    at_least,
    smallest_at_equal_accuracy,
)
from edgesynth.workflows.reproduce.recipe import Recipe
from edgesynth.workflows.reproduce.rival import Rival, Scene

LITERAL = Genome(Environment("factor", 0.7), "synapse", 1.0)
"""exp(|w| / Z - 1) times F = 0.7 (arXiv:1606.04393)."""
HALVING = Genome(Environment("synapses", 0.5), "cluster", 1.0)
"""Whole clusters die by exp(|w| / Z - 1) until half of the synapses are left (arXiv:1609.01360)."""
LOWEST, HIGHEST = 0.7 / math.e, 0.40
MODELOPT = (
    "nvidia-modelopt installs, but its weight sparsity has the fixed pattern 2:4 and its FastNAS "
    "is an architecture search with a budget of its own, so neither can take the same steps"
)


def rivals(recipe: Recipe) -> list[Rival]:
    """All rivals, each after the one that it follows."""
    chance = lambda generation: replace(recipe.genome(generation), pressure=0.0)  # noqa: E731
    halving = _drawn("halving", "edgesynth", "the papers' rule for clusters, half of the synapses "
                     "per generation", lambda generation: HALVING)  # fmt: skip
    plain = _drawn("edgesynth", "edgesynth", "the weakest synapses of all layers, within a budget",
                   recipe.genome)  # fmt: skip
    return [
        replace(
            _drawn("paper", "baseline", "the papers' literal rule: synapses, F = 0.7, no budget",
                   lambda generation: LITERAL),
            expected=literal_draw, last=5,  # by then about 100 times fewer synapses
        ),
        plain,
        replace(plain, name="edgesynth+stress", stress=parse_stress(recipe.own_stress),
                says=f"the same under stress {recipe.own_stress}, from the second generation on"),
        _drawn("edgesynth-dense", "edgesynth", "whole clusters only, within a budget of dense "
               "parameters", recipe.dense_genome),
        halving,
        replace(halving, name="halving+stress", says="the same, trained under stress",
                stress=parse_stress(recipe.stress), own_ancestor=recipe.stressed_ancestor),
        _drawn("random", "baseline", "edgesynth's budget, culled by chance alone", chance),
        Rival(name="magnitude", kind="baseline", draw=magnitude, follows="edgesynth",
              says="torch's global L1 pruning, to edgesynth's synapses"),
        Rival(name="nncf", kind="baseline", draw=nncf_magnitude, follows="edgesynth",
              package="nncf", says="NNCF's global magnitude pruning, to edgesynth's synapses"),
        Rival(name="torch-pruning", kind="baseline", draw=torch_pruning(whole_network=False),
              follows="edgesynth-dense", measure="params", package="torch_pruning",
              says="group magnitude, every layer alike, to edgesynth-dense's parameters"),
        Rival(name="torch-pruning-global", kind="baseline", measure="params",
              draw=torch_pruning(whole_network=True), follows="edgesynth-dense",
              package="torch_pruning",
              says="group magnitude over the whole network, to edgesynth-dense's parameters"),
        Rival(name="modelopt", kind="baseline", draw=magnitude, not_run=MODELOPT,
              says="NVIDIA's model optimizer"),
    ]  # fmt: skip


def _drawn(name: str, kind: str, says: str, genome: Callable[[int], Genome]) -> Rival:
    return Rival(
        name=name,
        kind="edgesynth" if kind == "edgesynth" else "baseline",
        says=says,
        draw=partial(_synthesize, genome),
        genome=genome,
    )


def _synthesize(genome: Callable[[int], Genome], scene: Scene) -> Network:
    return synthesize([scene.parent], genome(scene.generation), scene.seeds)


def literal_draw(scene: Scene) -> dict[str, float]:
    """What the literal rule should keep and what the draw keeps, in layers without protection.

    Counted before neurons that are left alone vanish: `live` synapses of the parent, `kept` ones,
    the `expected` number 0.7 * sum(exp(|w| / Z - 1)), and its binomial `sigma`.
    """
    parent = scene.parent
    channels = trace_channels(parent.module, parent.example_input(2))
    genes = genes_of(parent, channels)
    shares = Shares(genes, channels, LITERAL.environment)
    draw = Draw(parent, [parent], channels, LITERAL, scene.seeds)
    live = sum(int(each.live.sum()) for each in genes.values())
    masks, _ = draw.synapses(np.zeros(channels.size, dtype=bool), live)
    odds = odds_of(parent, channels, LITERAL).synapses
    free = [name for name in genes if not shares.is_protected(name)]
    chances = np.concatenate(
        [odds[n][genes[n].in_weight_shape(genes[n].live)].astype(np.float64) for n in free]
    )
    return {
        "live": float(chances.size),
        "kept": float(sum(int(masks[f"{name}.weight"].sum()) for name in free)),
        "expected": float(chances.sum()),
        "sigma": float(np.sqrt((chances * (1 - chances)).sum())),
    }


def check(findings: Findings) -> list[Check]:
    """The figures asked of this project, then the checks of its methods."""
    return [
        at_least("synapses", findings, "synapses", 40, 0.5),
        at_least("dense parameters", findings, "params", 15, 1.0),
        smallest_at_equal_accuracy("equal accuracy, synapses", findings, "synapses"),
        smallest_at_equal_accuracy("equal accuracy, dense parameters", findings, "params"),
        _literal_rule(findings),
        _clusters(findings),
        at_least("E3 synapses", findings, "synapses", 7, 0.5, ("edgesynth", "edgesynth+stress")),
        at_least("E3 clusters", findings, "synapses", 7, 8.0, ("halving", "halving+stress")),
        _beats_random(findings),
        _stress_at_birth(findings),
        _stress_after_training(findings),
        _real_shrink(findings.rows),
    ]


def _literal_rule(findings: Findings) -> Check:
    claim = (
        "E1: the literal rule keeps 0.7 mean(exp(|w| / Z - 1)) of the synapses within 3 sigma, "
        f"{LOWEST:.4f} to {HIGHEST}; at least 20 times fewer by generation 4"
    )
    rows = [row for row in findings.rows if row.rival == "paper" and row.drawn]
    if not rows:
        return Check("E1", claim, None, "rival paper was not run")
    off = max(abs(r.drawn["kept"] - r.drawn["expected"]) / r.drawn["sigma"] for r in rows)
    shares = [row.drawn["kept"] / row.drawn["live"] for row in rows]
    holds = off <= 3 and min(shares) >= LOWEST - 0.01 and max(shares) <= HIGHEST
    found = f"kept {min(shares):.3f} to {max(shares):.3f}, at most {off:.1f} sigma off"
    fourth = findings.of("paper").get(4)
    if fourth:
        ratio = fourth.fewer["synapses"].mean
        return Check("E1", claim, holds and ratio >= 20, f"{found}; {ratio:.1f} times by g04")
    return Check("E1", claim, holds, f"{found}; generation 4 was not run")


def _clusters(findings: Findings) -> Check:
    claim = "E2: at least 3.5 times fewer synapses and 1.6 times fewer clusters, at most 1.5 points"
    small = [
        one
        for one in findings.ours
        if one.fewer["synapses"].mean >= 3.5 and one.fewer["clusters"].mean >= 1.6
    ]
    if not small:
        return Check("E2", claim, None, "no network of edgesynth is that small")
    best = min(small, key=lambda one: one.lost_points.mean)
    found = (
        f"{best.rival} g{best.generation:02d}: {best.fewer['synapses'].mean:.1f} times, "
        f"{best.fewer['clusters'].mean:.1f} times at {best.lost_points.mean:.2f} points"
    )
    return Check("E2", claim, best.lost_points.mean <= 1.5, found)


def _beats_random(findings: Findings) -> Check:
    claim = "E4: at least as accurate as random culling of the same budget, generation 4 and later"
    mine, chance = findings.of("edgesynth"), findings.of("random")
    pairs = {g: 100 * (mine[g].test_accuracy.mean - chance[g].test_accuracy.mean)
             for g in sorted(mine.keys() & chance.keys()) if g >= 4}  # fmt: skip
    if not pairs:
        return Check("E4", claim, None, "edgesynth and random have no generation 4 yet")
    found = ", ".join(f"{points:+.2f} points at g{g:02d}" for g, points in pairs.items())
    return Check("E4", claim, min(pairs.values()) >= 0, found)


def _stress_at_birth(findings: Findings) -> Check:
    claim = "E5: stress raises accuracy at birth by at least 5 points, mean of generations 2 and 3"
    pairs = _stress_pairs(findings, lambda one: one.accuracy_at_birth)
    early = [points for generation, points in pairs.items() if generation in (2, 3)]
    if len(early) < 2:
        return Check("E5", claim, None, "both lineages need generations 2 and 3")
    gain = statistics.mean(early)
    return Check("E5", claim, gain >= 5, f"{gain:+.2f} points; {_listed(pairs)}")


def _stress_after_training(findings: Findings) -> Check:
    claim = "E5: under stress at most 1.5 points less accurate after training, up to 4 times fewer"
    stressed = findings.of("halving+stress")
    pairs = _stress_pairs(findings, lambda one: one.test_accuracy)
    gentle = {g: p for g, p in pairs.items() if stressed[g].fewer["synapses"].mean <= 4.05}
    if not gentle:
        return Check("E5", claim, None, "both lineages need a network of at most 4 times fewer")
    return Check("E5", claim, min(gentle.values()) >= -1.5, f"after training {_listed(pairs)}")


def _stress_pairs(findings: Findings, figure: Callable[[Summary], object]) -> dict[int, float]:
    """Points gained by stress at each generation that both lineages have."""
    on, off = findings.of("halving+stress"), findings.of("halving")
    found = {}
    for generation in sorted((on.keys() & off.keys()) - {1}):
        one, other = figure(on[generation]), figure(off[generation])
        if one is not None and other is not None:
            found[generation] = 100 * (one.mean - other.mean)  # type: ignore[attr-defined]
    return found


def _listed(pairs: dict[int, float]) -> str:
    return ", ".join(f"{points:+.2f} at g{g:02d}" for g, points in pairs.items())


def _real_shrink(rows: Sequence[Row]) -> Check:
    claim = "E6: the ONNX file has the shrunken parameters and MACs, and the masked twin's logits"
    known = [row for row in rows if row.logits_error is not None]
    if not known:
        return Check("E6", claim, None, "no network was compared")
    error = max(row.logits_error or 0.0 for row in known)
    counted = all(
        row.onnx_macs == row.macs and (row.onnx_params or 0) <= row.params for row in known
    )
    found = f"{len(known)} networks, largest relative difference {error:.1e}"
    return Check("E6", claim, error <= 1e-5 and counted, found)


_ELSEWHERE = "another network, data set and device than here"
PAPER = Paper(
    name="stressednets",
    title="StressedNets: efficient feature representations via stress-induced evolutionary "
    "synthesis of deep neural networks",
    arxiv="1801.05387",
    generations=8,
    rivals=rivals,
    quotes=(
        Quote("1801.05387", "StressedNets", "AlexNet", "not stated in the abstract", "-",
              "40 times more efficient (synapses)", _ELSEWHERE),
        Quote("1801.05387", "StressedNets", "YOLOv2", "not stated in the abstract",
              "Nvidia Tegra X1", "33 times more efficient, 5.5 times faster inference",
              _ELSEWHERE),
        Quote("1606.04393", "Deep learning with Darwin", "fully convolutional, saliency",
              "not stated in the abstract", "-", "about 48 times fewer synapses by generation 4",
              _ELSEWHERE),
        Quote("1609.01360", "Evolutionary synthesis, cluster-driven encoding", "-", "MNIST", "-",
              "about 125 times fewer synapses at comparable accuracy", "another data set"),
        Quote("1704.02081", "Evolution in groups", "-", "MNIST; KITTI", "-",
              "9.71 and 8.16 times fewer clusters", "other data sets"),
    ),
    measures=("synapses", "params"),
    check=check,
)  # fmt: skip
