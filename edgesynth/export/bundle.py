"""Writes a bundle folder in one step, and only when what was written opens, runs and agrees."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesynth.core.errors import CheckError, EdgesynthError, UserError
from edgesynth.core.network import Preprocessing
from edgesynth.export.agreement import Agreement, agree
from edgesynth.export.candidate import Candidate
from edgesynth.export.golden import RTOL, tolerances
from edgesynth.export.onnx_file import serialize
from edgesynth.export.session import Arrays
from edgesynth.hardware.target import Target
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.files import new_folder, read_json, write_bytes, write_json
from edgesynth_rt.manifest import DYNAMIC_BATCH, MANIFEST, SCHEMA
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.verify import run_golden

STAGE = "main"
GOLDEN = "golden.npz"


@dataclass(frozen=True)
class Written:
    """A bundle that was written, and how it agreed with its source before it was."""

    manifest: dict[str, Any]
    id: str
    """SHA-256 of manifest.json."""
    agreements: list[Agreement]


def write_bundle(
    candidate: Candidate, target: Target, folder: Path, *, command: str = "", seed: int = 0
) -> Written:
    """Write `candidate` as the bundle `folder`.

    The files are written beside `folder`, opened as any consumer would, run in ONNX Runtime and
    compared with the golden outputs; only then do they take the place of `folder`, which must be
    absent, empty, or a bundle.

    Raises CheckError with the worst element when ONNX Runtime computes other numbers; UserError
    when the folder holds something else or cannot be written.
    """
    return install(
        candidate.name,
        folder,
        lambda place: _write_files(candidate, target, place, command, seed),
    )


def install(name: str, folder: Path, fill: Callable[[Path], None]) -> Written:
    """Let `fill` write a bundle's files and put them at `folder` once they agree; see
    `write_bundle`. `name` is the bundle's in messages."""
    refuse_to_replace(folder)
    with new_folder(folder) as temporary:
        place = Path(temporary)
        fill(place)
        try:
            bundle = open_bundle(place)
            agreements = compare_golden(bundle)
        except EdgesynthError as error:
            reason = str(error).replace(str(place), str(folder))
            raise CheckError(f"{name} was not exported: {reason}") from None
        failed = [each for each in agreements if not each.passed]
        if failed:
            raise CheckError(
                f"{name}: the exported file computes other numbers than its source: "
                f"{failed[0]}; a branch or a size that depends on the input was frozen"
            )
    return Written(bundle.manifest, bundle.id, agreements)


