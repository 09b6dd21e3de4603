"""Validation images that a network was not trained on."""

from __future__ import annotations

import re
from pathlib import Path

from edgesynth.networks.edgenet import read_description


def validation_seed(parent: str, data: str, seed: int) -> tuple[int, bool]:
    """(seed to load `data` with, whether its validation images are new to `parent`).

    A `.edgenet` says what it was trained on and with which seed; then that is the seed. It does not
    matter how many training images it had. Anything else says nothing, and `seed` is taken.
    """
    if not (Path(parent) / "network.json").is_file():
        return seed, False
    description = read_description(Path(parent))
    drawn = description.lineage.seed
    if drawn is None or _whole(description.data) != _whole(data):
        return seed, False
    return drawn, True


def _whole(data: str) -> str:
    return re.sub(r"@\d+$", "", data)
