"""Trained networks to bundles: the first thing most people do with a model of their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import CheckError, UserError
from edgesynth.core.factory import is_factory
from edgesynth.core.network import Preprocessing
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line
from edgesynth.data.source import load_dataset
from edgesynth.export.bundle import Written, refuse_to_replace, write_bundle
from edgesynth.export.candidate import Candidate
from edgesynth.export.from_network import from_network
from edgesynth.export.from_onnx import from_onnx
from edgesynth.export.labels import read_labels
from edgesynth.export.onnx_file import opset_of
from edgesynth.export.options import ExportOptions, fit_channels
from edgesynth.export.rules import check_model, fatal
from edgesynth.hardware.target import Target, load_target
from edgesynth.networks.darknet_weights import is_darknet_weights
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.networks.zoo_spec import is_zoo_spec
from edgesynth_rt.files import sha256_of

SCHEMA = "edgesynth.export/1"
MANY = "edgesynth.exports/1"
"""Schema of several documents of `SCHEMA`, in "exports"."""
DEFAULT_TARGET = "jetpack-4.6"
_WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".h5", ".pb", ".weights")


def export(
    source: str | Network,
    *,
    target: str = DEFAULT_TARGET,
    out: Path,
    options: ExportOptions | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `source` as the bundle `out` for `target` and return what was written.

    `source`: a zoo name, a `.edgenet` folder, `package.module:factory`, an ONNX file, or a network
    in memory. Golden inputs are drawn with `seed`. The bundle is checked against the target and run
    in ONNX Runtime before it takes its place.

    Raises UserError for bad input; CheckError, naming the node and the remedy, when the target does
    not accept the network or the exported file computes other numbers.
    """
    progress = progress or Silent()
    options = options or ExportOptions()
    wanted = load_target(target)
    refuse_to_replace(out)
    label = source if isinstance(source, str) else source.name
    with progress.track(f"export {label}", 3) as task:
        candidate = _candidate(source, wanted, options, progress, seed)
        task.advance(note="checking it against the target")
        for warning in candidate.warnings:
            progress.say(f"warning: {warning}")
        _require_fit(candidate, wanted, progress)
        task.advance(note="writing and running it")
        written = write_bundle(candidate, wanted, out, command=command_line(), seed=seed)
        task.advance()
    return _document(candidate, wanted, out, written)


def _candidate(
    source: str | Network, target: Target, options: ExportOptions, progress: Progress, seed: int
) -> Candidate:
    data = None if options.data is None else load_dataset(options.data, progress=progress)
    labels = () if options.labels is None else read_labels(options.labels)
    if isinstance(source, str) and source.endswith(".onnx"):
        candidate = _from_onnx(Path(source), target, options, labels, data, seed)
    else:
        network = (
            source
            if isinstance(source, Network)
            else _resolve(source, options, data, progress, seed)
        )
        shape = network.description.input_shape
        known = _preprocessing(source, network, options, data)
        candidate = from_network(
            network,
            target,
            batch=None if options.batch == "dynamic" else int(options.batch or 1),
            preprocessing=None if known is None else fit_channels(known, shape[0], network.name),
            labels=labels or network.description.classes,
            data=data,
            output_names=options.output_names,
            operators=options.operators,
            seed=seed,
        )
        if options.weights is not None:
            candidate = dataclasses.replace(candidate, parent=sha256_of(options.weights))
    return dataclasses.replace(candidate, name=options.name or candidate.name)


def _from_onnx(
    path: Path,
    target: Target,
    options: ExportOptions,
    labels: tuple[str, ...],
    data: Dataset | None,
    seed: int,
) -> Candidate:
    if options.weights is not None or options.output_names:
        raise UserError(
            f"{path} holds its weights and names; leave --weights and --output-names out"
        )
    return from_onnx(
        path,
        target,
        batch=options.batch,
        input_shape=options.input_shape,
        preprocessing=options.preprocessing or _of_data(data),
        labels=labels or (data.classes if data else ()),
        data=data,
        operators=options.operators,
        seed=seed,
    )


def _resolve(
    source: str, options: ExportOptions, data: Dataset | None, progress: Progress, seed: int
) -> Network:
    path = Path(source)
    if (path / "manifest.json").is_file():
        raise UserError(f"{source} is a bundle already; `edgesynth check {source}` looks at it")
    if path.suffix.lower() in _WEIGHTS and not is_factory(source):
        raise UserError(
            f"{source} holds weights, not the network they belong to; name the function that makes "
            f"it: edgesynth export package.module:function --weights {source} "
            "--input-shape 3x224x224"
        )
    if _untrained(source) and options.weights is None:
        progress.say(f"warning: {source} gets random weights; give trained ones with --weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return resolve(
            source,
            weights=options.weights,
            input_shape=options.input_shape or (data.input_shape if data else None),
            classes=data.classes if data else None,
            trust=options.trust,
        )


def _untrained(source: str) -> bool:
    """Whether `source` is an architecture alone."""
    return is_zoo_spec(source) or source.endswith(".cfg")


def _preprocessing(
    source: str | Network, network: Network, options: ExportOptions, data: Dataset | None
) -> Preprocessing | None:
    """What is known: the user's word, the saved network's own, the data set's, or nothing."""
    if options.preprocessing is not None:
        return options.preprocessing
    if isinstance(source, Network) or source.endswith(".edgenet") or Path(source).is_dir():
        return network.description.preprocessing
    if source.endswith(".cfg") or (options.weights and is_darknet_weights(options.weights)):
        return network.description.preprocessing  # darknet's own: pixels in 0..1
    return _of_data(data)


def _of_data(data: Dataset | None) -> Preprocessing | None:
    return None if data is None else Preprocessing(mean=data.mean, std=data.std)


def _require_fit(candidate: Candidate, target: Target, progress: Progress) -> None:
    findings = check_model(candidate.model, target)
    for finding in findings:
        if not finding.fatal:
            progress.say(f"note: {finding}")
    refused = fatal(findings)
    for finding in refused[1:]:
        progress.say(f"also: {finding}")
    if refused:
        more = f" (and {len(refused) - 1} more, above)" if refused[1:] else ""
        raise CheckError(f"{candidate.name} does not fit {target.name}: {refused[0]}{more}")


def _document(candidate: Candidate, target: Target, out: Path, written: Written) -> dict[str, Any]:
    stages = [
        {
            **stage,
            "size_bytes": (out / stage["onnx"]).stat().st_size,
            "opset": opset_of(candidate.model),
            "ir_version": int(candidate.model.ir_version),
            "nodes": len(candidate.model.graph.node),
        }
        for stage in written.manifest["stages"]
    ]
    return {
        "schema": SCHEMA,
        "bundle": str(out),
        "id": written.id,
        "name": candidate.name,
        "target": target.name,
        "target_title": target.title,
        "stages": stages,
        "preprocessing": written.manifest["preprocessing"],
        "labels": list(candidate.labels),
        "cost": dict(candidate.cost),
        "accuracy": dict(candidate.accuracy),
        "operators": written.manifest.get("operator_layers", []),
        "golden": written.manifest["golden"],
        "agreement": [each.document() for each in written.agreements],
        "warnings": list(candidate.warnings),
    }
