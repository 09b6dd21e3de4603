"""Label files of KITTI's object benchmark: one object a line, 15 fields (16 with a score).

Fields (devkit_object, readme.txt): type, truncated (0 to 1), occluded (0 to 3), alpha, left, top,
right, bottom (pixels), three dimensions, three coordinates, rotation_y. What a DontCare line does
not know is -1, -10 or -1000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesynth.core.errors import UserError, nearest, shown

KINDS = (
    "Car",
    "Van",
    "Truck",
    "Pedestrian",
    "Person_sitting",
    "Cyclist",
    "Tram",
    "Misc",
    "DontCare",
)
"""The types that KITTI's own labels have."""

_LEAST_HEIGHT = (40.0, 25.0, 25.0)
_MOST_OCCLUDED = (0, 1, 2)
_MOST_TRUNCATED = (0.15, 0.3, 0.5)


@dataclass(frozen=True)
class KittiObject:
    """What detection needs of a line."""

    kind: str
    truncated: float
    occluded: int
    corners: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels."""

    @property
    def level(self) -> int:
        """The lowest difficulty that counts it: 0 easy, 1 moderate, 2 hard, 3 none (devkit)."""
        height = self.corners[3] - self.corners[1]
        limits = zip(_LEAST_HEIGHT, _MOST_OCCLUDED, _MOST_TRUNCATED, strict=True)
        for level, (least, occluded, truncated) in enumerate(limits):
            if height >= least and self.occluded <= occluded and self.truncated <= truncated:
                return level
        return len(_LEAST_HEIGHT)


def parse_line(line: str, place: str, kinds: tuple[str, ...] = KINDS) -> KittiObject:
    """The object on one line; `place` is file and line in error messages.

    `kinds`: the types that may occur. Raises UserError naming the place and the wrong field.
    """
    words = line.split()
    if len(words) not in (15, 16):
        raise UserError(f"{place}: {len(words)} fields, not 15 (or 16 with a score)")
    if words[0] not in kinds:
        raise UserError(
            f'{place}: unknown type "{shown(words[0])}"; {nearest(words[0], list(kinds))}'
        )
    numbers = [_number(word, position, place) for position, word in enumerate(words[1:], 2)]
    truncated, occluded = numbers[:2]
    left, top, right, bottom = numbers[3:7]
    if occluded not in (-1, 0, 1, 2, 3):
        raise UserError(f'{place}: field 3, occluded, is "{shown(words[2])}", not -1 to 3')
    if not (truncated == -1 or 0 <= truncated <= 3):  # tracking labels count it 0 to 2
        raise UserError(f'{place}: field 2, truncated, is "{shown(words[1])}", not 0 to 1')
    if right < left or bottom < top:
        raise UserError(f"{place}: the box ends before it begins ({' '.join(words[4:8])})")
    return KittiObject(words[0], truncated, int(occluded), (left, top, right, bottom))


def _number(word: str, position: int, place: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e6:
        raise UserError(f'{place}: field {position} is "{shown(word)}", not a number')
    return value
