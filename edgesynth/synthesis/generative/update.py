"""The inquisitor's update of the generator, d theta_G: the cross-entropy method on foretold scores.

Virtual seeds are drawn from the generator and scored by what the inquisitor foretells; the best
tenth of them says where the generator moves (Rubinstein's cross-entropy method).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.synthesis.generative.generator import Theta, fit_head, noise_of

Array = npt.NDArray[np.float64]
Score = Callable[[Array], Array]
"""Scores (n,) of points (n, genes)."""


@dataclass(frozen=True)
class Update:
    """How the generator follows the inquisitor."""

    virtual: int = 300
    """Seeds that are scored."""
    elite: float = 0.1
    """Share of them that it moves to."""
    step: float = 0.7
    """Share of the way."""
    least_sd: float = 0.06
    """So that seeds stay distinct networks; about a fifth of a width."""
    head: bool = False
    """Whether a small network deforms the distribution, too."""


def updated(
    theta: Theta, score: Score, rescore: Score, plan: Update, seed: tuple[int, ...]
) -> Theta:
    """`theta` after one update.

    `score` sees all virtual seeds; `rescore`, which may probe the networks, sees the best tenth and
    keeps the better half of it.
    """
    noise = noise_of([(*seed, index) for index in range(plan.virtual)], len(theta.mu))
    points = theta.points(noise)
    count = max(4, round(plan.elite * plan.virtual))
    best = np.argsort(-score(points), kind="stable")[:count]
    again = np.argsort(-rescore(points[best]), kind="stable")[: max(2, count // 2)]
    elite = best[again]
    mean, spread = points[elite].mean(axis=0), points[elite].std(axis=0)
    mu = theta.mu + plan.step * (mean - theta.mu)
    sd = np.maximum(theta.sd + plan.step * (spread - theta.sd), plan.least_sd)
    moved = Theta(np.clip(mu, 0.0, 1.0), sd, theta.head)
    if not plan.head:
        return moved
    return fit_head(moved, noise[elite], points[elite], seed=seed[0] * 1000 + seed[1])
