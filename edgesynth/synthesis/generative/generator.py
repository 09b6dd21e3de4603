"""The generator G(s; theta): from a seed to a network.

A seed gives a standard normal vector s, one number per gene; mu + sd * s, and with a head a small
network's output on top, is a point of the search space. theta is mu, sd and the head's weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as serialize

from edgesynth.core.errors import UserError
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.space import Point, Space
from edgesynth_rt.files import new_folder, write_bytes

SCHEMA = "edgesynth.generator/1"
SUFFIX = ".generator"
FIRST_MU, FIRST_SD = 0.5, 0.25
HIDDEN = 16
_HEAD = ("head.in", "head.bias", "head.out")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Theta:
    """What a generator has learned."""

    mu: Array
    """Shape (genes,)."""
    sd: Array
    head: dict[str, Array] = field(default_factory=dict)
    """`head.in` (hidden, genes), `head.bias` (hidden,), `head.out` (genes, hidden); or nothing."""

    @classmethod
    def first(cls, genes: int) -> Theta:
        """Before any cycle: the middle of the space."""
        return cls(np.full(genes, FIRST_MU), np.full(genes, FIRST_SD))

    def points(self, noise: Array) -> Array:
        """Points in the unit cube, shape (n, genes), of `noise` of the same shape."""
        z = self.mu + self.sd * noise
        if self.head:
            hidden = np.tanh(noise @ self.head["head.in"].T + self.head["head.bias"])
            z = z + hidden @ self.head["head.out"].T
        return np.clip(z, 0.0, 1.0)


def noise_of(seeds: Iterable[tuple[int, ...]], genes: int) -> Array:
    """Standard normal numbers of each seed, shape (seeds, genes)."""
    drawn = [np.random.default_rng(seed).standard_normal(genes) for seed in seeds]
    return np.array(drawn).reshape(-1, genes)


def fit_head(theta: Theta, noise: Array, points: Array, seed: int, steps: int = 200) -> Theta:
    """`theta` with a head that moves every seed towards the good point whose seed is nearest.

    `noise` (n, genes) are seeds of good networks and `points` where those lie.
    """
    generator = torch.Generator().manual_seed(seed)
    genes = len(theta.mu)
    fresh = torch.randn(256, genes, generator=generator, dtype=torch.float64)
    nearest = torch.cdist(fresh, torch.from_numpy(noise)).argmin(dim=1)
    rest = torch.from_numpy(points)[nearest] - torch.from_numpy(theta.mu)
    rest = rest - torch.from_numpy(theta.sd) * fresh
    start = theta.head or {
        "head.in": 0.3 * torch.randn(HIDDEN, genes, generator=generator).double().numpy(),
        "head.bias": np.zeros(HIDDEN),
        "head.out": np.zeros((genes, HIDDEN)),
    }
    weights = [torch.from_numpy(start[name]).clone().requires_grad_() for name in _HEAD]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        moved = torch.tanh(fresh @ weights[0].T + weights[1]) @ weights[2].T
        loss = ((moved - 0.5 * rest) ** 2).mean()  # half way: seeds must stay apart
        loss.backward()
        optimizer.step()
    learned = {name: w.detach().numpy() for name, w in zip(_HEAD, weights, strict=True)}
    return Theta(theta.mu, theta.sd, learned)


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """`generator.json`: what the generator makes, and what for."""

    schema: str = SCHEMA
    name: str
    space: Space
    requirements: list[str]
    utility: str
    formats: list[str] = []
    data: str
    training: dict[str, object]
    """Of the networks that it delivers."""
    distill: float = 0.0
    seed: int
    """Chooses the validation images."""
    prototype_accuracy: float
    cycles: int
    command: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Generator:
    """A generator with all that it takes to make networks."""

    card: Card
    theta: Theta
    prototype: Network

    def points(self, seeds: Iterable[tuple[int, ...]]) -> list[Point]:
        """The points of `seeds`."""
        return list(self.theta.points(noise_of(seeds, len(self.theta.mu))))


def save_generator(generator: Generator, folder: Path) -> None:
    """Write `generator` to `folder` in one step: JSON, safetensors and the prototype."""
    theta = {"mu": generator.theta.mu, "sd": generator.theta.sd, **generator.theta.head}
    with new_folder(folder) as temporary:
        text = msgspec.json.format(msgspec.json.encode(generator.card), indent=2)
        write_bytes(Path(temporary) / "generator.json", text + b"\n")
        data = serialize({name: np.ascontiguousarray(each) for name, each in theta.items()})
        write_bytes(Path(temporary) / "theta.safetensors", data)
        edgenet.save(generator.prototype, Path(temporary) / "prototype.edgenet")


def load_generator(folder: Path, *, trust: tuple[str, ...] = ()) -> Generator:
    """The generator in `folder`.

    Raises UserError naming the file that is wrong, or the factory that is not in `trust`.
    """
    path, weights = folder / "generator.json", folder / "theta.safetensors"
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as error:
        raise UserError(f"generator {folder} cannot be read: {error.strerror or error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"generator {path}: {error}; generate again") from None
    if card.schema != SCHEMA:
        raise UserError(f'generator {path}: schema "{card.schema}" is not "{SCHEMA}"')
    try:
        theta = load_file(str(weights))
    except OSError as error:
        raise UserError(f"generator {weights} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise UserError(f"generator {weights} is not a safetensors file: {error}") from None
    return Generator(
        card,
        _theta(theta, len(card.space.genes), weights),
        edgenet.load(folder / "prototype.edgenet", trust=trust),
    )


def _theta(tensors: dict[str, Array], genes: int, path: Path) -> Theta:
    wanted: dict[str, tuple[int, ...]] = {"mu": (genes,), "sd": (genes,)}
    if any(name in tensors for name in _HEAD):
        wanted |= {"head.in": (HIDDEN, genes), "head.bias": (HIDDEN,), "head.out": (genes, HIDDEN)}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != wanted or not all(np.isfinite(each).all() for each in tensors.values()):
        raise UserError(f"generator {path} does not fit its generator.json; generate again")
    head = {name: tensors[name] for name in _HEAD if name in tensors}
    return Theta(tensors["mu"], tensors["sd"], head)
