"""Which layer becomes which operator, by rules of thumb where no board can be asked.

Sparse (after SparseRT, arXiv:2008.11849, Sputnik, arXiv:2006.10901, and the rates of two Maxwell
or Pascal multiprocessors): a sparse kernel reaches about 27 % of the fp32 peak, a dense one 70 % of
the fp16 peak, so that they break even at 81 % zeros for a product of matrices; for larger windows
dense kernels save multiplications (Winograd), which moves it to 85 to 91 %. A margin comes on top.

Low-bit: packed weights save memory traffic, not arithmetic. Every fp16 weight of a layer with P x Q
outputs does P * Q operations per byte; TX2 computes 22 in the time in which it loads one, TX1 40.
Beyond that the weights are no bottleneck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Mode = Literal["auto", "all", "none"]
MODES: tuple[Mode, ...] = ("auto", "all", "none")
Faster = Literal["plugin", "dense"]

SPARSE_POINTWISE, SPARSE_WINDOW = 0.85, 0.92
"""Share of zeros from which a sparse operator pays: products of matrices, larger windows."""
SPARSE_LEAST = 0.5
"""Below this even `all` leaves a layer dense: positions and values take more room than zeros."""
PACKED_MOST_OUTPUTS = 22
"""P * Q up to which packed weights pay, on TX2; TX1 gains somewhat beyond it."""
_SPARSE_BITS = 48
"""Of a nonzero weight and its column, for the choice between sparse and packed alone."""


@dataclass(frozen=True)
class Layer:
    """What the rules look at."""

    weights: int
    nonzero: int
    window: int
    """Kernel height times width; 1 for a linear layer."""
    outputs: int | None
    """P * Q, how often each weight is used for one sample; None where it is not known."""
    bits: int | None
    """Of integer weights; None for float ones."""

    @property
    def sparsity(self) -> float:
        """Share of zeros."""
        return 1 - self.nonzero / self.weights


@dataclass(frozen=True)
class Choice:
    """An operator for a layer, and what is believed of it until a board times it."""

    form: Literal["Sparse", "Packed"]
    estimate: Faster
    """What is faster on a Tegra X1 or X2 by the rules of this module: an estimate."""
    reason: str


def choose(layer: Layer, mode: Mode) -> Choice | None:
    """The operator for `layer`, None where it stays a standard one.

    `auto` takes sparse layers above the break-even and every low-bit layer, whose weights become
    smaller in any case; `all` every layer at least half of which is zeros too.
    """
    if mode == "none":
        return None
    sparse, packed = _sparse(layer), _packed(layer)
    wins = sparse is not None and sparse.estimate == "plugin"
    if sparse is not None and packed is not None:
        smaller = layer.nonzero * _SPARSE_BITS < layer.weights * (layer.bits or 0)
        return sparse if wins and smaller else packed
    if packed is not None:
        return packed
    return sparse if wins or mode == "all" else None


def _sparse(layer: Layer) -> Choice | None:
    if layer.sparsity < SPARSE_LEAST:
        return None
    limit = SPARSE_POINTWISE if layer.window == 1 else SPARSE_WINDOW
    kind = "a product of matrices" if layer.window == 1 else "a window of weights"
    estimate: Faster = "plugin" if layer.sparsity >= limit else "dense"
    compared = "reach" if estimate == "plugin" else "stay below"
    reason = f"{100 * layer.sparsity:.1f} % zeros {compared} the {100 * limit:g} % of {kind}"
    return Choice("Sparse", estimate, reason)


def _packed(layer: Layer) -> Choice | None:
    if layer.bits is None:
        return None
    if layer.outputs is None:
        return Choice("Packed", "dense", "how often a weight is used is not known")
    estimate: Faster = "plugin" if layer.outputs <= PACKED_MOST_OUTPUTS else "dense"
    verb = "no more than" if estimate == "plugin" else "more than"
    times = "once" if layer.outputs == 1 else f"{layer.outputs} times"
    reason = (
        f"each weight is used {times} per sample, {verb} the {PACKED_MOST_OUTPUTS} operations that "
        "a TX2 does per byte it loads"
    )
    return Choice("Packed", estimate, reason)


def times_used(shape: list[int | str | None] | None) -> int | None:
    """P * Q of an output of `shape` (batch, channels, P, Q) or (batch, channels)."""
    if shape is None:
        return None
    sides = [side for side in shape[2:] if isinstance(side, int)]
    return math.prod(sides) if len(sides) == len(shape[2:]) else None
