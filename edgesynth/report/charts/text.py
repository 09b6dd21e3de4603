"""How much room a label takes, and where it finds some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SIZE = 12.0
"""Font size in chart units at the narrowest; see the package."""
_ADVANCE = 0.64
_LEADING = 1.2


@dataclass(frozen=True)
class Box:
    """A rectangle in chart units; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box, gap: float = 0.0) -> bool:
        """True when the two are nearer than `gap`."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )

    def inside(self, other: Box) -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def width(text: str) -> float:
    """An upper estimate of the width of `text`, good for the wide fonts (DejaVu, Verdana)."""
    return len(text) * SIZE * _ADVANCE


def box(text: str, x: float, y: float, anchor: str) -> Box:
    """The room of `text` with its baseline's start, middle or end at (x, y)."""
    wide = width(text)
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
    return Box(left, y - 0.95 * SIZE, left + wide, y + (_LEADING - 0.95) * SIZE)


def place_beside(
    text: str, x: float, y: float, room: Box, taken: list[Box]
) -> tuple[float, float, str] | None:
    """Where to write `text` beside the mark at (x, y): place and anchor, or None without room.

    Tries the eight places around the mark in the order in which a reader expects them; the first
    one inside `room` that touches nothing in `taken` wins.
    """
    away = 9.0
    for dx, dy, anchor in (
        (away, 4.0, "start"),
        (-away, 4.0, "end"),
        (0.0, -away, "middle"),
        (0.0, away + 9.0, "middle"),
        (away, -away + 2, "start"),
        (-away, -away + 2, "end"),
        (away, away + 7.0, "start"),
        (-away, away + 7.0, "end"),
    ):
        candidate = box(text, x + dx, y + dy, anchor)
        if candidate.inside(room) and not any(candidate.overlaps(other) for other in taken):
            return x + dx, y + dy, anchor
    return None


def spread(wanted: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Places near `wanted`, `gap` apart, between `low` and `high` as long as there is room for all.

    Pushed down in order, then back up from the lower edge.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed, edge = list(wanted), low
    for index in order:
        placed[index] = max(placed[index], edge)
        edge = placed[index] + gap
    edge = high
    for index in reversed(order):
        placed[index] = min(placed[index], edge)
        edge = placed[index] - gap
    return placed
