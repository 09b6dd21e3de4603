"""Predicted records: what is known of a file, and what a board is predicted to make of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError
from edgesynth.core.metric import ACCURACY, metric_of
from edgesynth.core.provenance import command_line, versions
from edgesynth.hardware.board import Board, PowerMode
from edgesynth.hardware.energy import energy_gap, energy_scope, predict_energy_mj
from edgesynth.hardware.fitted import energy_trust, latency_trust, load_latency_model
from edgesynth.hardware.layers import Layer, Precision
from edgesynth.hardware.onnx_graph import Graph, read_graph
from edgesynth.hardware.onnx_layers import layers_of
from edgesynth.hardware.roofline import LayerTime, predict_layers
from edgesynth_rt.bundle import Bundle, open_bundle
from edgesynth_rt.record import SCHEMA, now

_DOMAIN = b"edgesynth"
"""Stands in every file with custom operators, whose domain it is."""


@dataclass(frozen=True)
class Subject:
    """What is predicted: a bundle, or a bare ONNX file."""

    name: str
    identity: dict[str, Any]
    layers: list[Layer]
    batch: int | None
    """The batch that its files are fixed to; None when it is free."""
    cost: dict[str, Any]
    accuracy: dict[str, Any]
    doubts: list[str] = field(default_factory=list)
    custom: dict[str, str] = field(default_factory=dict)
    """Nodes that are custom operators, with their types: counted as the dense layers they stand
    for, whose time says nothing of the plugins'."""
    stages: tuple[tuple[int, float], ...] = ()
    """(number of layers, share of inputs that reach them) of each stage of a bundle with exits."""
    exits: dict[str, Any] | None = None
    """Where inputs are expected to leave, for the record."""

    def parts(self, batch: int) -> list[tuple[list[Layer], float]]:
        """Layers that run together, and the share of inputs that reach them.

        A whole batch goes on while one of its samples does, so shares tell of single inputs only.
        """
        if not self.stages or batch > 1:
            return [(self.layers, 1.0)]
        ends = list(accumulate(count for count, _ in self.stages))
        return [
            (self.layers[end - count : end], reach)
            for end, (count, reach) in zip(ends, self.stages, strict=True)
        ]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return sum(layer.macs for layer in self.layers)


def read_subject(path: Path) -> Subject:
    """The bundle (folder or .tar) or ONNX file at `path`; raises UserError when it is neither."""
    if path.is_dir() or path.suffix == ".tar":
        with open_bundle(path) as bundle:
            subject = _of_bundle(bundle)
    else:
        subject = _of_onnx(path)
    if not subject.layers:
        raise UserError(f"{path}: no node takes time on a board; there is nothing to predict")
    return subject


def _of_onnx(path: Path) -> Subject:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    counted = _count(data, str(path))
    graph, layers = counted.graph, counted.layers
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip(".-") or "network"
    return Subject(
        name=name,
        identity={"name": name, "id": None, "onnx_sha256": hashlib.sha256(data).hexdigest()},
        layers=layers,
        batch=graph.batch if graph.batch_is_fixed else None,
        cost={
            "params": graph.params,
            "macs": sum(layer.macs for layer in layers),
            "size_bytes": 4 * graph.params,
        },
        accuracy={"not_measured": "a prediction runs nothing, and an ONNX file states no accuracy"},
        doubts=_unpredicted(counted.custom, counted.inlined),
        custom=counted.custom,
    )


def _of_bundle(bundle: Bundle) -> Subject:
    counted = [_count(stage.read(), stage.what) for stage in bundle.stages]
    custom = {name: kind for each in counted for name, kind in each.custom.items()}
    doubts = _unpredicted(custom, {kind for each in counted for kind in each.inlined})
    reach = _reach(bundle)
    if len(bundle.stages) > 1 and not reach:
        doubts.append("all stages are counted, as if no sample left at an early exit")
    expected = bundle.policy.expected if reach else None
    return Subject(
        name=bundle.name,
        identity={"name": bundle.name, "id": bundle.id},
        layers=[layer for each in counted for layer in each.layers],
        batch=bundle.stages[0].batch,
        cost=bundle.cost,
        accuracy=_stated_accuracy(bundle.manifest),
        doubts=doubts,
        custom=custom,
        stages=tuple(zip((len(each.layers) for each in counted), reach, strict=False)),
        exits={"policy": "exits", "expected": expected} if reach else None,
    )


def _reach(bundle: Bundle) -> list[float]:
    """The share of inputs that reach each stage of a chain of exits; empty where it is unknown."""
    policy = bundle.policy
    if policy is None or policy.kind != "exits" or policy.expected is None:
        return []
    if bundle.batch not in (None, 1):
        return []
    leaving = [policy.expected.get(stage, 0.0) for stage in policy.stages]
    return [1.0 - sum(leaving[:index]) for index in range(len(leaving))]


@dataclass(frozen=True)
class _Counted:
    """The layers of one file."""

    graph: Graph
    layers: list[Layer]
    custom: dict[str, str]
    """Operators that are counted as dense layers: node -> type."""
    inlined: set[str]
    """Types of operators that are counted as the bodies of their functions."""


def _count(data: bytes, where: str) -> _Counted:
    """Read the file; operators that multiply weights are counted as dense layers."""
    custom: dict[str, str] = {}
    inlined: set[str] = set()
    if _DOMAIN in data:
        from edgesynth.export.dense_form import dense_bytes

        data, custom, inlined = dense_bytes(data)
    graph = read_graph(data, where)
    return _Counted(graph, layers_of(graph, where), custom, inlined)


