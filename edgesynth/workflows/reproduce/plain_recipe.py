"""Options of `reproduce` as settings of a recipe that has no lineages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from edgesynth.core.errors import UserError


def settings_of(given: Mapping[str, Any], taken: Collection[str], paper: str) -> dict[str, Any]:
    """What of `given` is set: `taken` are those that mean something to `paper`.

    Raises UserError for others, and where `epochs` differ by generation.
    """
    asked = {name: value for name, value in given.items() if value not in (None, ())}
    for name in asked:
        if name not in taken:
            raise UserError(f"--{name.replace('_', '-')} means nothing to reproduce {paper}")
    if "network" in asked:
        asked["networks"] = (asked.pop("network"),)
    if "epochs" in asked:
        if not str(asked["epochs"]).isdigit():
            raise UserError(f"--epochs {asked['epochs']}: reproduce {paper} takes one number")
        asked["epochs"] = int(asked["epochs"])
    return asked