def refuse_to_replace(folder: Path) -> None:
    """Raise UserError when `folder` is something that an export must not overwrite."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_dir() and not folder.is_symlink():
        if not any(folder.iterdir()) or _is_bundle(folder):
            return
        raise UserError(f"{folder} is a folder but not a bundle; choose another --out")
    raise UserError(f"{folder} exists and is not a bundle folder; choose another --out")


def _is_bundle(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    try:
        schema = read_json(folder / MANIFEST, "manifest").get("schema")
    except EdgesynthError:
        return False
    return isinstance(schema, str) and schema.startswith("edgesynth.bundle/")


def compare_golden(
    bundle: Any, *, atol: float | None = None, rtol: float | None = None
) -> list[Agreement]:
    """Run the golden inputs of an open bundle in ONNX Runtime and compare every output.

    An open batch runs once as a whole and once sample by sample, so that a batch that was frozen
    into the file shows. `atol` and `rtol` replace those of the manifest.
    """
    runner = OnnxRuntimeRunner(bundle, threads=0)
    inputs, expected = bundle.golden()
    bounds, relative = golden_tolerances(bundle, atol=atol, rtol=rtol)
    samples = len(next(iter(inputs.values())))
    agreements = agree(expected, run_golden(runner, bundle, inputs, samples), bounds, relative)
    if runner.batch is None and all(each.passed for each in agreements):
        agreements = agree(expected, run_golden(runner, bundle, inputs, 1), bounds, relative)
    return agreements


def golden_tolerances(
    bundle: Any, *, atol: float | None = None, rtol: float | None = None
) -> tuple[dict[str, float], float]:
    """(absolute tolerance per output, relative tolerance) of an open bundle."""
    stated = bundle.manifest["golden"]
    own = stated.get("output_atol", {})
    names = [output["name"] for output in bundle.golden_outputs]
    bounds = {name: atol if atol is not None else own.get(name, stated["atol"]) for name in names}
    return bounds, stated["rtol"] if rtol is None else rtol


def _write_files(
    candidate: Candidate, target: Target, place: Path, command: str, seed: int
) -> None:
    data = serialize(candidate.model)
    write_bytes(place / f"{STAGE}.onnx", data)
    golden = golden_file(candidate.golden_inputs, candidate.golden_outputs)
    write_bytes(place / GOLDEN, golden)
    manifest = {
        "schema": SCHEMA,
        "name": candidate.name,
        "task": candidate.task,
        "target": target.name,
        "stages": [
            {
                "id": STAGE,
                "onnx": f"{STAGE}.onnx",
                "sha256": hashlib.sha256(data).hexdigest(),
                "inputs": tensors(candidate.golden_inputs, candidate.batch),
                "outputs": tensors(candidate.golden_outputs, candidate.batch),
            }
        ],
        "policy": None,
        "operators": _operators(candidate),
        **({"operator_layers": list(candidate.operators)} if candidate.operators else {}),
        "golden": golden_facts(candidate.golden_outputs, golden, candidate.range_tolerance),
        "preprocessing": preprocessing_facts(candidate.preprocessing),
        **({"postprocessing": candidate.postprocessing} if candidate.postprocessing else {}),
        "labels": list(candidate.labels),
        "accuracy": dict(candidate.accuracy),
        "cost": dict(candidate.cost),
        "precision": candidate.precision,
        "provenance": {
            "parent": candidate.parent,
            "command": command,
            "seed": seed,
            "versions": dict(candidate.versions),
        },
    }
    write_json(place / MANIFEST, manifest)


def tensors(arrays: Arrays, batch: int | None) -> list[dict[str, object]]:
    """`arrays` as a manifest lists tensors, with the batch `batch` (None where it is open)."""
    first = DYNAMIC_BATCH if batch is None else batch
    return [
        {"name": name, "dtype": array.dtype.name, "shape": [first, *array.shape[1:]]}
        for name, array in arrays.items()
    ]


def _operators(candidate: Candidate) -> list[dict[str, str]]:
    """Custom operators that the file needs, each once."""
    types = sorted({n.op_type for n in candidate.model.graph.node if n.domain == "edgesynth"})
    return [{"type": each, "version": "1"} for each in types]


def golden_facts(outputs: Arrays, data: bytes, range_tolerance: float) -> dict[str, object]:
    """What a manifest says of the golden file `data` with these `outputs`."""
    bounds = tolerances(outputs, range_tolerance)
    stated: dict[str, object] = {
        "file": GOLDEN,
        "sha256": hashlib.sha256(data).hexdigest(),
        "samples": len(next(iter(outputs.values()))),
        "atol": max(bounds.values()),
        "rtol": RTOL,
    }
    if len(bounds) > 1:
        stated["output_atol"] = bounds
    return stated


def preprocessing_facts(known: Preprocessing | None) -> dict[str, object] | None:
    """What a manifest says of `known`."""
    if known is None:
        return None
    return {
        "layout": "NCHW",
        "dtype": "uint8",
        "scale": known.scale,
        "mean": list(known.mean),
        "std": list(known.std),
    }


def golden_file(inputs: Arrays, outputs: Arrays) -> bytes:
    """The bytes of the golden file."""
    arrays: dict[str, Any] = {f"input/{name}": array for name, array in inputs.items()}
    arrays |= {f"output/{name}": array for name, array in outputs.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