def _unpredicted(custom: dict[str, str], inlined: set[str]) -> list[str]:
    """What of the operators' own speed is not known."""
    doubts = []
    if custom:
        names = ", ".join(sorted(set(custom.values())))
        doubts.append(
            f"{len(custom)} layers are custom operators ({names}): their latency and energy are "
            "those of the dense layers they stand for; what a plugin gains or loses is not "
            "predicted, only measured on a board"
        )
    if inlined:
        doubts.append(
            f"{', '.join(sorted(inlined))}: counted as the standard operators of its function, "
            "each a kernel of its own; the plugin's one kernel is not predicted"
        )
    return doubts


def _stated_accuracy(manifest: dict[str, Any]) -> dict[str, Any]:
    """The accuracy that the bundle states of its source network: on test data if it is there."""
    stated, metric = manifest["accuracy"], metric_of(manifest["task"])
    for split in ("test", "validation"):
        if stated.get(split) is not None:
            facts = {"split": split, "source": "stated by the bundle"}
            data = {"data": stated["data"]} if stated.get("data") else {}
            named = {"metric": metric} if metric != ACCURACY else {}
            return {"value": stated[split], **named, **data, **facts}
    return {"not_measured": "a prediction runs nothing, and the bundle states no accuracy"}


def predicted_record(
    subject: Subject, board: Board, mode: PowerMode, precision: Precision, wanted: int | None
) -> dict[str, Any]:
    """The record (`edgesynth.record/1`) of `subject` on `board`, not yet judged.

    `wanted` is the batch; None takes the one that the file is fixed to, or one.
    """
    batch = wanted or subject.batch or 1
    times, latency_ms, most_ms = [], 0.0, 0.0
    for layers, reach in subject.parts(batch):
        found = predict_layers(layers, board, precision=precision, batch=batch, mode=mode)
        taken_ms = sum(time.latency_ms for time in found)
        times += found
        latency_ms, most_ms = latency_ms + reach * taken_ms, most_ms + taken_ms
    exits = subject.exits and {**subject.exits, "all_stages_ms": round(most_ms, 6)}
    return {
        "schema": SCHEMA,
        "kind": "predicted",
        "name": subject.name,
        "bundle": subject.identity,
        "device": _device(board, mode),
        "backend": "tensorrt",
        "precision": precision,
        "batch": batch,
        "software": versions(),
        "latency_ms": {"mean": round(latency_ms, 6)},
        "throughput_per_s": round(1e3 * batch / latency_ms, 3),
        "energy": _energy(subject, board, mode, precision, batch),
        "accuracy": subject.accuracy,
        "cost": subject.cost,
        "requirements": [],
        "exits": exits,
        "validity": _doubts(subject, batch),
        "raw": None,
        "layers": [_layer(time, precision, batch, subject.custom) for time in times],
        "model": _model(board, precision),
        "command": command_line(),
        "created": now(),
    }


def _device(board: Board, mode: PowerMode) -> dict[str, Any]:
    return {
        "module": board.name,
        "l4t": None,
        "power_mode": mode.name,
        "clocks": {"gpu_mhz": mode.gpu_clock.value, "memory_mhz": mode.memory_clock.value},
        "cpu": None,
    }


def _doubts(subject: Subject, batch: int) -> list[str]:
    """What makes this prediction less certain than the model's errors say."""
    doubts = list(subject.doubts)
    if subject.batch not in (None, batch):
        doubts.append(f"the file is fixed to a batch of {subject.batch}; export it for {batch}")
    macs, smallest = subject.macs * batch, load_latency_model().smallest_macs
    if macs < smallest:
        doubts.append(
            f"{macs:,} MACs are fewer than in any network of the fit ({smallest:,}): launching "
            "kernels decides here, and the stated error may not hold"
        )
    return doubts


def _energy(
    subject: Subject, board: Board, mode: PowerMode, precision: Precision, batch: int
) -> dict[str, Any]:
    """Millijoules per inference, idle power included, or why there are none."""
    total = 0.0
    for layers, reach in subject.parts(batch):
        found = predict_energy_mj(layers, board, precision=precision, batch=batch, mode=mode)
        if found is None:
            return {"not_predicted": energy_gap(board)}
        total += reach * found
    return {
        "gross_mj": round(total, 6),
        "inferences_per_joule": round(1e3 / total, 3),
        "source": "model",
        "rail": energy_scope(board),
    }


def _layer(
    time: LayerTime, precision: Precision, batch: int, custom: dict[str, str]
) -> dict[str, Any]:
    layer = time.layer
    operator = custom.get(layer.name.partition(" + ")[0])
    return {
        "name": layer.name,
        "kind": layer.kind,
        "macs": layer.macs * batch,
        "bytes": layer.bytes(precision, batch),
        "latency_ms": round(time.latency_ms, 6),
        "bound": time.bound,
        **({"operator": operator, "predicted_as": "dense"} if operator else {}),
    }


def _model(board: Board, precision: Precision) -> dict[str, Any]:
    """Where the figures come from and how far they may be off."""
    latency = latency_trust(board, precision)
    model: dict[str, Any] = {
        "method": "roofline per fused layer",
        "fit": load_latency_model().command,
        "latency_error_percent": latency.error_percent,
        "latency_basis": latency.basis,
        "latency_status": latency.status,
    }
    if energy_gap(board) is None:
        energy = energy_trust(board, precision)
        model["energy_error_percent"] = energy.error_percent
        model["energy_basis"] = energy.basis
        model["energy_status"] = energy.status
    return model
