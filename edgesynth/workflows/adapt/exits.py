"""`adapt --method exits`: early exits for one network, from training to bundle."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.network import Exit, Lineage, Precision
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.dynamic.answers import Answers
from edgesynth.dynamic.costs import BreakEven, break_even
from edgesynth.dynamic.placing import candidates, choose_exits, parse_exit
from edgesynth.dynamic.training import ExitPlan, train_exits
from edgesynth.export.golden import data_pixels, preprocess
from edgesynth.export.staged import INPUT, StagedCandidate, export_parts
from edgesynth.hardware.counting import count
from edgesynth.hardware.target import load_target
from edgesynth.networks.edgenet import read_description
from edgesynth.networks.exits import BACKBONE, ExitNetwork
from edgesynth.networks.network import Network
from edgesynth.tasks.classification import accuracy
from edgesynth.workflows.adapt.calibration import calibrate, calibration_data
from edgesynth.workflows.adapt.folder import Adapted, golden_samples, new_adaptation, write_adapted
from edgesynth.workflows.adapt.meters import exit_costs
from edgesynth.workflows.adapt.recording import of_module, record
from edgesynth.workflows.adapt.wanted import Wanted
from edgesynth.workflows.train import resolve_for


@dataclass(frozen=True)
class ExitsPlan:
    """Where exits go and how they are trained."""

    training: ExitPlan
    exits: tuple[str, ...] = ()
    """`LAYER` or `LAYER:CONVOLUTIONSxCHANNELS`; none chooses by the break-even calculator."""
    number: int = 3
    """Of exits where they are chosen."""
    convolutions: int = 2
    channels: int = 32
    """Of heads that do not say."""


def adapt_exits(
    parent: str,
    data: str,
    out: Path,
    *,
    plan: ExitsPlan,
    wanted: Wanted,
    weights: Path | None = None,
    seed: int = 0,
    force: bool = False,
    trust: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Give `parent` early exits and write what came of it to the folder `out`.

    The policy is chosen on validation images, which no weight was trained on; the test split is
    touched for the final figures only. Returns the document of `OUT/adaptation.json`; `holds` says
    whether the goal is met on validation data.

    Raises UserError where network, data or layers do not fit.
    """
    progress = progress or Silent()
    place = new_adaptation(out, force)
    target = load_target(wanted.target)
    dataset, doubts = calibration_data(parent, data, seed, trust, progress)
    _require_plain(parent)
    network = resolve_for(parent, dataset, weights=weights, trust=trust)
    accuracies = _accuracies(network, dataset)
    macs = count(network.module, network.description.input_shape).macs
    exits, proposals = _exits(network, plan, dataset)
    progress.say("exits behind " + ", ".join(each.layer for each in exits))
    adapted, module = with_exits(network, exits, dataset, seed)
    train_exits(adapted, dataset, plan.training, seed=seed, progress=progress)
    costs = exit_costs(module, dataset.input_shape, wanted.cost)
    ids = stage_ids(exits)
    answer = of_module(module, adapted.description.preprocessing)
    seen = record(answer, ids, dataset.validation, progress, "answers on validation images")
    found = calibrate(seen, costs.stages, wanted, accuracies["validation"], progress)
    test = record(answer, ids, dataset.test, progress, "answers on test images")
    adapted.description = _described(adapted, seen, test, seed)
    candidate = _candidate(adapted, module, ids, dataset, target, wanted.batch, seed)
    document = {
        "method": "exits",
        "name": adapted.name,
        "parent": {"network": parent, "accuracy": accuracies, "macs": macs},
        "exits": _stages(exits, ids, costs.trunk, costs.heads, seen, test),
        "cost": {"unit": costs.unit, "full": costs.full, "overhead": costs.overhead},
        "break_even": _verdicts(break_even([e.layer for e in exits], costs)),
        "proposals": _verdicts(proposals),
        "training": msgspec.to_builtins(plan.training),
        "doubts": doubts,
    }
    result = Adapted(document, found, seen, test, costs.full, candidate, dataset, seed, adapted)
    return write_adapted(place, result, wanted, target, progress)


