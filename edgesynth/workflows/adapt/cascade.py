"""`adapt --method cascade`: which of several networks answers for which input."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.core.progress import Progress, Silent
from edgesynth.dynamic.answers import Answers
from edgesynth.export.candidate import Candidate
from edgesynth.export.from_network import from_network
from edgesynth.export.from_onnx import from_onnx
from edgesynth.export.golden import data_pixels, preprocess
from edgesynth.export.onnx_file import serialize
from edgesynth.export.options import name_of
from edgesynth.export.session import Arrays, Session
from edgesynth.export.staged import INPUT, StagedCandidate, StageFile, stage_of
from edgesynth.hardware.target import Target, load_target
from edgesynth.workflows.adapt.calibration import calibrate, calibration_data
from edgesynth.workflows.adapt.folder import Adapted, golden_samples, new_adaptation, write_adapted
from edgesynth.workflows.adapt.meters import file_costs, hand_over
from edgesynth.workflows.adapt.recording import Answer, Pixels, record
from edgesynth.workflows.adapt.wanted import Wanted
from edgesynth.workflows.train import resolve_for


@dataclass(frozen=True)
class CascadePlan:
    """Nothing is trained in a cascade but its policy; only networks are named."""

    trust: tuple[str, ...] = ()
    """Factories that a `.edgenet` may import and call."""


@dataclass(frozen=True)
class _Member:
    """One network of the cascade."""

    source: str
    candidate: Candidate
    cost: float


def adapt_cascade(
    sources: Sequence[str],
    data: str,
    out: Path,
    *,
    plan: CascadePlan,
    wanted: Wanted,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Choose among the networks `sources`, `.edgenet` folders or ONNX files, input by input.

    They are ordered by cost; the last one is the reference. A chain asks one after the other, a
    tree may skip; what was run is paid for. Writes the folder `out` and returns the document of its
    `adaptation.json`, see `adapt_exits`.

    Raises UserError for fewer than two networks, or ones that do not classify the same images.
    """
    progress = progress or Silent()
    if len(sources) < 2:
        raise UserError("a cascade needs two networks at least; name them one after the other")
    place = new_adaptation(out, force)
    target = load_target(wanted.target)
    dataset, _ = calibration_data(sources[-1], data, seed, plan.trust, progress)
    doubts = _doubts(sources, data, seed, plan.trust)
    members = _members(sources, dataset, target, wanted, plan, seed)
    ids = _ids(members)
    shared = members[0].candidate.preprocessing or _of_data(dataset)
    stages = tuple(
        stage_of(one.candidate, name, shared) for one, name in zip(members, ids, strict=True)
    )
    answer = _answer(stages, shared)
    seen = record(answer, ids, dataset.validation, progress, "answers on validation images")
    test = record(answer, ids, dataset.test, progress, "answers on test images")
    gate = hand_over(wanted.cost, len(dataset.classes))
    costs = [*(one.cost + gate for one in members[:-1]), members[-1].cost]
    reference = float(seen.right[-1].mean())
    found = calibrate(seen, costs, wanted, reference, progress, kind="cascade")
    document = {
        "method": "cascade",
        "name": "-".join(ids),
        "parent": {
            "network": members[-1].source,
            "accuracy": {"validation": reference, "test": float(test.right[-1].mean())},
            "macs": members[-1].candidate.cost["macs"],
        },
        "exits": _stages(members, ids, seen, test),
        "cost": {"unit": wanted.cost.unit, "full": members[-1].cost, "overhead": gate},
        "doubts": doubts,
    }
    candidate = _bundle(members, stages, shared, dataset, wanted.batch, seed)
    result = Adapted(document, found, seen, test, members[-1].cost, candidate, dataset, seed)
    return write_adapted(place, result, wanted, target, progress)


def _doubts(sources: Sequence[str], data: str, seed: int, trust: tuple[str, ...]) -> list[str]:
    """What speaks against the calibration images being new to every network."""
    from edgesynth.networks.edgenet import read_description

    doubts, seeds = [], set()
    for source in sources:
        if not (Path(source) / "network.json").is_file():
            doubts.append(f"{source} does not say what it was trained on")
            continue
        description = read_description(Path(source))
        seeds.add(description.lineage.seed)
        if description.data != data:
            doubts.append(f"{source} was trained on {description.data or 'unknown data'}")
    if len(seeds) > 1:
        doubts.append(
            "the networks were trained with several seeds, so validation images of one may be "
            "train images of another"
        )
    return doubts


