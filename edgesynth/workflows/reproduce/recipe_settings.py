"""What recipes share: the options of `reproduce` in, and JSON data out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def settings_of(given: Mapping[str, Any], taken: Collection[str], paper: str) -> dict[str, Any]:
    """What of `given` is set, for a recipe without lineages.

    `taken` are the options that mean something to `paper`. Raises UserError for others, and where
    `epochs` differ by generation.
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


def document_of(recipe: DataclassInstance) -> dict[str, object]:
    """The recipe as JSON data."""
    values = {each.name: getattr(recipe, each.name) for each in fields(recipe)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