def with_exits(
    network: Network, exits: tuple[Exit, ...], dataset: Dataset, seed: int
) -> tuple[Network, ExitNetwork]:
    """A copy of `network` with fresh heads behind the layers of `exits`, and its module."""
    description = network.description
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = ExitNetwork(
            copy.deepcopy(network.module), exits, dataset.input_shape, len(dataset.classes)
        )
    known = description.precision
    renamed = Precision(
        {BACKBONE + layer: kind for layer, kind in known.weights.items()},
        {BACKBONE + layer: largest for layer, largest in known.activations.items()},
    )
    adapted = Network(
        module.eval(),
        msgspec.structs.replace(description, exits=exits, precision=renamed),
        {BACKBONE + name: mask for name, mask in network.masks.items()},
        {BACKBONE + name: scale for name, scale in network.scales.items()},
    )
    return adapted, module


def stage_ids(exits: tuple[Exit, ...]) -> list[str]:
    """Ids of the stages that end with each exit, and of the last one."""
    return [*(f"exit{number}" for number in range(1, len(exits) + 1)), "final"]


def _require_plain(parent: str) -> None:
    saved = (Path(parent) / "network.json").is_file()
    if saved and read_description(Path(parent)).exits:
        raise UserError(f"{parent} has exits already; give the network that it came from")


def _accuracies(network: Network, dataset: Dataset) -> dict[str, float]:
    preprocessing = network.description.preprocessing
    splits = {"validation": dataset.validation, "test": dataset.test}
    return {name: accuracy(network.module, split, preprocessing) for name, split in splits.items()}


def _exits(
    network: Network, plan: ExitsPlan, dataset: Dataset
) -> tuple[tuple[Exit, ...], list[BreakEven]]:
    head = Exit("", plan.convolutions, plan.channels)
    classes = len(dataset.classes)
    proposals = candidates(network.module, dataset.input_shape, classes, head)
    if plan.exits:
        return tuple(parse_exit(each, head) for each in plan.exits), proposals
    return choose_exits(proposals, plan.number, head), proposals


def _described(network: Network, seen: Answers, test: Answers, seed: int) -> Any:
    description = network.description
    return msgspec.structs.replace(
        description,
        lineage=Lineage(
            generation=description.lineage.generation,
            parent=description.weights_sha256 or None,
            seed=seed,
            command=command_line(),
            versions=versions("torch", "numpy"),
        ),
        accuracy={
            "validation": float(seen.right[-1].mean()),
            "test": float(test.right[-1].mean()),
        },
    )


def _candidate(
    network: Network,
    module: ExitNetwork,
    ids: list[str],
    dataset: Dataset,
    target: Any,
    batch: int | None,
    seed: int,
) -> StagedCandidate:
    description = network.description
    samples = golden_samples(dataset.input_shape, batch)
    pixels = data_pixels(dataset, samples, dataset.input_shape, seed)
    inputs = preprocess(pixels, description.preprocessing)
    cost = count(module, description.input_shape)
    return StagedCandidate(
        name=network.name,
        stages=export_parts(module.parts(), ids, inputs, target, batch),
        batch=batch,
        golden_inputs={INPUT: inputs},
        preprocessing=description.preprocessing,
        labels=description.classes,
        accuracy={},
        cost={"params": cost.params, "macs": cost.macs, "size_bytes": cost.size_bytes},
        parent=description.lineage.parent,
    )


def _stages(
    exits: tuple[Exit, ...],
    ids: list[str],
    trunk: tuple[float, ...],
    heads: tuple[float, ...],
    seen: Answers,
    test: Answers,
) -> list[dict[str, Any]]:
    """One line for each stage: layer, costs, and how well it would answer alone."""
    layers = [*(f"{e.layer}:{e.convolutions}x{e.channels}" for e in exits), None]
    return [
        {
            "id": name,
            "layer": layer,
            "trunk": trunk[k],
            "head": heads[k] if k < len(heads) else 0.0,
            "accuracy": {
                "validation": float(seen.right[k].mean()),
                "test": float(test.right[k].mean()),
            },
        }
        for k, (name, layer) in enumerate(zip(ids, layers, strict=True))
    ]


def _verdicts(found: list[BreakEven]) -> list[dict[str, Any]]:
    return [
        {
            "layer": one.layer,
            "before": one.before,
            "price": one.price,
            "saved": one.saved,
            "share": one.share if one.saved > 0 else None,
        }
        for one in found
    ]
