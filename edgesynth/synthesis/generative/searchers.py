"""Ways to search a space: what the generator is compared with, all with the same evaluations.

A searcher is asked for points, cycle after cycle, and told what became of them. Everything that it
knows follows from what it was told, so a resumed search is told everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from edgesynth.core.errors import MissingError, UserError, nearest
from edgesynth.core.search import Candidate
from edgesynth.synthesis.generative.evaluation import Proposal
from edgesynth.synthesis.generative.generator import Theta
from edgesynth.synthesis.generative.space import Point, Space

RIVALS = ("random", "evolution", "tpe")
_POPULATION, _TOURNAMENT, _MUTATED, _SIGMA = 16, 4, 0.3, 0.2


class Searcher(Protocol):
    """Proposes points of a space."""

    def ask(self, cycle: int, count: int) -> list[Proposal]:
        """`count` points to be tried in `cycle`."""

    def tell(self, cycle: int, candidates: Sequence[Candidate]) -> None:
        """What became of them, in the same order."""

    def theta(self) -> Theta | None:
        """The generator's distribution, where there is one."""

    def likely(self) -> float | None:
        """Share of fresh seeds that is expected to meet the requirement, where it is known."""


class _WithoutGenerator:
    """What searchers have in common that learn no generator."""

    def theta(self) -> Theta | None:
        """None."""
        return None

    def likely(self) -> float | None:
        """None."""
        return None


class RandomSearch(_WithoutGenerator):
    """Uniform points."""

    def __init__(self, space: Space, seed: int) -> None:
        self._genes, self._seed = len(space.genes), seed

    def ask(self, cycle: int, count: int) -> list[Proposal]:
        """Uniform in the unit cube."""
        random = np.random.default_rng((self._seed, cycle))
        return [Proposal(point) for point in random.random((count, self._genes))]

    def tell(self, cycle: int, candidates: Sequence[Candidate]) -> None:
        """Learns nothing."""


class EvolutionarySearch(_WithoutGenerator):
    """Regularized evolution (Real et al., arXiv:1802.01548): the winner of a tournament is mutated,
    the oldest of the population dies."""

    def __init__(self, space: Space, seed: int) -> None:
        self._genes, self._seed = len(space.genes), seed
        self._population: list[Candidate] = []

    def ask(self, cycle: int, count: int) -> list[Proposal]:
        """Uniform until there is a population, then mutants of winners."""
        random = np.random.default_rng((self._seed, cycle))
        if len(self._population) < _TOURNAMENT:
            return [Proposal(point) for point in random.random((count, self._genes))]
        return [Proposal(self._mutant(random)) for _ in range(count)]

    def tell(self, cycle: int, candidates: Sequence[Candidate]) -> None:
        """Candidates join the population."""
        self._population = [*self._population, *candidates][-_POPULATION:]

    def _mutant(self, random: np.random.Generator) -> Point:
        drawn = random.choice(len(self._population), _TOURNAMENT, replace=False)
        winner = max((self._population[i] for i in drawn), key=lambda one: one.score)
        changed = random.random(self._genes) < _MUTATED
        changed[random.integers(self._genes)] = True
        step = random.normal(0.0, _SIGMA, self._genes)
        moved: Point = np.clip(np.array(winner.point) + changed * step, 0.0, 1.0)
        return moved


class TpeSearch(_WithoutGenerator):
    """Optuna's tree-structured Parzen estimator, on the same score and the same points."""

    def __init__(self, space: Space, seed: int) -> None:
        self._optuna = require_optuna()
        sampler = self._optuna.samplers.TPESampler(seed=seed, multivariate=True, group=False)
        self._study = self._optuna.create_study(direction="maximize", sampler=sampler)
        self._names = [gene.name for gene in space.genes]
        uniform = self._optuna.distributions.FloatDistribution(0.0, 1.0)
        self._distributions = dict.fromkeys(self._names, uniform)
        self._asked: list[Any] = []

    def ask(self, cycle: int, count: int) -> list[Proposal]:
        """What the estimator suggests; of one cycle, not knowing what becomes of the others."""
        self._asked = [self._study.ask(self._distributions) for _ in range(count)]
        points = [[trial.params[name] for name in self._names] for trial in self._asked]
        return [Proposal(np.array(point)) for point in points]

    def tell(self, cycle: int, candidates: Sequence[Candidate]) -> None:
        """Scores of the last points asked for."""
        for trial, one in zip(self._asked, candidates, strict=True):
            self._study.tell(trial, one.score)


def rival_search(name: str, space: Space, seed: int) -> Searcher:
    """The searcher called `name` of `RIVALS`.

    Raises UserError for another name, MissingError without Optuna.
    """
    kinds: dict[str, Callable[[Space, int], Searcher]] = {
        "random": RandomSearch,
        "evolution": EvolutionarySearch,
        "tpe": TpeSearch,
    }
    if name not in kinds:
        raise UserError(f'no search "{name}"; {nearest(name, list(kinds))}')
    return kinds[name](space, seed)


def require_optuna() -> Any:
    """The module; raises MissingError when Optuna is not installed."""
    try:
        import warnings

        import optuna
    except ImportError:
        raise MissingError(
            "Optuna is not installed; pip install 'edgesynth[optuna]', or leave out tpe"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
