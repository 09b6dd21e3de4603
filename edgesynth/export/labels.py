"""Class names from a user's file."""

from __future__ import annotations

import json
from pathlib import Path

from edgesynth.core.errors import UserError


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels in `path`: one per line, or a JSON list of strings. Empty lines are left out.

    Raises UserError naming the file when it is absent, holds none, or is no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"labels {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"labels {path} are not UTF-8 text; write one label per line") from None
    if text.lstrip().startswith("["):
        try:
            labels = json.loads(text)
        except ValueError as error:
            raise UserError(f"labels {path} are not valid JSON: {error}") from None
        if not all(isinstance(label, str) for label in labels):
            raise UserError(f"labels {path} must be a JSON list of strings")
    else:
        labels = [line.strip() for line in text.splitlines() if line.strip()]
    if not labels:
        raise UserError(f"labels {path} hold no label; write one per line")
    return tuple(labels)