def _members(
    sources: Sequence[str],
    dataset: Dataset,
    target: Target,
    wanted: Wanted,
    plan: CascadePlan,
    seed: int,
) -> list[_Member]:
    """The networks with their costs, the cheapest first."""
    found = []
    for source in sources:
        if source.endswith(".onnx"):
            batch = "dynamic" if wanted.batch is None else wanted.batch
            made = from_onnx(
                Path(source), target, batch=batch, input_shape=dataset.input_shape,
                preprocessing=_of_data(dataset), data=dataset, seed=seed,
            )  # fmt: skip
        else:
            network = resolve_for(source, dataset, trust=plan.trust)
            made = from_network(
                network, target, batch=wanted.batch, data=dataset, seed=seed,
                preprocessing=network.description.preprocessing,
                labels=network.description.classes,
            )  # fmt: skip
        _require_fit(made, source, dataset)
        found.append((source, made))
    files = [(serialize(made.model), _one(made, wanted.batch)) for _, made in found]
    costs = file_costs(files, wanted.cost)
    members = [
        _Member(source, made, cost) for (source, made), cost in zip(found, costs, strict=True)
    ]
    return sorted(members, key=lambda one: one.cost)


def _of_data(dataset: Dataset) -> Preprocessing:
    return Preprocessing(mean=dataset.mean, std=dataset.std)


def _one(made: Candidate, batch: int | None) -> Arrays:
    return {name: array[: batch or 1] for name, array in made.golden_inputs.items()}


def _require_fit(made: Candidate, source: str, dataset: Dataset) -> None:
    ins, outs = list(made.golden_inputs.values()), list(made.golden_outputs.values())
    fits = len(ins) == len(outs) == 1 and ins[0].shape[1:] == dataset.input_shape
    if not fits or outs[0].shape[1:] != (len(dataset.classes),):
        raise UserError(
            f"{source} does not give {len(dataset.classes)} classes for one image of "
            f"{dataset.name}; a cascade takes classifiers of the same images"
        )


def _ids(members: Sequence[_Member]) -> list[str]:
    """A name for each network, fit for a file; equal ones are numbered."""
    names = [
        re.sub(r"[^A-Za-z0-9_-]+", "-", name_of(one.source)).strip("-") or "network"
        for one in members
    ]
    return [
        name if names.count(name) == 1 else f"{name}-{names[: k + 1].count(name)}"
        for k, name in enumerate(names)
    ]


def _answer(stages: Sequence[StageFile], shared: Preprocessing) -> Answer:
    sessions = [Session(serialize(stage.model), stage.id) for stage in stages]
    batches = [stage.model.graph.input[0].type.tensor_type.shape.dim[0] for stage in stages]
    sizes = [each.dim_value if each.HasField("dim_value") else None for each in batches]

    def answer(pixels: Pixels) -> Any:
        images = preprocess(pixels, shared)
        found = []
        for session, stage, size in zip(sessions, stages, sizes, strict=True):
            missing = -len(images) % (size or 1)
            filled = np.concatenate([images, images[-1:].repeat(missing, axis=0)])
            found.append(session.run({INPUT: filled}, size)[stage.logits][: len(images)])
        return found

    return answer


def _bundle(
    members: Sequence[_Member],
    stages: Sequence[StageFile],
    shared: Preprocessing,
    dataset: Dataset,
    batch: int | None,
    seed: int,
) -> StagedCandidate:
    samples = golden_samples(dataset.input_shape, batch)
    inputs = preprocess(data_pixels(dataset, samples, dataset.input_shape, seed), shared)
    golden = []
    for stage in stages:
        made = Session(serialize(stage.model), stage.id).run({INPUT: inputs}, batch or 1)
        golden.append(StageFile(stage.id, stage.model, {INPUT: inputs}, made))
    costs = [one.candidate.cost for one in members]
    hashes = "".join(one.candidate.parent or "" for one in members)
    return StagedCandidate(
        name="-".join(stage.id for stage in stages)[:100],
        stages=tuple(golden),
        batch=batch,
        golden_inputs={INPUT: inputs},
        preprocessing=shared,
        labels=dataset.classes,
        accuracy={},
        cost={key: _sum([cost[key] for cost in costs]) for key in ("params", "macs", "size_bytes")},
        parent=hashlib.sha256(hashes.encode()).hexdigest(),
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _stages(
    members: Sequence[_Member], ids: Sequence[str], seen: Answers, test: Answers
) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "network": one.source,
            "trunk": one.cost,
            "head": 0.0,
            "accuracy": {
                "validation": float(seen.right[k].mean()),
                "test": float(test.right[k].mean()),
            },
        }
        for k, (name, one) in enumerate(zip(ids, members, strict=True))
    ]
