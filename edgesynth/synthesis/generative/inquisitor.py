"""The inquisitor: from a network's architecture and reactions to what will become of it.

An ensemble of ridge regression and small neural networks foretells the accuracy after the short
training; ridge regression foretells what boards will need. How good it is shows in what it foretold
of networks that it had not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

FEWEST = 6
"""Networks that must be known before anything is foretold."""
_PENALTIES = (0.03, 0.3, 3.0, 30.0)
_MEMBERS, _HIDDEN, _STEPS = 4, 12, 120
_EDGE = 5e-3
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """One network whose fate is known."""

    features: Array
    """Of its architecture."""
    reactions: Array
    """At birth, flat."""
    accuracy: float
    costs: Mapping[str, float]
    """What is not counted but predicted or measured, by name, above zero."""


@dataclass(frozen=True)
class Ridge:
    """Linear regression on standardized features, with the penalty that leaves one out best."""

    mean: Array
    scale: Array
    weights: Array
    bias: float
    error: float
    """Root mean square over networks left out."""

    @classmethod
    def fit(cls, x: Array, y: Array) -> Ridge:
        """`x` (n, features), `y` (n,)."""
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        z, bias = (x - mean) / scale, float(y.mean())
        best: tuple[float, Array] | None = None
        for penalty in _PENALTIES:
            inverse = np.linalg.inv(z.T @ z + penalty * len(y) * np.eye(z.shape[1]) * 0.1)
            weights = inverse @ z.T @ (y - bias)
            leverage = np.einsum("ij,jk,ik->i", z, inverse, z) + 1 / len(y)
            left_out = (y - bias - z @ weights) / np.clip(1 - leverage, 0.05, None)
            error = float(np.sqrt(np.mean(left_out**2)))
            if best is None or error < best[0]:
                best = error, weights
        assert best is not None  # noqa: S101
        return cls(mean, scale, best[1], bias, best[0])

    def __call__(self, x: Array) -> Array:
        found: Array = (x - self.mean) / self.scale @ self.weights + self.bias
        return found


class Ensemble:
    """Ridge regression and small networks on resampled examples, weighted by their errors."""

    def __init__(self, x: Array, y: Array, seed: int) -> None:
        self._ridge = Ridge.fit(x, y)
        self._deviation = max(float(y.std()), 1e-6)
        z = torch.from_numpy((x - self._ridge.mean) / self._ridge.scale)
        goal = torch.from_numpy((y - self._ridge.bias) / self._deviation)
        drawn = np.random.default_rng(seed).integers(0, len(y), (_MEMBERS, len(y)))
        self._nets = _Nets(z.shape[1], seed)
        self._nets.train(z[drawn], goal[drawn])
        missed = self._nets(z) - goal
        out = np.array([~np.isin(np.arange(len(y)), row) for row in drawn])
        squares = missed.numpy()[out] ** 2 * self._deviation**2
        error = float(np.sqrt(squares.mean())) if out.any() else self._deviation
        mine, other = 1 / max(self._ridge.error, 1e-6) ** 2, 1 / max(error, 1e-6) ** 2
        self._share = mine / (mine + other)

    def __call__(self, x: Array) -> Array:
        """The foretold values of `x` (n, features)."""
        z = torch.from_numpy((x - self._ridge.mean) / self._ridge.scale)
        nets = self._nets(z).mean(dim=0).numpy() * self._deviation + self._ridge.bias
        found: Array = self._share * self._ridge(x) + (1 - self._share) * nets
        return found


class _Nets:
    """Several networks of one hidden layer that learn side by side."""

    def __init__(self, features: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> torch.Tensor:
            values = torch.randn(_MEMBERS, *shape, generator=generator, dtype=torch.float64)
            values /= shape[0] ** 0.5
            return values.requires_grad_()

        self._weights = [drawn(features, _HIDDEN), drawn(1, _HIDDEN), drawn(_HIDDEN, 1)]

    def _run(self, z: torch.Tensor) -> torch.Tensor:
        first, bias, last = self._weights
        outputs: torch.Tensor = torch.tanh(z @ first + bias) @ last
        return outputs.squeeze(-1)

    def train(self, z: torch.Tensor, goal: torch.Tensor) -> None:
        """`z` (members, n, features), `goal` (members, n)."""
        optimizer = torch.optim.AdamW(self._weights, lr=0.03, weight_decay=0.1)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            ((self._run(z) - goal) ** 2).mean(dim=1).sum().backward()
            optimizer.step()

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """Outputs for `z` (n, features), shape (members, n)."""
        with torch.no_grad():
            return self._run(z)


@dataclass
class Inquisitor:
    """What is known of the networks seen so far, and what it says of others (theta_I)."""

    seed: int
    seen: list[Seen] = field(default_factory=list)
    _plain: Ensemble | None = None
    _probed: Ensemble | None = None
    _costs: dict[str, Ridge] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether enough networks are known."""
        return self._plain is not None

    def learn(self, more: Sequence[Seen]) -> None:
        """Update theta_I: fit everything anew on all networks seen."""
        self.seen += more
        if len(self.seen) < FEWEST:
            return
        x = np.array([one.features for one in self.seen])
        reactions = np.array([one.reactions for one in self.seen])
        y = np.array([_logit(one.accuracy) for one in self.seen])
        self._plain = Ensemble(x, y, self.seed)
        self._probed = Ensemble(np.hstack([x, reactions]), y, self.seed + 1)
        for name in self.seen[0].costs:
            costs = np.log([max(one.costs[name], 1e-30) for one in self.seen])
            self._costs[name] = Ridge.fit(x, costs)

    def accuracy(self, features: Array, reactions: Array | None = None) -> Array:
        """Foretold accuracy, shape (n,), of `features` (n, features) and, where the networks were
        probed, `reactions` (n, reactions)."""
        if self._plain is None or self._probed is None:
            raise RuntimeError("nothing has been learned yet")
        if reactions is None:
            return _share(self._plain(features))
        return _share(self._probed(np.hstack([features, reactions])))

    def costs(self, features: Array) -> list[dict[str, float]]:
        """Foretold costs of each row of `features`."""
        found = {name: np.exp(ridge(features)) for name, ridge in self._costs.items()}
        return [
            {name: float(values[row]) for name, values in found.items()}
            for row in range(len(features))
        ]


def _logit(accuracy: float) -> float:
    inside = min(max(accuracy, _EDGE), 1 - _EDGE)
    return float(np.log(inside / (1 - inside)))


def _share(logit: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
    return found
