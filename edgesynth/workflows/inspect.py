"""Reads every kind of artefact and says what is in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError

SCHEMA = "edgesynth.inspection/1"
KINDS = (
    "a .edgenet folder, a .bundle folder or .tar, a run folder or its history.jsonl, "
    "the folder of a search, a .generator folder, a *.record.json, or an .onnx file"
)

#: a file that a folder of each kind holds -> the kind
_FOLDERS = {
    "network.json": "network",
    "manifest.json": "bundle",
    "history.jsonl": "run",
    "search.json": "search",
    "generator.json": "generator",
}
_SCHEMAS = {"edgesynth.record": "record", "edgesynth.run": "run", "edgesynth.network": "network",
            "edgesynth.bundle": "bundle", "edgesynth.search": "search",
            "edgesynth.generator": "generator"}  # fmt: skip
_MOST_JSON_BYTES = 256 << 20


def inspect(path: Path, *, trust: Collection[str] = ()) -> dict[str, Any]:
    """Everything that the artefact at `path` says about itself.

    `trust` lists the factories (`package.module:function`) of networks that may be imported.
    Hashes are verified on the way. Returns {"schema", "artefact": its kind, "path", ...}; the rest
    depends on the kind.

    Raises UserError naming what is absent, damaged, or of no known kind.
    """
    kind, place = _kind(path)
    return {
        "schema": SCHEMA,
        "artefact": kind,
        "path": str(path),
        **_reader(kind, trust)(place),
    }


def _reader(kind: str, trust: Collection[str]) -> Callable[[Path], dict[str, Any]]:
    """The function that reads `kind`; torch and onnx are imported only where it needs them."""
    if kind == "network":
        from edgesynth.workflows.artefacts.network import read_network

        return lambda place: read_network(place, trust)
    if kind == "bundle":
        from edgesynth.workflows.artefacts.bundle import read_bundle

        return read_bundle
    if kind == "run":
        from edgesynth.workflows.artefacts.run import read_run

        return read_run
    if kind == "search":
        from edgesynth.workflows.artefacts.search import read_searched

        return read_searched
    if kind == "generator":
        from edgesynth.workflows.artefacts.search import read_learned

        return lambda place: read_learned(place, tuple(trust))
    if kind == "record":
        from edgesynth.workflows.artefacts.record import read_record

        return read_record
    from edgesynth.workflows.artefacts.onnx_model import read_onnx

    return read_onnx


def _kind(path: Path) -> tuple[str, Path]:
    """The kind of the artefact at `path`, and the folder or file that holds it."""
    if path.is_dir():
        for name, kind in _FOLDERS.items():
            if (path / name).is_file():
                return kind, path
        by_name = {".edgenet": "network", ".bundle": "bundle", ".generator": "generator"}
        if path.suffix in by_name:
            return by_name[path.suffix], path
        raise UserError(f"{path} holds no artefact itself; inspect reads {KINDS}")
    if not path.exists():
        raise UserError(f"there is no {path}; inspect reads {KINDS}")
    if path.suffix in (".onnx", ".tar", ".jsonl"):
        return {".onnx": "onnx", ".tar": "bundle", ".jsonl": "run"}[path.suffix], path
    stated = _kind_by_schema(path) if path.suffix == ".json" else None
    if stated is None:
        raise UserError(f"{path} is of no kind that inspect knows; it reads {KINDS}")
    return stated, path if stated == "record" else path.parent


def _kind_by_schema(path: Path) -> str | None:
    if path.stat().st_size > _MOST_JSON_BYTES:
        return None
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); make it again") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    return _SCHEMAS.get(schema.partition("/")[0]) if isinstance(schema, str) else None
