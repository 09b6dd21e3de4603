"""Documents of any shape as one line of words, for provenance; and names as titles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def in_words(document: Mapping[str, Any]) -> str:
    """Every known value with its place: {"cpu": {"cores": 4}} -> `cpu cores 4`."""
    return ", ".join(f"{name} {value}" for name, value in _flat(document))


def capital(metric: str) -> str:
    """The name of a figure of merit at the start of a line: `Accuracy`, but `mAP@0.5`."""
    return metric.capitalize() if metric.islower() else metric


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} ")
        elif isinstance(value, list):
            yield name, " and ".join(map(_scalar, value)) or "none"
        elif value is not None:
            yield name, _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, Mapping):
        return f"({in_words(value)})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
