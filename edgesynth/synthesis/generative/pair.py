"""The generator-inquisitor pair as a searcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from edgesynth.core.search import Candidate
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.evaluation import Evaluator, Proposal
from edgesynth.synthesis.generative.generator import Theta, noise_of
from edgesynth.synthesis.generative.inherit import grow
from edgesynth.synthesis.generative.inquisitor import Inquisitor, Seen
from edgesynth.synthesis.generative.layout import Drawing, Figures, Layout
from edgesynth.synthesis.generative.probe import REACTIONS, probe
from edgesynth.synthesis.generative.problem import Judgement
from edgesynth.synthesis.generative.settle import settle
from edgesynth.synthesis.generative.space import Space, identity_of
from edgesynth.synthesis.generative.update import Update, updated

FRESH = 64
"""Seeds on which it is judged how likely the generator meets the requirement."""
_POOL = 4
"""Seeds drawn for every network that is tried."""
_UPDATE, _LIKELY = 1_000_003, 1_000_033
"""Parts of seeds that keep draws apart."""
Array = npt.NDArray[np.float64]


@dataclass
class GeneratorInquisitor:
    """G draws networks, I says which are worth a trial, and how G should change."""

    prototype: Network
    space: Space
    evaluator: Evaluator
    stimulus: torch.Tensor
    seed: int
    update: Update = field(default_factory=Update)
    _theta: Theta | None = None
    _asked: list[Proposal] = field(default_factory=list)
    _known: dict[str, tuple[Layout, Figures]] = field(default_factory=dict)
    _reacted: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inquisitor = Inquisitor(self.seed)
        self._drawing = Drawing(self.prototype, self.space)
        self._theta = self._theta or Theta.first(len(self.space.genes))
        self._tried: set[str] = set()
        self._gains: list[float] = []

    def theta(self) -> Theta | None:
        """What the generator has learned so far."""
        return self._theta

    def likely(self) -> float | None:
        """Share of fresh seeds that the inquisitor expects to meet the requirement."""
        if not self.inquisitor.ready:
            return None
        points = self._draw([(self.seed, _LIKELY, index) for index in range(FRESH)])
        return float(np.mean([judged.feasible for judged in self._judge(points, None)]))

    def ask(self, cycle: int, count: int) -> list[Proposal]:
        """The most promising of a pool of networks that the generator draws, none tried before."""
        seeds = [(self.seed, cycle, index) for index in range(_POOL * count)]
        fresh: dict[str, Array] = {}
        for point in self._draw(seeds):
            identity = self._identity(point)
            if identity not in self._tried:
                fresh.setdefault(identity, point)
        points = np.array(list(fresh.values())[: _POOL * count])
        if len(points) < count:  # the generator has narrowed down: any point will do
            random = np.random.default_rng((self.seed, cycle, _POOL))
            more = random.random((count - len(points), len(self.space.genes)))
            points = np.vstack([points.reshape(-1, len(self.space.genes)), more])
        foretold: Array | None = None
        if self.inquisitor.ready:
            chosen = np.argsort(-self._scores(points), kind="stable")[: 2 * count]
            points = points[chosen]
            again = np.argsort(-self._rescores(points), kind="stable")[:count]
            points = points[again]
            foretold = self.inquisitor.accuracy(self._features(points), self._reactions(points))
        self._asked = [
            Proposal(point, None if foretold is None else round(float(foretold[index]), 6))
            for index, point in enumerate(points[:count])
        ]
        return self._asked

    def tell(self, cycle: int, candidates: Sequence[Candidate]) -> None:
        """Update theta_I on all that is known, then theta_G."""
        points = np.array([one.point for one in candidates])
        features, reactions = self._features(points), self._reactions(points)
        self._tried.update(one.architecture for one in candidates)
        self._gains += [
            one.accuracy - one.accuracy_midway
            for one in candidates
            if one.accuracy_midway is not None and not one.stopped
        ]
        self.inquisitor.learn(
            [
                Seen(features[index], reactions[index], self._reached(one), self._costs_of(one))
                for index, one in enumerate(candidates)
            ]
        )
        if self.inquisitor.ready and self._theta is not None:
            seed = (self.seed, cycle, _UPDATE)
            self._theta = updated(self._theta, self._scores, self._rescores, self.update, seed)
        self._known.clear()
        self._reacted.clear()

    def _reached(self, one: Candidate) -> float:
        """Its accuracy; of one that was stopped half way, what it would have had with the usual
        gain of the second half."""
        usual = float(np.median(self._gains)) if one.stopped and self._gains else 0.0
        return min(1.0, one.accuracy + max(0.0, usual))

    def _draw(self, seeds: Sequence[tuple[int, ...]]) -> Array:
        assert self._theta is not None  # noqa: S101 (set in __post_init__)
        return self._theta.points(noise_of(seeds, len(self.space.genes)))

    def _identity(self, point: Array) -> str:
        return identity_of(self.space.choice(point))

    def _layout(self, point: Array) -> tuple[Layout, Figures]:
        identity = self._identity(point)
        if identity not in self._known:
            layout = self._drawing.lay_out(self.space.choice(point))
            self._known[identity] = layout, self._drawing.figures(layout)
        return self._known[identity]

    def _features(self, points: Array) -> Array:
        """Of the architectures: genes as they are decoded, parameters, MACs, layers."""
        rows = []
        for point in points:
            _, figures = self._layout(point)
            choice = self.space.choice(point)
            sizes = [np.log10(figures.params), np.log10(figures.macs), figures.layers]
            rows.append([*self.space.point(choice), *sizes])
        return np.array(rows, dtype=np.float64)

    def _reactions(self, points: Array) -> Array:
        """Of the networks at birth, flat."""
        rows = []
        for point in points:
            identity = self._identity(point)
            if identity not in self._reacted:
                network = grow(self.prototype, self._layout(point)[0], seed=self.seed)
                settle(network.module, [self.stimulus])
                found = probe(network.module, self.stimulus, self.space.stages)
                self._reacted[identity] = found.ravel()
            rows.append(self._reacted[identity])
        return np.array(rows).reshape(len(points), len(self.space.sides) * len(REACTIONS))

    def _scores(self, points: Array) -> Array:
        return np.array([judged.score for judged in self._judge(points, None)])

    def _rescores(self, points: Array) -> Array:
        judged = self._judge(points, self._reactions(points))
        return np.array([each.score for each in judged])

    def _judge(self, points: Array, reactions: Array | None) -> list[Judgement]:
        features = self._features(points)
        accuracies = self.inquisitor.accuracy(features, reactions)
        judged = []
        for point, accuracy, costs in zip(
            points, accuracies.tolist(), self.inquisitor.costs(features), strict=True
        ):
            _, figures = self._layout(point)
            known = {"accuracy": accuracy, "params": figures.params, "macs": figures.macs}
            there: dict[str, dict[str, float]] = {}
            for name, value in costs.items():
                key, _, device = name.partition("@")
                if key == "size_bytes":
                    known[key] = value
                else:
                    there.setdefault(device, {})[key] = value
            judged.append(self.evaluator.problem.judge(known, there))
        return judged

    @staticmethod
    def _costs_of(one: Candidate) -> dict[str, float]:
        """What the inquisitor foretells by regression, `KEY@DEVICE`."""
        costs = {"size_bytes": float(one.size_bytes)}
        for device, figures in {**one.predictions, "": one.measured}.items():
            costs |= {f"{key}@{device}": value for key, value in figures.items()}
        return costs
