"""Which layer becomes which operator, and an estimate of what that gains where no board is asked.

The estimate is the roofline of the operators' kernels (`edgesynth.hardware.kernel_roofline`) for
the layer's own shape, beside a dense layer in fp16, at batch 1 on TX1 and TX2. It says that sparse
linear layers pay from little more than half zeros on and most sparse convolutions from 91 to 97 %,
that low-bit linear layers gain what their weights are narrower, and that low-bit convolutions save
memory alone. `build --operators auto` on the board times each layer and corrects it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from edgesynth.hardware.board import load_board
from edgesynth.hardware.kernel_roofline import (
    Layer,
    Limits,
    Time,
    dense_time,
    limits_of,
    packed_time,
    sparse_time,
)

Mode = Literal["auto", "all", "none"]
MODES: tuple[Mode, ...] = ("auto", "all", "none")
Faster = Literal["plugin", "dense"]
Form = Literal["Sparse", "Packed"]

BOARDS = ("tx1", "tx2")
LEAST_GAIN = 1.1
"""A plugin ends the fusion of its neighbours, so it must be this much faster on every board."""
SPARSE_LEAST = 0.5
"""Below this even `all` leaves a layer dense: positions and values take more room than zeros."""


@dataclass(frozen=True)
class Candidate:
    """What the rules look at."""

    weights: int
    nonzero: int
    shape: Layer | None
    """None where the size of its input is not known."""
    bits: int | None
    """Of integer weights; None for float ones."""

    @property
    def sparsity(self) -> float:
        """Share of zeros."""
        return 1 - self.nonzero / self.weights


@dataclass(frozen=True)
class Choice:
    """An operator for a layer, and what is believed of it until a board times it."""

    form: Form
    speed_ups: tuple[float, ...] | None
    """Over the dense layer on `BOARDS`: an estimate; None where there is none."""
    reason: str

    @property
    def gain(self) -> float:
        """The least of the speed-ups; 0 where none is known."""
        return min(self.speed_ups) if self.speed_ups else 0.0

    @property
    def estimate(self) -> Faster:
        """What is faster on a TX1 and a TX2, as far as that can be told without one."""
        return "plugin" if self.gain >= LEAST_GAIN else "dense"


def choose(layer: Candidate, mode: Mode) -> Choice | None:
    """The operator for `layer`, None where it stays a standard one.

    `auto` takes sparse layers that are estimated to be faster and every low-bit layer, whose
    weights become smaller in any case; `all` every layer at least half of which is zeros too. Of
    a low-bit layer of mostly zeros it takes the faster form.
    """
    if mode == "none":
        return None
    sparse = _sparse(layer) if layer.sparsity >= SPARSE_LEAST else None
    packed = None if layer.bits is None else _packed(layer, layer.bits)
    wins = sparse is not None and sparse.estimate == "plugin"
    if sparse is not None and packed is not None:
        return sparse if wins and sparse.gain > packed.gain else packed
    return packed or (sparse if wins or mode == "all" else None)


def _sparse(layer: Candidate) -> Choice:
    if layer.shape is None:
        return _unknown("Sparse")
    times = [sparse_time(on, layer.shape, layer.sparsity) for on in _limits()]
    zeros = f"{100 * layer.sparsity:.1f} % zeros"
    return _choice("Sparse", layer.shape, zeros, [each for each in times if each is not None])


def _packed(layer: Candidate, bits: int) -> Choice:
    if layer.shape is None:
        return _unknown("Packed")
    times = [packed_time(on, layer.shape, bits) for on in _limits()]
    return _choice("Packed", layer.shape, f"weights of {bits} bits", times)


def _choice(form: Form, shape: Layer, what: str, times: list[Time]) -> Choice:
    if not times:
        return Choice(form, None, f"{what}, and no estimate for a layer of so few filters")
    pairs = zip(_limits(), times, strict=True)
    speed_ups = tuple(dense_time(on, shape).us / time.us for on, time in pairs)
    figures = " and ".join(
        f"{gain:.2g} times as fast as dense on {on.name.upper()}"
        for gain, on in zip(speed_ups, _limits(), strict=True)
    )
    return Choice(form, speed_ups, f"{what}: {figures} at batch 1 by the roofline")


def _unknown(form: Form) -> Choice:
    return Choice(form, None, "the size of its input is not known, so there is no estimate")


@cache
def _limits() -> tuple[Limits, ...]:
    return tuple(limits_of(load_board(name)) for name in BOARDS)
