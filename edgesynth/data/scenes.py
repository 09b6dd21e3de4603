"""Composing a scene: small grey pictures of things pasted onto a cluttered canvas.

Only integers and single IEEE operations touch the pixels, so a seed gives the same scene on every
machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.data.resampling import resized
from edgesynth.data.splits import Labels, Pixels

MOST_ITEMS = 5
EMPTY_SHARE = 0.05
SCALES = (0.6, 1.6)
VISIBLE = 0.65
"""At least this share of every item's silhouette is neither hidden nor outside the canvas."""

_MOST_DISTRACTORS = 4
_FRAGMENT = (0.3, 0.55)  # sides of a fragment as shares of its item's: never above 0.3 of its area
_TRIES = 10
_SILHOUETTE = 16  # pixels brighter than this belong to an item; scans are black around it
_HALF = 128


@dataclass(frozen=True)
class Scene:
    """A composed picture and what can be seen in it."""

    pixels: Pixels
    """uint8 (size, size)."""
    corners: npt.NDArray[np.float32]
    """Tight around the visible part of each item: left, top, right, bottom, shape (n, 4)."""
    classes: npt.NDArray[np.int64]
    """Class of each item, shape (n,)."""
    owner: npt.NDArray[np.int8]
    """Which item each pixel shows, -1 for none, shape (size, size)."""


@dataclass(frozen=True)
class _Cutout:
    """A resized thing without its black surroundings; both arrays have shape (height, width)."""

    pixels: Pixels
    opacity: Pixels


def compose(items: Pixels, labels: Labels, size: int, random: np.random.Generator) -> Scene:
    """One scene of `size` x `size` pixels from `random`.

    items: uint8 (n, height, width), bright on black; labels: their classes, shape (n,). Holds 1 to
    5 items, fewer where no place is found for them, none in one scene of twenty.
    """
    canvas = _background(size, random)
    for _ in range(_below(_MOST_DISTRACTORS + 1, random)):
        _add_distractor(canvas, items, random)
    count = 0 if random.random() < EMPTY_SHARE else 1 + _below(MOST_ITEMS, random)
    owner = np.full((size, size), -1, np.int8)
    silhouettes: list[int] = []
    classes: list[int] = []
    for _ in range(count):
        chosen = _below(len(items), random)
        cutout = _cut_out(items[chosen], random)
        silhouette = int(np.count_nonzero(cutout.opacity >= _HALF))
        if silhouette and _place(cutout, silhouette, canvas, owner, silhouettes, random):
            silhouettes.append(silhouette)
            classes.append(int(labels[chosen]))
    corners = np.array([_extent(owner == index) for index in range(len(classes))], np.float32)
    return Scene(canvas, corners.reshape(-1, 4), np.array(classes, np.int64), owner)


def _background(size: int, random: np.random.Generator) -> Pixels:
    """A gradient, clouds and grain."""
    levels = (10 + 100 * random.random((2, 2))).astype(np.uint8)
    cells = 3 + _below(10, random)
    clouds = np.frombuffer(random.bytes(cells * cells), np.uint8).reshape(cells, cells)
    grain = np.frombuffer(random.bytes(size * size), np.uint8).reshape(size, size)
    cloudiness, graininess = _below(80, random), _below(30, random)
    total = resized(levels, size, size).astype(np.int32) * 256
    total += (resized(clouds, size, size).astype(np.int32) - _HALF) * cloudiness
    total += (grain.astype(np.int32) - _HALF) * graininess
    pixels: Pixels = np.clip(total >> 8, 0, 255).astype(np.uint8)
    return pixels


def _add_distractor(canvas: Pixels, items: Pixels, random: np.random.Generator) -> None:
    """Paste a fragment of an item, or a plain bar, anywhere."""
    size = len(canvas)
    if random.random() < 0.3:
        height, width = (2 + _below(size // 4, random) for _ in range(2))
        pixels = np.full((height, width), 40 + _below(180, random), np.uint8)
        cutout = _Cutout(pixels, np.full_like(pixels, 255))
    else:
        cutout = _fragment(_cut_out(items[_below(len(items), random)], random), random)
    height, width = cutout.pixels.shape
    top = _below(size + height, random) - height
    left = _below(size + width, random) - width
    _paste(cutout, canvas, top, left)


def _fragment(whole: _Cutout, random: np.random.Generator) -> _Cutout:
    window = []
    for side in whole.pixels.shape:
        length = max(2, int(side * _between(*_FRAGMENT, random)))
        start = _below(max(1, side - length + 1), random)
        window.append(slice(start, start + length))
    rows, columns = window
    return _Cutout(whole.pixels[rows, columns], whole.opacity[rows, columns])


def _cut_out(item: Pixels, random: np.random.Generator) -> _Cutout:
    """The item at a random scale, mirrored half the time, darkened a little."""
    scale = _between(*SCALES, random)
    gain = 140 + _below(117, random)
    height, width = (max(4, int(side * scale + 0.5)) for side in item.shape)
    if random.random() < 0.5:
        item = item[:, ::-1]
    picture, opacity = resized(np.stack([item, _silhouette(item)]), height, width)
    left, top, right, bottom = _extent(opacity >= _HALF)
    pixels = picture[top:bottom, left:right].astype(np.uint32)
    return _Cutout((pixels * gain >> 8).astype(np.uint8), opacity[top:bottom, left:right])


def _silhouette(item: Pixels) -> Pixels:
    """255 where the item is, holes that it surrounds on all four sides included."""
    bright = item > _SILHOUETTE
    across = np.logical_or.accumulate(bright, 1)
    across &= np.logical_or.accumulate(bright[:, ::-1], 1)[:, ::-1]
    along = np.logical_or.accumulate(bright, 0)
    along &= np.logical_or.accumulate(bright[::-1], 0)[::-1]
    return (across & along).astype(np.uint8) * np.uint8(255)


def _place(
    cutout: _Cutout,
    silhouette: int,
    canvas: Pixels,
    owner: npt.NDArray[np.int8],
    earlier: list[int],
    random: np.random.Generator,
) -> bool:
    """Paste the cutout where enough of it and of all earlier items stays visible, if it can be.

    earlier: pixels of the whole silhouette of each item in `owner`.
    """
    size, (height, width) = len(canvas), cutout.pixels.shape
    solid = cutout.opacity >= _HALF
    visible = np.bincount(owner.ravel() + 1, minlength=len(earlier) + 1)[1:]
    needed = VISIBLE * np.array(earlier)
    for _ in range(_TRIES):
        top = int(_between(-0.25 * height, size - 0.75 * height, random))
        left = int(_between(-0.25 * width, size - 0.75 * width, random))
        target, source = _window(top, left, height, width, size)
        inside = solid[source]
        hidden = np.bincount(owner[target][inside] + 1, minlength=len(earlier) + 1)[1:]
        if np.count_nonzero(inside) >= VISIBLE * silhouette and (visible - hidden >= needed).all():
            _paste(cutout, canvas, top, left)
            owner[target][inside] = len(earlier)
            return True
    return False


def _paste(cutout: _Cutout, canvas: Pixels, top: int, left: int) -> None:
    height, width = cutout.pixels.shape
    target, source = _window(top, left, height, width, len(canvas))
    opacity = cutout.opacity[source].astype(np.uint32)
    mixed = canvas[target] * (255 - opacity) + cutout.pixels[source] * opacity
    canvas[target] = (mixed + 127) // 255


def _window(
    top: int, left: int, height: int, width: int, size: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where in the canvas a thing lies, and which part of the thing that is."""
    rows = slice(max(top, 0), max(min(top + height, size), 0))
    columns = slice(max(left, 0), max(min(left + width, size), 0))
    part = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    return (rows, columns), part


def _extent(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom around what is true; the whole when nothing is."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _below(limit: int, random: np.random.Generator) -> int:
    """An integer from 0 to limit - 1; plain doubles keep their stream across numpy's versions."""
    return int(random.random() * limit)


def _between(low: float, high: float, random: np.random.Generator) -> float:
    return low + (high - low) * random.random()
